//! The origin behind the proxy in tests of rule sets: everything is answered with an empty 200, but `POST /reflect` with what its
//! JSON body describes, so that rules for responses can be tested.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::http::Request;

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Header lines.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What `/reflect` is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Wish {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
    encoded_body: String,
}

impl Response {
    /// One with a status and text.
    #[must_use]
    pub fn text(status: u16, body: &str) -> Self {
        Self::new(status, Vec::new(), body.as_bytes().to_vec())
    }

    /// Header lines and body, as a client sees them.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {}\r\n", String::from_utf8_lossy(value)));
        }
        text.push_str("\r\n");
        text.push_str(&String::from_utf8_lossy(&self.body));
        text
    }

    /// One with the media type that its body looks to be of, where its headers name none.
    fn new(status: u16, mut headers: Vec<(String, Vec<u8>)>, body: Vec<u8>) -> Self {
        let named = headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if !body.is_empty() && !named {
            headers.push(("Content-Type".to_owned(), media_type(&body).into()));
        }
        headers.push(("Content-Length".to_owned(), body.len().to_string().into_bytes()));
        Self { status, headers, body }
    }
}

/// What the origin says to a request.
#[must_use]
pub fn answer(request: &Request) -> Response {
    let path = request.head.path.as_slice();
    if request.head.method != "POST" || !(path == b"/reflect" || path.starts_with(b"/reflect/")) {
        return Response::text(200, "");
    }
    let Ok(wish) = serde_json::from_slice::<Wish>(&request.body) else {
        return Response::text(400, "Invalid JSON in request body");
    };
    let status = if wish.status == 0 { 200 } else { wish.status };
    if !(100..600).contains(&status) {
        return Response::text(400, "Invalid status code");
    }
    let body = if wish.body.is_empty() {
        match STANDARD.decode(wish.encoded_body.as_bytes()) {
            Ok(body) => body,
            Err(_) => return Response::text(400, "Invalid base64 encoding of response body"),
        }
    } else {
        wish.body.into_bytes()
    };
    let headers = wish
        .headers
        .into_iter()
        .map(|(name, value)| (name, value.into_bytes()))
        .collect();
    Response::new(status, headers, body)
}

/// What a server that is not told takes a body for.
fn media_type(body: &[u8]) -> &'static str {
    const MARKUP: &[&str] = &[
        "<!doctype html",
        "<html",
        "<head",
        "<script",
        "<iframe",
        "<h1",
        "<div",
        "<font",
        "<table",
        "<a",
        "<style",
        "<title",
        "<b",
        "<body",
        "<br",
        "<p",
        "<!--",
    ];
    let start = body.trim_ascii_start();
    let begins = |tag: &str| {
        let (Some(found), next) = (start.get(..tag.len()), start.get(tag.len())) else {
            return false;
        };
        found.eq_ignore_ascii_case(tag.as_bytes()) && (tag == "<!--" || matches!(next, Some(b' ' | b'>')))
    };
    if MARKUP.iter().any(|tag| begins(tag)) {
        return "text/html; charset=utf-8";
    }
    if start.starts_with(b"<?xml") {
        return "text/xml; charset=utf-8";
    }
    let binary = |&b: &u8| b < 0x09 || b == 0x0b || (0x0e..0x1b).contains(&b) || (0x1c..0x20).contains(&b);
    if body.iter().any(binary) {
        "application/octet-stream"
    } else {
        "text/plain; charset=utf-8"
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::http::wire;

    fn asked(target: &str, body: &str) -> Response {
        let message = format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        answer(&wire::read(message.as_bytes()).request.unwrap())
    }

    #[test]
    fn what_is_described_is_answered() {
        let response = asked(
            "/reflect",
            r#"{"status": 503, "headers": {"X": "y"}, "encodedBody": "PGh0bWw+"}"#,
        );
        assert_eq!(response.status, 503);
        assert_eq!(response.body, b"<html>");
        assert_eq!(response.headers[0], ("X".to_owned(), b"y".to_vec()));
        assert_eq!(response.headers[1].1, b"text/html; charset=utf-8");
    }

    #[test]
    fn everything_else_is_empty() {
        assert_eq!(asked("/post", "{}").body, b"");
        assert_eq!(asked("/reflect", "{").status, 400);
    }
}
