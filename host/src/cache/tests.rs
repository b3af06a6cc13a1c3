//! The cache from outside: what exchanges see of it, one after the other and together.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http::header::{AGE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use proptest::prelude::*;

use super::bans::Manner;
use super::purge::{Address, Selection, Sweep};
use super::*;
use crate::exchange::subject::{RequestId, Scheme};

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
    let mut request = http::Request::builder()
        .method(method)
        .uri(target)
        .body(())
        .unwrap()
        .into_parts()
        .0;
    request.headers = header_map(headers);
    Subject {
        id: RequestId(1),
        peer: "127.0.0.1:1".parse().unwrap(),
        client_ip: "127.0.0.1".parse().unwrap(),
        scheme: Scheme::Http,
        host: Bytes::from_static(b"example.org"),
        request,
        route: "all".into(),
        ..Subject::vacant()
    }
}

fn with_response(mut subject: Subject, status: u16, headers: &[(&str, &str)]) -> Subject {
    let mut response = http::Response::builder()
        .status(status)
        .body(())
        .unwrap()
        .into_parts()
        .0;
    response.headers = header_map(headers);
    subject.response = Some(response);
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

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

#[test]
fn a_stored_response_is_served_until_it_is_stale() {
    let cache = cache();
    cache.store(
        get("/", &[]),
        200,
        &[FRESH, ("x-origin", "1"), ("connection", "close")],
        b"hello",
        0,
    );
    let hit = cache.hit(&get("/", &[]), 59);
    assert_eq!(
        (hit.status(), hit.body(), hit.served()),
        (StatusCode::OK, Bytes::from_static(b"hello"), Served::Fresh)
    );
    let headers = hit.map();
    assert_eq!(headers["age"], "59");
    assert_eq!(headers["content-length"], "5");
    assert_eq!(headers["x-origin"], "1");
    assert!(!headers.contains_key("connection"));
    drop(cache.fetch(&get("/", &[]), 60));
    drop(cache.fetch(&get("/other", &[]), 0));
}

#[test]
fn rfc9110_9_3_2_a_head_is_answered_by_the_entry_of_get() {
    let cache = cache();
    cache.store(get("/", &[]), 200, &[FRESH], b"hello", 0);
    assert_eq!(cache.hit(&request("HEAD", "/", &[]), 0).map()["content-length"], "5");
    assert!(matches!(
        cache.lookup(&request("HEAD", "/x", &[]), at(0)),
        Lookup::Bypass("head")
    ));
}

#[test]
fn what_passes_by_the_cache() {
    let cache = cache();
    for (method, headers, reason) in [
        ("POST", &[][..], "method"),
        ("GET", &[("upgrade", "websocket")], "upgrade"),
        ("GET", &[("cache-control", "no-store")], "no-store"),
        ("GET", &[("range", "bytes=0-1")], "range"),
        ("GET", &[("if-match", "\"a\"")], "condition"),
        ("GET", &[("content-length", "5")], "content"),
        ("GET", &[("transfer-encoding", "chunked")], "content"),
    ] {
        match cache.lookup(&request(method, "/", headers), at(0)) {
            Lookup::Bypass(because) => assert_eq!(because, reason),
            other => panic!("{headers:?}: {other:?}"),
        }
    }
    let off = Cache::new(&config::Cache { size: 0, ..config() });
    assert!(matches!(off.lookup(&get("/", &[]), at(0)), Lookup::Bypass("off")));
}

#[test]
fn rfc9110_14_2_a_range_is_answered_from_the_stored_whole() {
    let cache = cache();
    cache.store(get("/", &[]), 200, &[FRESH, ("etag", "\"a\"")], b"hello", 0);
    let part = |lines: &[(&str, &str)]| cache.hit(&get("/", lines), 0);
    let first = part(&[("range", "bytes=0-1")]);
    assert_eq!(
        (first.status(), first.body()),
        (StatusCode::PARTIAL_CONTENT, Bytes::from_static(b"he"))
    );
    assert_eq!(
        (&first.map()["content-range"], &first.map()["content-length"]),
        (&HeaderValue::from_static("bytes 0-1/5"), &HeaderValue::from_static("2"))
    );
    let none = part(&[("range", "bytes=9-")]);
    assert_eq!(
        (none.status(), none.body().len()),
        (StatusCode::RANGE_NOT_SATISFIABLE, 0)
    );
    assert_eq!(none.map()["content-range"], "bytes */5");
    let known = part(&[("range", "bytes=0-1"), ("if-none-match", "\"a\"")]);
    assert_eq!(
        known.status(),
        StatusCode::NOT_MODIFIED,
        "RFC 9110 §13.2.2: conditions go first"
    );
    let changed = part(&[("range", "bytes=0-1"), ("if-range", "\"b\"")]);
    assert_eq!((changed.status(), changed.body().len()), (StatusCode::OK, 5));
}

#[test]
fn rfc9111_5_2_1_7_only_if_cached() {
    let cache = cache();
    let subject = || get("/", &[("cache-control", "only-if-cached")]);
    assert!(matches!(cache.lookup(&subject(), at(0)), Lookup::OnlyIfCached));
    cache.store(get("/", &[]), 200, &[FRESH], b"hello", 0);
    assert!(matches!(cache.lookup(&subject(), at(0)), Lookup::Hit(_)));
    assert!(matches!(cache.lookup(&subject(), at(60)), Lookup::OnlyIfCached));
}

#[test]
fn rfc9111_4_1_variants_are_kept_apart() {
    let cache = cache();
    let accepts = |encoding| get("/", &[("accept-encoding", encoding)]);
    let vary = [FRESH, ("vary", "Accept-Encoding")];
    cache.store(accepts("gzip"), 200, &vary, b"zipped", 0);
    cache.store(accepts("br"), 200, &vary, b"brotli", 0);
    cache.store(get("/", &[]), 200, &vary, b"plain", 0);
    assert_eq!(cache.hit(&accepts("gzip"), 0).body(), "zipped");
    assert_eq!(cache.hit(&accepts("br"), 0).body(), "brotli");
    assert_eq!(cache.hit(&get("/", &[]), 0).body(), "plain");
    assert_eq!(cache.stats().objects, 3);
}

#[test]
fn the_number_of_variants_is_bounded() {
    let cache = cache();
    for number in 0..100 {
        let agent = format!("agent {number}");
        cache.store(
            get("/", &[("user-agent", &agent)]),
            200,
            &[FRESH, ("vary", "user-agent")],
            b"x",
            0,
        );
    }
    assert_eq!(cache.stats().objects, 16);
    assert_eq!(cache.store.recount(), cache.stats().bytes);
    cache.hit(&get("/", &[("user-agent", "agent 99")]), 0);
}

#[test]
fn routes_do_not_share_responses() {
    let cache = cache();
    cache.store(get("/", &[]), 200, &[FRESH], b"one", 0);
    let other = || Subject {
        route: "beta".into(),
        ..get("/", &[])
    };
    cache.store(other(), 200, &[FRESH], b"two", 0);
    assert_eq!(cache.hit(&get("/", &[]), 0).body(), "one");
    assert_eq!(cache.hit(&other(), 0).body(), "two");
}

#[test]
fn rfc9111_4_3_2_a_client_that_has_it_gets_a_304() {
    let cache = cache();
    cache.store(
        get("/", &[]),
        200,
        &[FRESH, ("etag", "\"a\""), ("content-type", "text/plain")],
        b"hello",
        0,
    );
    let hit = cache.hit(&get("/", &[("if-none-match", "W/\"a\"")]), 5);
    assert_eq!((hit.status(), hit.body().len()), (StatusCode::NOT_MODIFIED, 0));
    let headers = hit.map();
    assert_eq!(
        (&headers[ETAG], &headers[AGE]),
        (&HeaderValue::from_static("\"a\""), &HeaderValue::from_static("5"))
    );
    assert!(!headers.contains_key("content-length") && !headers.contains_key("content-type"));
    cache.hit(&get("/", &[("if-none-match", "\"b\"")]), 5);
}

#[test]
fn rfc9111_4_3_1_a_stale_response_is_revalidated_and_the_clients_own_conditions_stay_here() {
    let cache = cache();
    cache.store(get("/", &[]), 200, &[FRESH, ("etag", "\"a\"")], b"hello", 0);
    let mut subject = get(
        "/",
        &[("if-none-match", "\"b\""), ("range", "bytes=0-1"), ("accept", "x")],
    );
    subject.request.headers.remove("range");
    let fetch = cache.fetch(&subject, 100);
    fetch.strip_conditions(&mut subject.request.headers);
    assert_eq!(subject.request.headers, header_map(&[("accept", "x")]));
    assert_eq!(fetch.validators(), [(IF_NONE_MATCH, HeaderValue::from_static("\"a\""))]);

    let fresh = [
        ("cache-control", "max-age=30"),
        ("etag", "\"a\""),
        ("x-new", "1"),
        ("content-length", "99"),
    ];
    let stored = fetch.answered(&with_response(subject, 304, &fresh), at(100));
    let Stored::Revalidated(hit) = stored else {
        panic!("{stored:?}")
    };
    assert_eq!(
        (hit.body(), hit.served(), hit.age()),
        (Bytes::from_static(b"hello"), Served::Revalidated, 0)
    );
    let again = cache.hit(&get("/", &[]), 129);
    assert_eq!(again.map()["x-new"], "1");
    assert_eq!(again.map()["content-length"], "5", "RFC 9111 §3.2");
    assert_eq!(again.map()["age"], "29");
    drop(cache.fetch(&get("/", &[]), 130));
    assert_eq!(cache.store.recount(), cache.stats().bytes);
}

#[test]
fn a_revalidation_also_answers_the_clients_condition() {
    let cache = cache();
    cache.store(get("/", &[]), 200, &[FRESH, ("etag", "\"a\"")], b"hello", 0);
    let subject = get("/", &[("if-none-match", "\"a\"")]);
    let stored = cache
        .fetch(&subject, 100)
        .answered(&with_response(subject, 304, &[FRESH]), at(100));
    let Stored::Revalidated(hit) = stored else {
        panic!("{stored:?}")
    };
    assert_eq!(hit.status(), StatusCode::NOT_MODIFIED);
}

#[test]
fn rfc9111_4_3_4_a_304_about_another_response_updates_nothing() {
    let cache = cache();
    cache.store(get("/", &[]), 200, &[FRESH, ("etag", "\"a\"")], b"hello", 0);
    let subject = get("/", &[]);
    let answer = with_response(get("/", &[]), 304, &[FRESH, ("etag", "\"b\"")]);
    assert!(matches!(
        cache.fetch(&subject, 100).answered(&answer, at(100)),
        Stored::Revalidated(_)
    ));
    assert_eq!(cache.stats().objects, 0, "it is outdated");
}

#[test]
fn rfc9111_4_3_3_another_answer_replaces_the_stale_one() {
    let cache = cache();
    cache.store(get("/", &[]), 200, &[FRESH, ("etag", "\"a\"")], b"old", 0);
    cache.store(get("/", &[]), 200, &[FRESH, ("etag", "\"b\"")], b"new", 100);
    assert_eq!(cache.hit(&get("/", &[]), 100).body(), "new");
    assert_eq!(cache.stats().objects, 1);

    let subject = get("/", &[]);
    let answer = with_response(get("/", &[]), 200, &[("cache-control", "no-store")]);
    assert!(matches!(
        cache.fetch(&subject, 200).answered(&answer, at(200)),
        Stored::NotStored(_)
    ));
    assert_eq!(cache.stats().objects, 0, "what must not be stored any more is gone");
}

#[test]
fn rfc9111_5_2_1_4_no_cache_goes_to_the_origin_alone() {
    let cache = cache();
    cache.store(get("/", &[]), 200, &[FRESH, ("etag", "\"a\"")], b"hello", 0);
    let reload = get("/", &[("cache-control", "no-cache")]);
    let fetch = cache.fetch(&reload, 1);
    assert_eq!(fetch.validators().len(), 1);
    let other = cache.fetch(&reload, 1);
    cache.hit(&get("/", &[]), 1);
    drop((fetch, other));
}

#[test]
fn rfc9111_4_4_unsafe_methods_invalidate() {
    let fill = |cache: &Arc<Cache>| {
        for target in ["/a", "/b", "/c", "/d"] {
            cache.store(get(target, &[]), 200, &[FRESH], b"x", 0);
        }
    };
    for (method, status, left) in [
        ("POST", 200, 1),
        ("PURGE", 303, 1),
        ("POST", 500, 4),
        ("OPTIONS", 200, 4),
        ("HEAD", 200, 4),
    ] {
        let cache = cache();
        fill(&cache);
        let headers = [("location", "/b"), ("content-location", "http://example.org/c")];
        cache.invalidate(&with_response(request(method, "/a", &[]), status, &headers));
        assert_eq!(cache.stats().objects, left, "{method} {status}");
    }
    let cache = cache();
    fill(&cache);
    let elsewhere = [
        ("location", "http://other.example/b"),
        ("content-location", "https://example.org/c"),
    ];
    cache.invalidate(&with_response(request("DELETE", "/a", &[]), 204, &elsewhere));
    assert_eq!(cache.stats().objects, 3, "only the same server's");
}

#[test]
fn what_was_being_fetched_during_an_invalidation_is_not_stored() {
    let cache = cache();
    let mut writer = writer(
        cache.fetch(&get("/", &[]), 0),
        with_response(get("/", &[]), 200, &[FRESH]),
        0,
    );
    writer.push(&Bytes::from_static(b"old"));
    cache.invalidate(&with_response(request("POST", "/", &[]), 200, &[]));
    writer.finish(None);
    assert_eq!((cache.stats().objects, cache.stats().bytes), (0, 0));
}

#[test]
fn rfc9111_3_3_incomplete_responses_are_not_stored() {
    let cache = cache();
    let begin = |length: &str| {
        let answer = with_response(get("/", &[]), 200, &[FRESH, ("content-length", length)]);
        writer(cache.fetch(&get("/", &[]), 0), answer, 0)
    };
    let mut short = begin("6");
    short.push(&Bytes::from_static(b"hello"));
    short.finish(None);
    let mut long = begin("4");
    assert_eq!(long.push(&Bytes::from_static(b"hello")), Progress::GivenUp);
    long.finish(None);
    let mut cut = begin("5");
    cut.push(&Bytes::from_static(b"hello"));
    drop(cut);
    assert_eq!((cache.stats().objects, cache.stats().bytes), (0, 0));
    for length in ["x", "-1", "1, 2", "99999999999999999999"] {
        let answer = with_response(get("/", &[]), 200, &[FRESH, ("content-length", length)]);
        let stored = cache.fetch(&get("/", &[]), 0).answered(&answer, at(0));
        assert!(matches!(stored, Stored::NotStored(_)), "{length}");
    }
}

#[test]
fn objects_over_the_limit_are_given_up_on_their_head_or_on_the_way() {
    let cache = cache();
    let head = with_response(get("/", &[]), 200, &[FRESH, ("content-length", "65537")]);
    assert!(matches!(
        cache.fetch(&get("/", &[]), 0).answered(&head, at(0)),
        Stored::NotStored(_)
    ));
    let mut writer = writer(
        cache.fetch(&get("/", &[]), 0),
        with_response(get("/", &[]), 200, &[FRESH]),
        0,
    );
    let chunk = Bytes::from(vec![0; 40_000]);
    assert_eq!(
        [writer.push(&chunk), writer.push(&chunk)],
        [Progress::Writing, Progress::GivenUp]
    );
    assert_eq!(cache.stats().bytes, 0);
}

#[test]
fn a_purge_removes_every_variant_of_one_url() {
    let cache = cache();
    let vary = [FRESH, ("vary", "accept")];
    cache.store(get("/a", &[("accept", "x")]), 200, &vary, b"x", 0);
    cache.store(get("/a", &[("accept", "y")]), 200, &vary, b"x", 0);
    cache.store(get("/b", &[]), 200, &[FRESH], b"x", 0);
    assert_eq!(purge(&cache, &url("https://EXAMPLE.org:443/a"), Manner::Hard), 2);
    assert_eq!(purge(&cache, &url("example.org/a"), Manner::Hard), 0);
    assert!(cache.is_hit(&get("/b", &[]), 0));
    assert_eq!((cache.stats().objects, cache.stats().purged), (1, 2));
    assert_eq!(cache.store.recount(), cache.stats().bytes);
}

#[test]
fn purges_by_prefix_host_and_tag() {
    for (selection, left) in [
        (Selection::Prefix(Address::parse("example.org/a/").unwrap()), "/b"),
        (Selection::Tags(vec!["one".to_owned()]), "/b"),
        (Selection::Tags(vec!["one".to_owned(), "two".to_owned()]), ""),
        (Selection::Host(Address::parse("example.org").unwrap()), ""),
        (
            Selection::Host(Address::parse("other.example").unwrap()),
            "/a/1 /a/2 /b",
        ),
        (Selection::All, ""),
    ] {
        let cache = cache();
        for (target, tag) in [("/a/1", "one"), ("/a/2", "three one"), ("/b", "two")] {
            cache.store(get(target, &[]), 200, &[FRESH, ("surrogate-key", tag)], b"x", 0);
        }
        let purged = purge(&cache, &selection, Manner::Hard);
        let hits = ["/a/1", "/a/2", "/b"]
            .into_iter()
            .filter(|target| cache.is_hit(&get(target, &[]), 0));
        let hits: Vec<_> = hits.collect();
        assert_eq!(hits.join(" "), left, "{selection:?}");
        assert_eq!(purged, 3 - hits.len() as u64, "{selection:?}");
        assert_eq!(cache.store.recount(), cache.stats().bytes);
        assert!(cache.bans().iter().all(|ban| ban.is_done()));
    }
}

#[test]
fn what_is_banned_is_not_served_before_any_sweep() {
    let cache = cache();
    cache.store(get("/a", &[]), 200, &[FRESH], b"x", 0);
    let expression = bans::Expression::parse("req.url == /a").unwrap();
    let ban = cache.store.bans.add(expression, Manner::Hard);
    assert!(!cache.is_hit(&get("/a", &[]), 0));
    assert_eq!((ban.matched(), ban.is_done()), (1, false));
    cache.store.sweep();
    assert!(ban.is_done());
    cache.store(get("/a", &[]), 200, &[FRESH], b"x", 0);
    assert!(cache.is_hit(&get("/a", &[]), 0), "stored after the ban");
}

#[test]
fn what_was_asked_for_before_a_purge_is_not_stored_after_it() {
    for selection in [url("example.org/a"), Selection::Tags(vec!["t".to_owned()])] {
        let cache = cache();
        let response = with_response(get("/a", &[]), 200, &[FRESH, ("surrogate-key", "t")]);
        let fetching = writer(cache.fetch(&get("/a", &[]), 0), response, 0);
        assert_eq!(purge(&cache, &selection, Manner::Hard), 0);
        fetching.finish(None);
        assert!(!cache.is_hit(&get("/a", &[]), 0));
        assert_eq!((cache.stats().objects, cache.stats().bytes), (0, 0));
    }
}

#[test]
fn a_soft_purge_leaves_something_for_when_the_origin_is_down() {
    for selection in [url("example.org/a"), Selection::All] {
        let cache = cache();
        let second = SystemTime::now().duration_since(at(0)).unwrap().as_secs();
        cache.store(get("/a", &[]), 200, &[FRESH, ("etag", "\"a\"")], b"x", second);
        assert_eq!(purge(&cache, &selection, Manner::Soft), 1);
        assert_eq!(cache.stats().objects, 1);
        let fetch = cache.fetch(&get("/a", &[]), second + 2);
        assert_eq!(fetch.validators().len(), 1);
        assert!(fetch.on_failure().is_some());
    }
}

fn url(text: &str) -> Selection {
    Selection::Url(Address::parse(text).unwrap())
}

fn purge(cache: &Arc<Cache>, selection: &Selection, manner: Manner) -> u64 {
    cache.purge(selection, manner, Sweep::Now).unwrap()
}

#[test]
fn rfc5861_4_stale_if_error() {
    let cache = cache();
    cache.store(
        get("/", &[]),
        200,
        &[("cache-control", "max-age=60, stale-if-error=60")],
        b"hello",
        0,
    );
    let error = || with_response(get("/", &[]), 503, &[]);
    let stored = cache.fetch(&get("/", &[]), 100).answered(&error(), at(100));
    let Stored::Stale(hit) = stored else {
        panic!("{stored:?}")
    };
    assert_eq!(
        (hit.body(), hit.served(), hit.age()),
        (Bytes::from_static(b"hello"), Served::Stale, 100)
    );
    assert!(matches!(
        cache.fetch(&get("/", &[]), 121).answered(&error(), at(121)),
        Stored::NotStored(_)
    ));
    assert_eq!(
        cache.stats().objects,
        1,
        "an origin in trouble says nothing about what is stored"
    );
}

#[test]
fn rfc9111_4_2_4_an_origin_that_cannot_be_reached() {
    let cache = cache();
    let now = SystemTime::now().duration_since(at(0)).unwrap().as_secs();
    cache.store(get("/", &[]), 200, &[FRESH], b"hello", now - 100);
    assert_eq!(
        cache.fetch(&get("/", &[]), now).on_failure().unwrap().served(),
        Served::Stale
    );
    let strict = [("cache-control", "max-age=60, must-revalidate")];
    cache.store(get("/strict", &[]), 200, &strict, b"hello", now - 100);
    assert!(cache.fetch(&get("/strict", &[]), now).on_failure().is_none());
    assert!(cache.fetch(&get("/unknown", &[]), now).on_failure().is_none());
}

#[test]
fn rfc5861_3_stale_while_another_one_revalidates() {
    let cache = cache();
    let control = [
        ("cache-control", "max-age=60, stale-while-revalidate=60"),
        ("etag", "\"a\""),
    ];
    cache.store(get("/", &[]), 200, &control, b"hello", 0);
    let lookup = cache.lookup(&get("/", &[]), at(70));
    let Lookup::Refresh(fetch, hit) = lookup else {
        panic!("{lookup:?}")
    };
    assert_eq!((hit.served(), fetch.validators().len()), (Served::Stale, 1));
    assert_eq!(
        cache.hit(&get("/", &[]), 70).served(),
        Served::Stale,
        "while it is asked"
    );
    assert_eq!(cache.hit(&request("HEAD", "/", &[]), 70).served(), Served::Stale);
    let answer = with_response(get("/", &[]), 304, &[FRESH]);
    assert!(matches!(fetch.answered(&answer, at(71)), Stored::Revalidated(_)));
    assert_eq!(cache.hit(&get("/", &[]), 72).served(), Served::Fresh);
}

#[test]
fn rfc9111_4_3_5_head_updates_what_it_describes_and_removes_what_it_does_not() {
    for (head, updated) in [
        (&[("cache-control", "max-age=60"), ("x", "2")][..], true),
        (
            &[
                ("cache-control", "max-age=60"),
                ("x", "2"),
                ("etag", "\"a\""),
                ("content-length", "5"),
            ],
            true,
        ),
        (&[("cache-control", "max-age=60"), ("etag", "\"b\"")], false),
        (
            &[
                ("cache-control", "max-age=60"),
                ("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT"),
            ],
            false,
        ),
        (&[("cache-control", "max-age=60"), ("content-length", "6")], false),
        (&[("cache-control", "no-store")], false),
    ] {
        let cache = cache();
        cache.store(get("/", &[]), 200, &[FRESH, ("etag", "\"a\""), ("x", "1")], b"hello", 0);
        let answered = with_response(request("HEAD", "/", &[]), 200, head);
        cache.update_by_head(&answered, &config::CacheRules::default(), at(100));
        if updated {
            let hit = cache.hit(&get("/", &[]), 159);
            assert_eq!(
                (&hit.map()["x"], hit.body()),
                (&HeaderValue::from_static("2"), Bytes::from_static(b"hello"))
            );
        } else {
            assert_eq!(cache.stats().objects, 0, "{head:?}");
        }
        assert_eq!(cache.store.recount(), cache.stats().bytes);
    }
    let cache = cache();
    cache.store(get("/", &[]), 200, &[FRESH], b"hello", 0);
    let gone = with_response(request("HEAD", "/", &[]), 410, &[FRESH]);
    cache.update_by_head(&gone, &config::CacheRules::default(), at(0));
    assert_eq!(cache.stats().objects, 1, "only a 200 says something");
}

#[test]
fn rfc9110_9_3_3_a_post_that_says_so_answers_later_gets() {
    let here = ("content-location", "http://example.org/form");
    for (status, headers, adopted) in [
        (200, &[FRESH, here][..], true),
        (200, &[FRESH, ("content-location", "form")], true),
        (200, &[FRESH], false),
        (200, &[FRESH, ("content-location", "/other")], false),
        (200, &[here, ("last-modified", "Tue, 14 Nov 2000 22:13:20 GMT")], false),
        (201, &[FRESH, here], false),
    ] {
        let cache = cache();
        let answered = with_response(request("POST", "/form", &[]), status, headers);
        cache.invalidate(&answered);
        let fetch = cache.adopt_post(&answered, &config::CacheRules::default(), at(0));
        assert_eq!(fetch.is_some(), adopted, "{status} {headers:?}");
        if let Some(fetch) = fetch {
            let mut writer = writer(*fetch, answered, 0);
            writer.push(&Bytes::from_static(b"posted"));
            writer.finish(None);
            assert_eq!(cache.hit(&get("/form", &[]), 1).body(), "posted");
        }
    }
}

#[test]
fn requests_in_disguise_are_neither_stored_nor_shared() {
    let cache = cache();
    let disguised = get("/", &[("x-original-url", "/admin")]);
    assert!(matches!(cache.lookup(&disguised, at(0)), Lookup::Bypass("disguised")));
}

#[tokio::test]
async fn one_fetches_and_the_others_get_what_it_stored() {
    let cache = cache();
    let fetch = cache.fetch(&get("/", &[]), 0);
    let waits: Vec<Wait> = (0..5).map(|_| cache.wait(&get("/", &[]))).collect();
    let waiting = tokio::spawn(futures_util::future::join_all(waits.into_iter().map(Wait::done)));
    let mut writer = writer(fetch, with_response(get("/", &[]), 200, &[FRESH]), 0);
    writer.push(&Bytes::from_static(b"hello"));
    assert!(matches!(cache.lookup(&get("/", &[]), at(0)), Lookup::Wait(_)));
    writer.finish(None);
    for waited in waiting.await.unwrap() {
        assert!(matches!(waited, Waited::LookUp), "{waited:?}");
    }
    cache.hit(&get("/", &[]), 0);
    assert_eq!(cache.stats().coalesced, 6);
}

#[tokio::test]
async fn a_shared_body_is_followed_while_it_arrives() {
    let cache = cache();
    let fetch = cache.fetch(&get("/", &[]), 0);
    let wait = cache.wait(&get("/", &[]));
    let mut writer = writer(fetch, with_response(get("/", &[]), 200, &[FRESH]), 0);
    writer.push(&Bytes::from_static(b"one "));
    let first = writer.share();
    assert!(matches!(wait.done().await, Waited::LookUp));
    let hit = cache.hit(&get("/", &[]), 0);
    assert_eq!((hit.bytes(), hit.reader().left()), (None, None));
    assert!(!hit.map().contains_key("content-length"));
    let readers = [first, hit.reader()];
    writer.push(&Bytes::from_static(b"two"));
    writer.finish(None);
    for reader in readers {
        assert_eq!(read(reader).await.unwrap(), "one two");
    }
    let stored = cache.hit(&get("/", &[]), 0);
    assert_eq!(
        (stored.body(), &stored.map()["content-length"]),
        (Bytes::from_static(b"one two"), &HeaderValue::from_static("7"))
    );
    let stats = cache.stats();
    assert_eq!((stats.objects, stats.stored, stats.replaced), (1, 1, 0));
    assert_eq!(cache.store.recount(), stats.bytes);
}

#[tokio::test]
async fn a_shared_body_that_breaks_off_leaves_what_was_there_before() {
    let cache = cache();
    cache.store(get("/", &[]), 200, &[FRESH, ("etag", "\"a\"")], b"old", 0);
    let mut writer = writer(
        cache.fetch(&get("/", &[]), 100),
        with_response(get("/", &[]), 200, &[FRESH, ("content-length", "9")]),
        100,
    );
    writer.push(&Bytes::from_static(b"new"));
    let first = writer.share();
    let follower = cache.hit(&get("/", &[]), 100).reader();
    writer.break_off(Broken::Timeout);
    for reader in [first, follower] {
        assert_eq!(read(reader).await, Err(Broken::Timeout));
    }
    assert_eq!(
        cache
            .fetch(&get("/", &[]), 100)
            .stale
            .as_ref()
            .unwrap()
            .body
            .bytes()
            .unwrap(),
        "old"
    );
    assert_eq!(cache.store.recount(), cache.stats().bytes);
}

#[tokio::test]
async fn a_shared_body_that_grows_too_large_is_passed_on_and_not_stored() {
    let cache = cache();
    let mut writer = writer(
        cache.fetch(&get("/", &[]), 0),
        with_response(get("/", &[]), 200, &[FRESH]),
        0,
    );
    let chunk = Bytes::from(vec![1; 40_000]);
    writer.push(&chunk);
    let first = writer.share();
    assert_eq!(writer.push(&chunk), Progress::GivenUp);
    assert_eq!(cache.stats().objects, 0);
    drop(cache.fetch(&get("/", &[]), 0));
    writer.push(&chunk);
    writer.finish(None);
    assert_eq!(read(first).await.unwrap().len(), 120_000);
    assert_eq!((cache.stats().objects, cache.stats().bytes), (0, 0));
}

async fn read(mut reader: Reader) -> Result<Bytes, Broken> {
    let mut all = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| reader.poll_next(cx)).await {
        all.extend_from_slice(&frame?.into_data().unwrap());
    }
    Ok(all.into())
}

