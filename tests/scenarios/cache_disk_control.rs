//! What operators and plugins decide about stored responses holds for the disk as well, and in the next process.

use serde_json::{Value, json};
use weir_tests::bundle::Bundle;
use weir_tests::message::{Request, Response};
use weir_tests::origin::Origin;
use weir_tests::proxy::{self, Proxy};

fn caching(origin: &Origin) -> Proxy {
    proxy::caching(origin)
        .tables("[cache]\nsize = \"16MiB\"\n[cache.disk]\npath = \"disk\"")
        .start()
}

/// Says its path, and 304 to whoever has that.
fn validating() -> Origin {
    Origin::start(|request| {
        let known = request.headers.get("if-none-match").is_some();
        let response = if known {
            Response::new(304)
        } else {
            Response::text(request.target.clone())
        };
        response.header("Cache-Control", "max-age=3600").header("ETag", "\"v\"")
    })
}

fn cache(proxy: &Proxy, arguments: &[&str]) -> String {
    let output = proxy.weir(&[&["cache"], arguments].concat());
    assert!(output.success, "{arguments:?}: {}", output.stderr);
    output.stdout
}

/// What the origin was asked by these requests, with the condition where there was one.
fn asked(origin: &Origin, proxy: &Proxy, paths: &[&str]) -> Vec<String> {
    let before = origin.requests();
    for path in paths {
        assert_eq!(proxy.get(path).text_body(), *path);
    }
    let shown = |request: &Request| match request.headers.get("if-none-match") {
        Some(tag) => format!("{} {tag}", request.target),
        None => request.target.clone(),
    };
    origin.seen().iter().skip(before).map(shown).collect()
}

#[test]
fn a_soft_purge_outlives_the_process() {
    let origin = validating();
    let proxy = caching(&origin);
    assert_eq!(asked(&origin, &proxy, &["/url", "/ban", "/kept"]).len(), 3);
    // From here on only the disk has them.
    let proxy = proxy.restart();
    let purged = cache(&proxy, &["purge", "--soft", "http://weir.test/url"]);
    assert!(purged.contains("1 response made stale"), "{purged}");
    let banned = cache(&proxy, &["ban", "--soft", "req.url == /ban"]);
    assert!(banned.contains("1 response made stale"), "{banned}");
    let proxy = proxy.restart();
    assert_eq!(
        asked(&origin, &proxy, &["/url", "/ban", "/kept"]),
        ["/url \"v\"", "/ban \"v\""],
        "what is stale is asked about"
    );
    let proxy = proxy.restart();
    assert_eq!(
        asked(&origin, &proxy, &["/url", "/ban", "/kept"]),
        [""; 0],
        "and fresh again"
    );
}

#[test]
fn a_ban_that_asks_for_a_request_waits_for_one_on_the_disk_too() {
    let origin = validating();
    let proxy = caching(&origin);
    assert_eq!(asked(&origin, &proxy, &["/a", "/b", "/c"]).len(), 3);
    let proxy = proxy.restart();
    cache(&proxy, &["ban", "req.http.x-fresh == yes"]);
    assert!(cache(&proxy, &["bans"]).contains("pending"));
    assert_eq!(proxy.metric("weir_cache_disk_objects", &[]), 3.0);
    assert_eq!(asked(&origin, &proxy, &["/a"]), [""; 0]);
    let before = origin.requests();
    proxy.fetch(&Request::get("/b").header("X-Fresh", "yes"));
    assert_eq!(origin.requests(), before + 1, "the ban is about this request");
    assert_eq!(asked(&origin, &proxy, &["/b", "/c"]), [""; 0]);
}

