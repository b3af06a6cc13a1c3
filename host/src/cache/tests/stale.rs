//! Stale responses: while the origin is asked, and when it is in trouble (RFC 5861, RFC 9111 §4.2.4).

use super::*;

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
