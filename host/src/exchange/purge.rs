//! The method `PURGE`, as Varnish and nginx's users know it: a publishing system tells the cache what it has changed.
//!
//! `PURGE /path` removes the URL with all its variants. With a `Surrogate-Key` it removes everything with one of these tags
//! instead, and with `Soft-Purge: 1` what is purged turns stale and stays. The answer is `{"purged": 1}`; what goes by tags is
//! counted behind it, so 0 there says nothing. Only the routes that cache answer it; the others send it on like any method.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use ipnet::IpNet;

use super::admit::is_trusted;
use super::refusal::Refusal;
use super::subject::{Reply, Subject};
use crate::cache::bans::Manner;
use crate::cache::purge::{Address, Selection, Sweep};
use crate::cache::tags::SURROGATE_KEY;
use crate::control::Control;

const SOFT_PURGE: HeaderName = HeaderName::from_static("soft-purge");

/// Whether this is the method.
#[must_use]
pub fn is_purge(method: &Method) -> bool {
    method.as_str() == "PURGE"
}

/// Purges what the request names.
///
/// # Errors
/// 405 where nobody may, 403 where this client may not.
pub fn purge(control: &Control, subject: &Subject, allowed: &[IpNet]) -> Result<Reply, Refusal> {
    if allowed.is_empty() {
        let methods = [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::OPTIONS,
        ];
        return Err(Refusal::MethodNotAllowed(methods.into()));
    }
    if !is_trusted(subject.client_ip, allowed) {
        return Err(Refusal::PurgeForbidden);
    }
    let soft = subject
        .request
        .headers
        .get(SOFT_PURGE)
        .is_some_and(|value| value == "1");
    let manner = if soft { Manner::Soft } else { Manner::Hard };
    let tags = tags(&subject.request.headers);
    let selection = if tags.is_empty() {
        Selection::Url(Address::of(subject))
    } else {
        Selection::Tags(tags)
    };
    let (status, body) = match control.purge(&selection, manner, Sweep::Behind) {
        Ok(purged) => {
            tracing::info!(client = %subject.client_ip, ?selection, ?manner, purged, "purged");
            (StatusCode::OK, format!("{{\"purged\": {purged}}}\n"))
        }
        Err(error) => (
            StatusCode::BAD_REQUEST,
            format!("{}\n", serde_json::json!({ "error": error })),
        ),
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(Reply {
        status,
        headers,
        body: Bytes::from(body),
    })
}

fn tags(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(SURROGATE_KEY).iter();
    let words = lines.flat_map(|line| line.as_bytes().split(u8::is_ascii_whitespace));
    words
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}
