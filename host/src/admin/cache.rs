//! What the admin API is asked about the cache.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use crate::cache::bans::{Expression, Manner};
use crate::cache::purge::{Address, Selection};

/// A call about the cache, read and checked.
#[derive(Debug, Clone)]
pub enum CacheCall {
    /// Remove what is selected.
    Purge(Selection, Manner),
    /// Ban what fits an expression.
    Ban(Expression, Manner),
    /// List the bans.
    Bans,
    /// Show what is stored for a URL, and what a request with these fields would get of it.
    Inspect(Address, HeaderMap),
}

/// The body of a purge: exactly one of `url`, `prefix`, `host`, `tags` and `all`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Purge {
    url: Option<String>,
    prefix: Option<String>,
    host: Option<String>,
    tags: Option<Vec<String>>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    soft: bool,
}

/// The body of a ban.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ban {
    expression: String,
    #[serde(default)]
    soft: bool,
}

/// The body of an inspection.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Inspect {
    url: String,
    /// Fields of the request, by their names.
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

impl TryFrom<Inspect> for CacheCall {
    type Error = String;

    fn try_from(inspect: Inspect) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in inspect.headers {
            match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value)) {
                (Ok(name), Ok(value)) => headers.append(name, value),
                _ => return Err(format!("`{name}: {value}` is no header")),
            };
        }
        Ok(Self::Inspect(Address::parse(&inspect.url)?, headers))
    }
}

impl TryFrom<Purge> for CacheCall {
    type Error = String;

    fn try_from(purge: Purge) -> Result<Self, String> {
        let Purge {
            url,
            prefix,
            host,
            tags,
            all,
            soft,
        } = purge;
        let mut selections = Vec::new();
        if let Some(url) = url {
            selections.push(Selection::Url(Address::parse(&url)?));
        }
        if let Some(prefix) = prefix {
            selections.push(Selection::Prefix(Address::parse(&prefix)?));
        }
        if let Some(host) = host {
            selections.push(Selection::Host(Address::parse(&host)?));
        }
        selections.extend(tags.map(Selection::Tags));
        if all {
            selections.push(Selection::All);
        }
        match <[Selection; 1]>::try_from(selections) {
            Ok([selection]) => Ok(Self::Purge(selection, manner(soft))),
            Err(_) => Err("a purge has exactly one of `url`, `prefix`, `host`, `tags` and `all`".to_owned()),
        }
    }
}

impl TryFrom<Ban> for CacheCall {
    type Error = String;

    fn try_from(ban: Ban) -> Result<Self, String> {
        Ok(Self::Ban(Expression::parse(&ban.expression)?, manner(ban.soft)))
    }
}

fn manner(soft: bool) -> Manner {
    if soft { Manner::Soft } else { Manner::Hard }
}
