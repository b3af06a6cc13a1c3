//! The cache from outside: what exchanges see of it, one after the other and together.
#![allow(clippy::unwrap_used, clippy::panic)]

mod lookups;
mod memory;
mod purging;
mod stale;
mod storing;
mod validating;
mod waiting;

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{ETAG, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::policy::Asked;
use super::*;
use crate::exchange::subject::{RequestId, Scheme};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

pub(super) fn header_map(lines: &[(&str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&str, &str)| {
        (
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        )
    };
    lines.iter().map(line).collect()
}

/// A GET for http://example.org.
pub(super) fn get(target: &str, headers: &[(&str, &str)]) -> Subject {
    request("GET", target, headers)
}

fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> Subject {
    let mut request = http::Request::builder().method(method).uri(target).body(()).unwrap();
    *request.headers_mut() = header_map(headers);
    Subject {
        id: RequestId(1),
        peer: "127.0.0.1:1".parse().unwrap(),
        client_ip: "127.0.0.1".parse().unwrap(),
        scheme: Scheme::Http,
        host: Bytes::from_static(b"example.org"),
        request: Box::new(request.into()),
        route: "all".into(),
        ..Subject::vacant()
    }
}

fn with_response(mut subject: Subject, status: u16, headers: &[(&str, &str)]) -> Subject {
    let mut response = http::Response::builder().status(status).body(()).unwrap();
    *response.headers_mut() = header_map(headers);
    subject.response = Some(response.into());
    subject
}

pub(super) fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

fn config() -> config::Cache {
    config::Cache {
        size: 1 << 20,
        max_object: 1 << 16,
        coalesce_timeout: Duration::from_secs(5),
        origin_fetches: 100,
        disk: None,
        bans: 100,
        purge_from: Vec::new(),
        tags: config::Tags::Strip,
        status: None,
        status_key: false,
    }
}

/// What is stored of such a response.
pub(super) fn stored_entry(status: u16, headers: &[(&str, &str)]) -> entry::Entry {
    let status = StatusCode::from_u16(status).unwrap();
    let asked = Asked::of(&HeaderMap::new());
    let mut fresh = header_map(headers);
    fresh
        .entry("cache-control")
        .or_insert(HeaderValue::from_static("max-age=0"));
    fresh.entry(ETAG).or_insert(HeaderValue::from_static("\"x\""));
    let policy = policy::store(asked, status, &fresh, &config::CacheRules::default(), (at(0), at(0))).unwrap();
    entry::Entry {
        status,
        variant: variant::Variant::default(),
        head: head::Head::of(&header_map(headers), at(0)),
        body: body::Body::Memory(Bytes::new()),
        policy,
        route: "all".into(),
        marks: entry::Marks::default(),
    }
}

fn cache() -> Arc<Cache> {
    Cache::new(&config())
}

impl Hit {
    fn body(&self) -> Bytes {
        self.bytes().unwrap()
    }

    fn map(&self) -> HeaderMap {
        self.headers(config::Tags::Pass)
    }
}

impl Cache {
    fn fetch(self: &Arc<Self>, subject: &Subject, second: u64) -> Fetch {
        match self.lookup(subject, at(second)) {
            Lookup::Fetch(fetch) => *fetch,
            other => panic!("expected a fetch, got {other:?}"),
        }
    }

    fn hit(self: &Arc<Self>, subject: &Subject, second: u64) -> Hit {
        match self.lookup(subject, at(second)) {
            Lookup::Hit(hit) => hit,
            other => panic!("expected a hit, got {other:?}"),
        }
    }

    fn is_hit(self: &Arc<Self>, subject: &Subject, second: u64) -> bool {
        matches!(self.lookup(subject, at(second)), Lookup::Hit(_))
    }

    fn wait(self: &Arc<Self>, subject: &Subject) -> Wait {
        match self.lookup(subject, at(0)) {
            Lookup::Wait(wait) => *wait,
            other => panic!("expected to wait, got {other:?}"),
        }
    }

    /// A whole exchange that has to store its response.
    fn store(
        self: &Arc<Self>,
        subject: Subject,
        status: u16,
        headers: &[(&str, &str)],
        body: &'static [u8],
        second: u64,
    ) {
        let fetch = self.fetch(&subject, second);
        let mut writer = writer(fetch, with_response(subject, status, headers), second);
        assert_eq!(writer.push(&Bytes::from_static(body)), Progress::Writing);
        writer.finish(None);
    }
}

impl Fetch {
    /// As on a route without rules of its own.
    fn answered(self, subject: &Subject, now: SystemTime) -> Stored {
        self.on_response(subject, &config::CacheRules::default(), now)
    }
}

fn writer(fetch: Fetch, subject: Subject, second: u64) -> Writer {
    match fetch.answered(&subject, at(second)) {
        Stored::Store(writer) => writer,
        other => panic!("expected to store, got {other:?}"),
    }
}
