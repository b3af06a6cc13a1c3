//! Conditions: those of clients, and those of the cache's own (RFC 9111 §4.3).

use http::header::{AGE, ETAG, IF_NONE_MATCH};

use super::*;

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
