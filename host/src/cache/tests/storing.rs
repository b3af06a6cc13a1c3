//! What is stored, and what must not be (RFC 9111 §3, §4.4).

use super::*;

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
