//! What a lookup gives: fresh responses, the right variant of them, or nothing.

use super::*;

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
fn requests_in_disguise_are_neither_stored_nor_shared() {
    let cache = cache();
    let disguised = get("/", &[("x-original-url", "/admin")]);
    assert!(matches!(cache.lookup(&disguised, at(0)), Lookup::Bypass("disguised")));
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