#[tokio::test]
async fn those_who_wait_are_released_when_the_head_says_no_and_nobody_waits_for_it_again() {
    let cache = cache();
    let fetch = cache.fetch(&get("/", &[]), 0);
    let wait = cache.wait(&get("/", &[]));
    let answer = with_response(get("/", &[]), 200, &[("cache-control", "private")]);
    assert!(matches!(fetch.answered(&answer, at(0)), Stored::NotStored(_)));
    assert!(matches!(wait.done().await, Waited::Fetch(_)));
    let (one, other) = (cache.fetch(&get("/", &[]), 0), cache.fetch(&get("/", &[]), 0));
    drop((one, other));

    // Until it is found storable, or a minute has passed.
    let first = cache.fetch(&get("/", &[]), 61);
    assert!(matches!(cache.lookup(&get("/", &[]), at(61)), Lookup::Wait(_)));
    drop(first);
    cache.store(get("/", &[]), 200, &[FRESH], b"x", 1);
    drop(cache.fetch(&get("/", &[]), 62));
}

#[tokio::test]
async fn when_the_one_that_fetches_goes_away_another_one_takes_over() {
    let cache = cache();
    let fetch = cache.fetch(&get("/", &[]), 0);
    let wait = cache.wait(&get("/", &[]));
    drop(fetch);
    assert!(matches!(wait.done().await, Waited::LookUp));
    let fetch = cache.fetch(&get("/", &[]), 0);
    let wait = cache.wait(&get("/", &[]));
    let half = writer(fetch, with_response(get("/", &[]), 200, &[FRESH]), 0);
    drop(half);
    assert!(matches!(wait.done().await, Waited::LookUp));
    drop(cache.fetch(&get("/", &[]), 0));
}

