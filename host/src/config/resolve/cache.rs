//! `[cache]`, `[cache.rules]` and `[route.cache_rules]`.

use std::sync::Arc;

use http::HeaderName;

use super::super::raw::{At, Table};
use super::super::{Cache, CacheRules, DiskCache, ParameterPattern, Query, SetCookie, Tags, settings};
use super::networks;

pub(super) fn cache(table: &Table<'_>) -> Cache {
    Cache {
        size: table.size("size"),
        max_object: table.size("max_object"),
        coalesce_timeout: table.duration("coalesce_timeout"),
        origin_fetches: table.integer("origin_fetches"),
        disk: table
            .table("disk", &settings::CACHE_DISK)
            .and_then(|table| disk(&table)),
        bans: table.integer("bans"),
        purge_from: networks(table, "purge_from"),
        tags: match table.choice("tags") {
            "pass" => Tags::Pass,
            _ => Tags::Strip,
        },
        status: status(table),
        status_key: table.flag("status_key"),
    }
}

fn disk(table: &Table<'_>) -> Option<DiskCache> {
    let path = table.path("path")?.value;
    Some(DiskCache {
        path,
        size: table.size("size"),
        max_files: table.integer("max_files"),
        min_object: table.size("min_object"),
        max_object: table.size("max_object"),
    })
}

/// The rules for all routes.
pub(super) fn rules(table: &Table<'_>) -> Arc<CacheRules> {
    let rules = table.table("rules", &settings::CACHE_RULES);
    Arc::new(rules.map_or_else(CacheRules::default, |rules| overridden(&CacheRules::default(), &rules)))
}

/// A route's rules: those for all, with what it says otherwise.
pub(super) fn route_rules(all: &Arc<CacheRules>, table: &Table<'_>) -> Arc<CacheRules> {
    match table.table("cache_rules", &settings::ROUTE_CACHE_RULES) {
        Some(rules) => Arc::new(overridden(all, &rules)),
        None => Arc::clone(all),
    }
}

fn overridden(all: &CacheRules, table: &Table<'_>) -> CacheRules {
    CacheRules {
        targeted: fields(table, "targeted").unwrap_or_else(|| all.targeted.clone()),
        heuristic: table.integer_if_given("heuristic").unwrap_or(all.heuristic),
        heuristic_most: table.duration_or("heuristic_most", all.heuristic_most),
        lifetime: table.duration_or("lifetime", all.lifetime),
        negative: table.duration_or("negative", all.negative),
        grace: table.duration_or("grace", all.grace),
        stale_if_error: table.duration_or("stale_if_error", all.stale_if_error),
        stale_if_unreachable: table.duration_or("stale_if_unreachable", all.stale_if_unreachable),
        set_cookie: match table.has("set_cookie").then(|| table.choice("set_cookie")) {
            Some("store") => SetCookie::Store,
            Some(_) => SetCookie::Pass,
            None => all.set_cookie,
        },
        normalise: fields(table, "normalise").unwrap_or_else(|| all.normalise.clone()),
        query: match table.has("query").then(|| table.choice("query")) {
            Some("sorted") => Query::Sorted,
            Some("removed") => Query::Removed,
            Some(_) => Query::Exact,
            None => all.query,
        },
        ignore_query: parameters(table).unwrap_or_else(|| all.ignore_query.clone()),
    }
}

/// A token of structured fields (RFC 9651 §3.3.4), or `off`.
fn status(table: &Table<'_>) -> Option<Box<str>> {
    let At { value, span } = table.text_or_default("status");
    if value == "off" {
        return None;
    }
    let first = value.starts_with(|first: char| first.is_ascii_alphabetic());
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
    if !first || !value.bytes().all(rest) {
        table.problem(
            span,
            "`status` is no name for Cache-Status",
            "a letter, then letters, digits, `-`, `_`, `.`, `:` and `/`; or \"off\"",
        );
    }
    Some(value.into())
}

fn fields(table: &Table<'_>, key: &str) -> Option<Vec<HeaderName>> {
    let texts = table.has(key).then(|| table.texts(key))?;
    let mut names = Vec::new();
    for At { value, span } in texts {
        match HeaderName::from_bytes(value.as_bytes()) {
            Ok(name) if names.contains(&name) => {
                table.problem(span, format!("\"{value}\" is listed twice"), "remove it")
            }
            Ok(name) => names.push(name),
            Err(_) => table.problem(
                span,
                format!("\"{value}\" is no header name"),
                "letters, digits and `-`",
            ),
        }
    }
    Some(names)
}

fn parameters(table: &Table<'_>) -> Option<Vec<ParameterPattern>> {
    let texts = table.has("ignore_query").then(|| table.texts("ignore_query"))?;
    let mut patterns = Vec::new();
    for At { value, span } in texts {
        let (name, pattern) = match value.strip_suffix('*') {
            Some(prefix) => (prefix, ParameterPattern::Prefix(prefix.to_owned())),
            None => (value, ParameterPattern::Exact(value.to_owned())),
        };
        let valid = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"&=*#".contains(&byte));
        if valid {
            patterns.push(pattern);
        } else {
            table.problem(
                span,
                format!("\"{value}\" is no name of a parameter"),
                "as it stands in a query, \"fbclid\", or how it begins, \"utm_*\"",
            );
        }
    }
    Some(patterns)
}
