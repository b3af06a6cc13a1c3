//! What is stored is taken out: by operators, and by publishing systems with `PURGE`.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use weir_tests::client;
use weir_tests::message::{Request, Response};
use weir_tests::origin::Origin;
use weir_tests::proxy::{self, Proxy, configure};

/// An origin whose n-th answer says n, with its path's first segment as a tag.
fn tagging() -> Origin {
    let count = AtomicUsize::new(0);
    Origin::start(move |request| {
        let tag = request.target.split('/').nth(1).unwrap_or_default().to_owned();
        Response::text(format!("answer {}", count.fetch_add(1, Ordering::SeqCst) + 1))
            .header("Cache-Control", "max-age=60")
            .header("ETag", "\"v\"")
            .header("Surrogate-Key", &format!("all {tag}"))
    })
}

fn caching(origin: &Origin, cache: &str) -> Proxy {
    proxy::caching(origin).tables(&format!("[cache]\n{cache}")).start()
}

const PATHS: [&str; 4] = ["/covers/1", "/covers/2", "/pages/1", "/pages/2?x=1"];

/// Asks for all paths often enough to meet both workers, and says which of them the origin was asked for again.
fn refetched(origin: &Origin, proxy: &Proxy) -> Vec<String> {
    let before = origin.requests();
    for _ in 0..4 {
        for path in PATHS {
            assert_eq!(proxy.fetch(&Request::get(path).host("example.org")).status, 200);
        }
    }
    let seen = origin.seen();
    seen.iter().skip(before).map(|request| request.target.clone()).collect()
}

#[test]
fn operators_purge_by_url_prefix_host_and_tag() {
    let origin = tagging();
    let proxy = caching(&origin, "");
    assert_eq!(refetched(&origin, &proxy), PATHS);
    for (arguments, said, gone) in [
        (
            &["https://example.org/covers/1"][..],
            "1 response removed",
            &["/covers/1"][..],
        ),
        (
            &["example.org/pages/2?x=1", "example.org/nowhere"],
            "1 response removed",
            &["/pages/2?x=1"],
        ),
        (
            &["--prefix", "example.org/pages/"],
            "2 responses removed",
            &["/pages/1", "/pages/2?x=1"],
        ),
        (
            &["--tag", "covers", "--tag", "absent"],
            "2 responses removed",
            &["/covers/1", "/covers/2"],
        ),
        (&["--host", "example.com"], "0 responses removed", &[]),
        (&["--host", "EXAMPLE.org"], "4 responses removed", &PATHS),
        (&["--all"], "4 responses removed", &PATHS),
    ] {
        let output = cache(&proxy, &[&["purge"], arguments].concat());
        assert!(output.contains(said), "{arguments:?}: {output}");
        assert_eq!(refetched(&origin, &proxy), gone, "{arguments:?}");
    }
    proxy.await_metric("weir_cache_purges_total", &[("what", "url")], 3.0);
    proxy.await_metric("weir_cache_evicted_total", &[("cause", "purged")], 14.0);
}

