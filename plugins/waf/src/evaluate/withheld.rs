//! What must not be in an audit event: what everybody knows to be secret, and what rules say is.

use serde::{Deserialize, Serialize};

use super::texts::TextId;
use super::transaction::{Item, Key, Transaction};
use crate::compile::plan::Sanitise;
use crate::variables::{self, Variable};

/// Headers whose values are never shown.
const SECRET_HEADERS: &[&str] = &[
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
    "x-api-key",
];

/// The shortest value that is looked for in other texts: shorter ones occur by chance.
const SHORTEST: usize = 4;

/// What stands where something is withheld.
pub(super) const STARS: &str = "***";

/// What rules have said to be secret in one transaction.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Withheld {
    arguments: Vec<Box<[u8]>>,
    headers: Vec<Box<[u8]>>,
}

impl Withheld {
    /// Remembers what a rule says, about the value that matched where it says so.
    pub(super) fn add(&mut self, what: &Sanitise, matched: Option<(Item, &[u8])>) {
        let (list, name) = match (what, matched) {
            (Sanitise::Argument(name), _) => (&mut self.arguments, &**name),
            (Sanitise::RequestHeader(name) | Sanitise::ResponseHeader(name), _) => (&mut self.headers, &**name),
            (Sanitise::Matched, Some((item, name))) => match item.variable {
                Variable::RequestHeaders | Variable::ResponseHeaders => (&mut self.headers, name),
                _ => (&mut self.arguments, name),
            },
            (Sanitise::Matched, None) => return,
        };
        if !has(list, name) && list.len() < 100 {
            list.push(name.into());
        }
    }

    /// Whether an argument of this name is secret.
    pub(super) fn is_argument(&self, name: &[u8]) -> bool {
        has(&self.arguments, name)
    }

    /// Whether a header of this name is secret.
    pub(super) fn is_header(&self, name: &[u8]) -> bool {
        SECRET_HEADERS
            .iter()
            .any(|known| known.as_bytes().eq_ignore_ascii_case(name))
            || has(&self.headers, name)
    }

    /// Whether the values of a variable are secret, which is named as matches name it: `ARGS:password`.
    pub(super) fn is_variable(&self, name: &str) -> bool {
        let (variable, key) = name.split_once(':').unwrap_or((name, ""));
        match variables::find(variable) {
            Ok(Variable::Args | Variable::ArgsGet | Variable::ArgsPost) => self.is_argument(key.as_bytes()),
            Ok(Variable::RequestHeaders | Variable::ResponseHeaders) => self.is_header(key.as_bytes()),
            Ok(Variable::RequestCookies | Variable::FullRequest | Variable::RemoteUser) => true,
            // These hold arguments as they were received.
            Ok(
                Variable::QueryString
                | Variable::RequestBody
                | Variable::RequestLine
                | Variable::RequestUri
                | Variable::RequestUriRaw,
            ) => !self.arguments.is_empty(),
            _ => self.is_argument(variable.as_bytes()),
        }
    }

    /// A target with the values of secret arguments withheld. Names are compared as they are received and decoded.
    pub(super) fn in_target(&self, target: &str) -> String {
        let Some((path, query)) = target.split_once('?').filter(|_| !self.arguments.is_empty()) else {
            return target.to_owned();
        };
        let shown = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) if self.is_argument(&percent_decoded(name)) => format!("{name}={STARS}"),
            _ => pair.to_owned(),
        });
        format!("{path}?{}", shown.collect::<Vec<_>>().join("&"))
    }
}

/// The secret values of a transaction, each long enough to be looked for.
pub(super) fn values(tx: &Transaction) -> Vec<String> {
    let arguments = tx.args_get.iter().chain(&tx.args_post);
    let arguments = arguments.filter(|field| tx.withheld.is_argument(tx.texts.get(field.name)));
    let headers = tx.request_headers.iter().chain(&tx.response_headers);
    let headers = headers.filter(|field| tx.withheld.is_header(tx.texts.get(field.name)));
    arguments
        .chain(headers)
        .chain(&tx.request_cookies)
        .map(|field| String::from_utf8_lossy(tx.texts.get(field.value)).into_owned())
        .filter(|value| value.len() >= SHORTEST)
        .collect()
}

/// A text without any of the secrets.
pub(super) fn without(secrets: &[String], mut text: String) -> String {
    for secret in secrets {
        if text.contains(secret.as_str()) {
            text = text.replace(secret.as_str(), STARS);
        }
    }
    text
}

/// The name of an item in its collection.
pub(super) fn key_text(item: Item) -> Option<TextId> {
    match item.key {
        Key::Text(text) => Some(text),
        Key::None | Key::Slot(_) => None,
    }
}

fn has(list: &[Box<[u8]>], name: &[u8]) -> bool {
    list.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        match (byte, after) {
            (b'%', [high, low, tail @ ..]) => match crate::bytes::hex_pair(*high, *low) {
                Some(decoded) => {
                    out.push(decoded);
                    rest = tail;
                }
                None => out.push(b'%'),
            },
            (b'+', _) => out.push(b' '),
            _ => out.push(*byte),
        }
    }
    out
}