#[tokio::test]
async fn those_who_wait_for_an_origin_in_trouble_get_the_stale_response_too() {
    let cache = cache();
    let now = SystemTime::now().duration_since(at(0)).unwrap().as_secs();
    cache.store(get("/", &[]), 200, &[FRESH], b"hello", now - 100);
    let fetch = cache.fetch(&get("/", &[]), now);
    let Lookup::Wait(wait) = cache.lookup(&get("/", &[]), at(now)) else {
        panic!("somebody fetches already")
    };
    assert!(fetch.on_failure().is_some());
    let waited = wait.done().await;
    assert!(
        matches!(&waited, Waited::Hit(hit) if hit.served() == Served::Stale),
        "{waited:?}"
    );
    let next = cache.lookup(&get("/", &[]), at(now));
    assert!(
        matches!(next, Lookup::Refresh(..)),
        "nobody waits for an origin in trouble: {next:?}"
    );
}

#[tokio::test]
async fn a_failure_is_everybodys_who_waited_where_nothing_is_stale() {
    let cache = cache();
    let fetch = cache.fetch(&get("/", &[]), 0);
    let wait = cache.wait(&get("/", &[]));
    assert!(fetch.on_failure().is_none());
    assert!(matches!(wait.done().await, Waited::Failed));
}

