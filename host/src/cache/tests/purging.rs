//! What an operator takes out, by URL, prefix, host, tag or expression.

use super::super::bans::Manner;
use super::super::purge::{Address, Selection, Sweep};
use super::*;

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
