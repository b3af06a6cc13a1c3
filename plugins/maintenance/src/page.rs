//! What clients see.

use std::fmt::Write;

use serde_json::json;

use crate::accept::Kind;

/// One representation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The content.
    pub body: Vec<u8>,
}

/// The page in all its representations.
#[derive(Debug)]
pub struct Pages {
    html: Page,
    json: Page,
}

impl Pages {
    /// The page of a kind: the operator's file, or one that carries the message.
    #[must_use]
    pub fn new(html: Option<Vec<u8>>, json: Option<Vec<u8>>, status: u16, message: &str) -> Self {
        Self {
            html: Page {
                content_type: "text/html; charset=utf-8",
                body: html.unwrap_or_else(|| plain_html(message).into_bytes()),
            },
            json: Page {
                content_type: "application/json",
                body: json
                    .unwrap_or_else(|| format!("{}\n", json!({ "status": status, "message": message })).into_bytes()),
            },
        }
    }

    /// The page of a kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> &Page {
        match kind {
            Kind::Html => &self.html,
            Kind::Json => &self.json,
        }
    }
}

fn plain_html(message: &str) -> String {
    let message = escape(message);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Maintenance</title>\n\
         <style>body{{font:1.2em/1.5 system-ui,sans-serif;max-width:32em;margin:20vh auto;padding:0 1em}}</style>\n\
         <h1>Maintenance</h1>\n<p>{message}</p>\n</html>\n"
    )
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' | '>' | '&' | '"' | '\'' => {
                let _ = write!(escaped, "&#{};", u32::from(character));
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_message_is_text_in_every_form() {
        let pages = Pages::new(None, None, 503, "<b> & \"soon\"");
        let html = String::from_utf8(pages.of(Kind::Html).body.clone()).unwrap();
        assert!(html.contains("<p>&#60;b&#62; &#38; &#34;soon&#34;</p>"), "{html}");
        let json: serde_json::Value = serde_json::from_slice(&pages.of(Kind::Json).body).unwrap();
        assert_eq!(json, json!({ "status": 503, "message": "<b> & \"soon\"" }));
    }

    #[test]
    fn files_of_the_bundle_are_shown_as_they_are() {
        let pages = Pages::new(Some(b"<p>ours".to_vec()), Some(b"{}".to_vec()), 503, "");
        assert_eq!(pages.of(Kind::Html).body, b"<p>ours");
        assert_eq!(pages.of(Kind::Json).body, b"{}");
    }
}
