//! Ordinary requests that are judged once when the rules are loaded. Patterns build parts of their automata while they run;
//! what these build is in the memory that every instance starts with.

use std::net::{IpAddr, Ipv4Addr};

use super::{Completeness, Engine, RequestHead, Transaction};

const BROWSER: [(&str, &str); 7] = [
    ("host", "www.example.org"),
    (
        "user-agent",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
    ),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    ),
    ("accept-language", "en-GB,en;q=0.7,de;q=0.3"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://www.example.org/library/series?page=2"),
    ("cookie", "session=4f1d9c0a7b3e; theme=dark; consent=yes"),
];

const FORM: &str = "title=The+Art+of+War&author=O%27Reilly+%26+Sons&note=%E6%BC%AB%E7%94%BB+volume+3%3A+%22it%27s+here%22&price=12.50\
                    &url=https%3A%2F%2Fexample.org%2Fa%3Fb%3Dc&email=reader%40example.org&tags=a%2Cb%2Cc";

pub(super) fn run(engine: &Engine) {
    for (method, content_type, body) in [
        ("GET", "", ""),
        ("POST", "application/x-www-form-urlencoded", FORM),
        (
            "POST",
            "application/json",
            r#"{"items": [{"id": 17, "name": "O'Reilly", "tags": ["new", "sale"]}], "ok": true}"#,
        ),
    ] {
        let mut transaction = Transaction::default();
        let mut headers: Vec<(String, Vec<u8>)> = BROWSER
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect();
        if !body.is_empty() {
            headers.push(("content-type".to_owned(), content_type.as_bytes().to_vec()));
            headers.push(("content-length".to_owned(), body.len().to_string().into_bytes()));
        }
        let head = RequestHead {
            client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            method: method.to_owned(),
            version: "1.1".to_owned(),
            host: "www.example.org".to_owned(),
            path: b"/library/series/42/chapter-7.html".to_vec(),
            query: Some(b"q=one+piece&page=2&sort=title&filter=new%20releases".to_vec()),
            target: None,
            headers,
            id: "0".repeat(32),
        };
        let _ = engine.request_head(&mut transaction, head);
        let _ = engine.request_body(&mut transaction, body.as_bytes(), Completeness::Complete);
        let _ = engine.response_head(
            &mut transaction,
            200,
            [("content-type".to_owned(), b"text/html".to_vec())],
        );
        let _ = engine.response_body(
            &mut transaction,
            b"<!doctype html><title>Series</title>",
            Completeness::Complete,
        );
        engine.finish(&mut transaction);
    }
}