#[test]
fn an_error_does_not_keep_the_next_ones_from_waiting_for_each_other() {
    let cache = cache();
    let answer = with_response(get("/", &[]), 503, &[]);
    assert!(matches!(
        cache.fetch(&get("/", &[]), 0).answered(&answer, at(0)),
        Stored::NotStored(_)
    ));
    let _fetch = cache.fetch(&get("/", &[]), 0);
    drop(cache.wait(&get("/", &[])));
}

#[tokio::test]
async fn waiting_ends_after_its_timeout() {
    let cache = Cache::new(&config::Cache {
        coalesce_timeout: Duration::from_millis(1),
        ..config()
    });
    let fetch = cache.fetch(&get("/", &[]), 0);
    assert!(matches!(cache.wait(&get("/", &[])).done().await, Waited::Fetch(_)));
    drop(fetch);
}

#[test]
fn the_least_recently_used_goes_first_and_a_smaller_limit_counts_at_once() {
    let cache = Cache::new(&config::Cache {
        size: 64 * 1024,
        ..config()
    });
    let target = |number: usize| format!("/{number}");
    for number in 0..200 {
        cache.store(get(&target(number), &[]), 200, &[FRESH], &[0; 1000], 0);
        assert!(cache.stats().bytes <= 64 * 1024);
    }
    let stats = cache.stats();
    assert!(stats.objects > 20 && stats.evicted == 200 - stats.objects, "{stats:?}");
    assert_eq!(cache.store.recount(), stats.bytes);
    cache.reconfigure(&config::Cache {
        size: 10_000,
        ..config()
    });
    assert!(cache.stats().bytes <= 10_000 && cache.stats().objects > 0);
    cache.reconfigure(&config::Cache { size: 0, ..config() });
    assert_eq!((cache.stats().bytes, cache.stats().objects), (0, 0));
}