#[test]
fn a_ban_outlives_the_process_and_spares_what_comes_after_it() {
    let origin = validating();
    let proxy = caching(&origin);
    assert_eq!(asked(&origin, &proxy, &["/old", "/unasked"]).len(), 2);
    cache(&proxy, &["ban", "req.http.x-fresh == yes"]);
    assert_eq!(asked(&origin, &proxy, &["/new"]).len(), 1);
    let proxy = proxy.crash();
    assert!(cache(&proxy, &["bans"]).contains("req.http.x-fresh == yes"));
    let fetched = |path: &str| {
        let before = origin.requests();
        proxy.fetch(&Request::get(path).header("X-Fresh", "yes"));
        origin.requests() - before
    };
    assert_eq!(fetched("/new"), 0, "it was stored after the ban");
    assert_eq!(fetched("/old"), 1);
    assert_eq!(fetched("/old"), 0, "and what replaced it was as well");
    assert_eq!(fetched("/unasked"), 1);
}

#[test]
fn what_is_in_memory_and_on_the_disk_counts_once() {
    let origin = validating();
    let proxy = caching(&origin);
    assert_eq!(asked(&origin, &proxy, &["/a", "/b"]).len(), 2);
    let banned = cache(&proxy, &["ban", "req.url ~ ^/"]);
    assert!(banned.contains("2 responses removed"), "{banned}");
}

#[test]
fn what_the_disk_has_is_shown() {
    let origin = validating();
    let proxy = caching(&origin);
    assert_eq!(asked(&origin, &proxy, &["/a"]), ["/a"]);
    let inspect = |proxy: &Proxy| -> Value {
        let text = cache(proxy, &["inspect", "--json", "http://weir.test/a"]);
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        answer["stored"].clone()
    };
    assert_eq!(inspect(&proxy)[0]["tier"], json!("memory and disk"));
    let proxy = proxy.restart();
    let stored = inspect(&proxy);
    for (path, expected) in [
        ("/0/key", json!("http://weir.test/a")),
        ("/0/tier", json!("disk")),
        ("/0/body", json!(2)),
        ("/0/served", json!(0)),
        ("/0/selected", json!(true)),
        ("/0/freshness/lifetime", json!(3600)),
        ("/0/freshness/lifetime_from", json!("max-age")),
        ("/0/verdict", json!("serve")),
        ("/1", Value::Null),
    ] {
        let shown = stored.pointer(path).cloned().unwrap_or_default();
        assert_eq!(shown, expected, "{path}");
    }
    assert_eq!(
        proxy.metric("weir_cache_disk_hits_total", &[]),
        0.0,
        "who looks is no hit"
    );
    assert_eq!(asked(&origin, &proxy, &["/a"]), [""; 0]);
    assert_eq!(inspect(&proxy)[0]["tier"], json!("memory and disk"));
    cache(&proxy, &["purge", "--soft", "http://weir.test/a"]);
    let proxy = proxy.restart();
    assert_eq!(inspect(&proxy)[0]["verdict"], json!("ask"));
}

#[test]
fn what_a_plugin_decided_is_on_the_disk() {
    let origin = Origin::start(|_| {
        Response::text("decided")
            .header("X-Cache-Lifetime", "3600")
            .header("X-Cache-Kind", "cover")
    });
    let proxy = caching(&origin);
    let bundle = Bundle::new("caching", "1").guest("cache-policy", "");
    let output = proxy.weir(&["deploy", &bundle.path()]);
    assert!(output.success, "{}{}", output.stdout, output.stderr);
    let get = |proxy: &Proxy, query: &str| {
        let request = Request::get(&format!("/a?{query}")).header("X-Cache-Device", "phone");
        assert_eq!(proxy.fetch(&request).text_body(), "decided");
    };
    get(&proxy, "x=1");
    let proxy = proxy.restart();
    get(&proxy, "x=2");
    assert_eq!(origin.requests(), 1, "its lifetime and its key");
    let proxy = proxy.restart();
    cache(&proxy, &["purge", "--tag", "cover"]);
    get(&proxy, "x=3");
    assert_eq!(origin.requests(), 2, "its tags");
}