#[test]
fn operators_ban_by_expression() {
    let origin = tagging();
    let proxy = caching(&origin, "");
    assert_eq!(refetched(&origin, &proxy), PATHS);
    let output = cache(
        &proxy,
        &[
            "ban",
            "obj.http.surrogate-key ~ covers && req.url ~ 2$ && obj.status == 200",
        ],
    );
    assert!(output.contains("ban 1: 1 response removed"), "{output}");
    assert_eq!(refetched(&origin, &proxy), ["/covers/2"]);
    let bans = cache(&proxy, &["bans"]);
    assert!(bans.contains("done") && bans.contains("req.url ~ 2$"), "{bans}");
    proxy.await_metric("weir_cache_bans", &[], 1.0);
    let refused = proxy.weir(&["cache", "ban", "req.url ~ ("]);
    assert!(
        !refused.success && refused.stderr.contains("pattern"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_ban_may_ask_for_fields_of_the_request() {
    let origin = tagging();
    let proxy = caching(&origin, "");
    assert_eq!(refetched(&origin, &proxy), PATHS);
    cache(&proxy, &["ban", "req.http.x-fresh == yes"]);
    assert!(cache(&proxy, &["bans"]).contains("pending"));
    let fresh = Request::get("/covers/1").host("example.org").header("X-Fresh", "yes");
    assert_eq!(proxy.fetch(&fresh).text_body(), "answer 5");
    assert_eq!(refetched(&origin, &proxy), [""; 0]);
}

#[test]
fn a_soft_purge_asks_the_origin_and_serves_what_is_there_without_it() {
    let up = AtomicUsize::new(1);
    let up: &'static AtomicUsize = Box::leak(Box::new(up));
    let origin = Origin::start(move |request| {
        if up.load(Ordering::SeqCst) == 0 {
            return Response::new(503);
        }
        let known = request.headers.get("if-none-match").is_some();
        let response = if known {
            Response::new(304)
        } else {
            Response::text("body")
        };
        response
            .header("Cache-Control", "max-age=60, stale-if-error=60")
            .header("ETag", "\"v\"")
    });
    let proxy = caching(&origin, "");
    let get = || proxy.fetch(&Request::get("/a").host("example.org"));
    assert_eq!(get().text_body(), "body");
    assert!(cache(&proxy, &["purge", "--soft", "example.org/a"]).contains("1 response made stale"));
    assert_eq!(get().text_body(), "body");
    assert_eq!(origin.seen()[1].headers.get("if-none-match"), Some("\"v\""));
    up.store(0, Ordering::SeqCst);
    assert!(cache(&proxy, &["purge", "--soft", "--all"]).contains("1 response made stale"));
    assert_eq!((get().status, get().text_body().as_str()), (200, "body"), "stale");
    assert!(cache(&proxy, &["purge", "--all"]).contains("1 response removed"));
    assert_eq!(get().status, 503);
}

#[test]
fn the_method_purge_is_for_whom_the_configuration_names() {
    let purge = |headers: &[(&str, &str)]| {
        let request = Request::new("PURGE", "/covers/1").host("example.org");
        headers
            .iter()
            .fold(request, |request, (name, value)| request.header(name, value))
    };
    let origin = tagging();
    let off = caching(&origin, "").fetch(&purge(&[]));
    assert_eq!(off.status, 405);
    assert!(off.headers.get("allow").is_some_and(|allow| allow.contains("GET")));
    assert_eq!(
        caching(&origin, "purge_from = [\"192.0.2.0/24\"]")
            .fetch(&purge(&[]))
            .status,
        403
    );
    assert_eq!(origin.requests(), 0);

    let proxy = caching(&origin, "purge_from = [\"127.0.0.0/8\"]");
    assert_eq!(refetched(&origin, &proxy), PATHS);
    let purged = proxy.fetch(&purge(&[]));
    assert_eq!((purged.status, purged.json()), (200, json!({ "purged": 1 })));
    assert_eq!(refetched(&origin, &proxy), ["/covers/1"]);
    assert_eq!(proxy.fetch(&purge(&[("Surrogate-Key", "pages absent")])).status, 200);
    assert_eq!(refetched(&origin, &proxy), ["/pages/1", "/pages/2?x=1"]);
    assert_eq!(proxy.fetch(&purge(&[("Soft-Purge", "1")])).status, 200);
    assert_eq!(refetched(&origin, &proxy), ["/covers/1"]);
    assert_eq!(
        origin.seen().last().unwrap().headers.get("if-none-match"),
        Some("\"v\"")
    );
}

#[test]
fn where_nothing_is_cached_purge_is_a_method_like_any() {
    let origin = Origin::text("yes");
    let proxy = weir_tests::proxy::in_front_of(&origin).start();
    assert_eq!(proxy.fetch(&Request::new("PURGE", "/")).status, 200);
    assert_eq!(origin.only_request().method, "PURGE");
}

#[test]
fn tags_are_for_caches_and_not_for_clients() {
    let origin = tagging();
    for (keys, shown) in [("", None), ("tags = \"pass\"", Some("all a"))] {
        let proxy = caching(&origin, keys);
        for _ in 0..2 {
            assert_eq!(proxy.get("/a").headers.get("surrogate-key"), shown);
        }
    }
}

#[test]
fn purges_ask_for_the_token() {
    let origin = Origin::text("");
    let proxy = configure()
        .listener("http")
        .route("all", "app", "cache = true")
        .upstream("app", &[origin.address()], "")
        .admin("token = \"0123456789abcdef\"")
        .start();
    for (method, target) in [("POST", "/v1/cache/purge"), ("POST", "/v1/cache/ban")] {
        let request = Request::new(method, target)
            .host("localhost")
            .header("Content-Length", "0");
        assert_eq!(client::fetch(proxy.admin(), &request).status, 401, "{target}");
    }
    let bans: Value = proxy.ask("/v1/cache/bans").json();
    assert_eq!(bans, json!({ "bans": [] }));
    assert!(
        cache(&proxy, &["purge", "--all"]).contains("0 responses"),
        "the token of the configuration"
    );
}

#[test]
fn what_is_stored_is_shown_with_its_arithmetic() {
    let origin = Origin::start(|request| {
        let response = Response::text("body")
            .header("Vary", "Accept-Language")
            .header("Surrogate-Key", "one two");
        match request.target.as_str() {
            "/old" => response
                .header("Cache-Control", "max-age=10")
                .header("Age", "10")
                .header("ETag", "\"v\""),
            _ => response
                .header("Cache-Control", "max-age=10, s-maxage=600")
                .header("Age", "7"),
        }
    });
    let proxy = caching(&origin, "");
    let inspect = |arguments: &[&str]| -> Value {
        let text = cache(&proxy, &[&["inspect", "--json"], arguments].concat());
        let answer: Value = serde_json::from_str(&text).unwrap();
        answer["stored"].clone()
    };
    assert_eq!(inspect(&["http://example.org/a"]), json!([]));
    assert!(cache(&proxy, &["inspect", "example.org/a"]).contains("nothing is stored"));
    for path in ["/a", "/a", "/old"] {
        let request = Request::get(path).host("example.org").header("Accept-Language", "de");
        assert_eq!(proxy.fetch(&request).status, 200);
    }
    let stored = inspect(&["https://example.org/a", "-H", "Accept-Language: de"]);
    let stored = &stored[0];
    for (path, expected) in [
        ("/key", json!("http://example.org/a")),
        ("/route", json!("all")),
        ("/tier", json!("memory")),
        ("/body", json!(4)),
        ("/served", json!(1)),
        ("/selected", json!(true)),
        ("/vary", json!(["accept-language"])),
        ("/tags", json!(["one", "two"])),
        ("/freshness/lifetime", json!(600)),
        ("/freshness/lifetime_from", json!("s-maxage")),
        ("/verdict", json!("serve")),
    ] {
        assert_eq!(stored.pointer(path), Some(&expected), "{path}");
    }
    let number = |path: &str| stored.pointer(path).and_then(Value::as_i64).unwrap();
    assert!(number("/freshness/initial_age") >= 7);
    assert_eq!(number("/freshness/ttl"), 600 - number("/freshness/age"));
    let other = inspect(&["example.org/a", "-H", "Accept-Language: fr"]);
    assert_eq!(
        (&other[0]["selected"], &other[0]["verdict"]),
        (&json!(false), &json!("ask"))
    );
    let text = cache(&proxy, &["inspect", "example.org/old", "-H", "Accept-Language: de"]);
    assert!(
        text.contains("ask: stale for") && text.contains("from max-age"),
        "{text}"
    );
}

fn cache(proxy: &Proxy, arguments: &[&str]) -> String {
    let output = proxy.weir(&[&["cache"], arguments].concat());
    assert!(output.success, "{arguments:?}: {}", output.stderr);
    output.stdout
}