#[test]
fn workers_share_one_cache_without_losing_count() {
    let cache = Cache::new(&config::Cache {
        size: 100_000,
        ..config()
    });
    std::thread::scope(|scope| {
        for worker in 0..4_u64 {
            let cache = &cache;
            scope.spawn(move || {
                for number in 0..500 {
                    let subject = get(&format!("/{}", (number * 7 + worker * 13) % 60), &[]);
                    match cache.lookup(&subject, at(number)) {
                        Lookup::Fetch(fetch) => {
                            if let Stored::Store(mut writer) =
                                fetch.answered(&with_response(subject, 200, &[FRESH]), at(number))
                            {
                                writer.push(&Bytes::from(vec![1; 3000]));
                                writer.finish(None);
                            }
                        }
                        Lookup::Hit(hit) => assert_eq!(hit.body().len(), 3000),
                        Lookup::Wait(_) => {}
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
    });
    assert!(cache.stats().bytes <= 100_000);
    assert_eq!(cache.store.recount(), cache.stats().bytes);
}

#[test]
fn metrics_show_the_memory() {
    let metrics = Registry::new();
    let cache = cache();
    let _probes = cache.expose(&metrics);
    cache.store(get("/", &[]), 200, &[FRESH], b"hello", 0);
    assert_eq!(metrics.value(&families::CACHE_OBJECTS, &[]), Some(1.0));
    assert_eq!(
        metrics.value(&families::CACHE_BYTES, &[]),
        Some(cache.stats().bytes as f64)
    );
}

/// Something that happens to a cache.
#[derive(Debug, Clone)]
enum Event {
    Store { target: u8, length: usize, vary: u8 },
    Abandon { target: u8, length: usize },
    Invalidate { target: u8 },
    Resize { size: u64 },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..20_u8, 0..9000_usize, 0..4_u8).prop_map(|(target, length, vary)| Event::Store { target, length, vary }),
        1 => (0..20_u8, 0..9000_usize).prop_map(|(target, length)| Event::Abandon { target, length }),
        1 => (0..20_u8).prop_map(|target| Event::Invalidate { target }),
        1 => (5_000..60_000_u64).prop_map(|size| Event::Resize { size }),
    ]
}

proptest! {
    /// Whatever happens, the bytes that are counted are those that are there, and never more than allowed.
    #[test]
    fn bytes_are_accounted_for(events in prop::collection::vec(event(), 0..60)) {
        let cache = Cache::new(&config::Cache { size: 40_000, max_object: 8000, ..config() });
        for event in events {
            match event {
                Event::Store { target, length, vary } => {
                    let accept = format!("type/{vary}");
                    let subject = get(&format!("/{target}"), &[("accept", &accept)]);
                    if let Lookup::Fetch(fetch) = cache.lookup(&subject, at(0)) {
                        let answer = with_response(subject, 200, &[FRESH, ("vary", "accept")]);
                        if let Stored::Store(mut writer) = fetch.answered(&answer, at(0)) {
                            for chunk in vec![0_u8; length].chunks(1000) {
                                writer.push(&Bytes::copy_from_slice(chunk));
                                prop_assert!(cache.stats().bytes <= cache.stats().limit);
                            }
                            writer.finish(None);
                        }
                    }
                }
                Event::Abandon { target, length } => {
                    let subject = get(&format!("/{target}"), &[]);
                    if let Lookup::Fetch(fetch) = cache.lookup(&subject, at(0))
                        && let Stored::Store(mut writer) = fetch.answered(&with_response(subject, 200, &[FRESH]), at(0))
                    {
                        writer.push(&Bytes::from(vec![0; length]));
                    }
                }
                Event::Invalidate { target } => {
                    cache.invalidate(&with_response(request("POST", &format!("/{target}"), &[]), 200, &[]));
                }
                Event::Resize { size } => cache.reconfigure(&config::Cache { size, max_object: 8000, ..config() }),
            }
            let stats = cache.stats();
            prop_assert_eq!(cache.store.recount(), stats.bytes);
            prop_assert!(stats.bytes <= stats.limit);
        }
    }
}
