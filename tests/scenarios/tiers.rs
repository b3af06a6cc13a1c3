//! A tier of Weirs: edges ask regional ones by a hash of the URL, and those ask the origin.

use weir_tests::message::{Request, Response};
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, configure};

/// A Weir that caches in front of these servers.
fn tier(name: &str, servers: &[std::net::SocketAddr], upstream: &str) -> Proxy {
    configure()
        .top(&format!("cdn_id = \"{name}.example.org\"\nvia = \"{name}\""))
        .listener("http")
        .route("all", "next", "cache = true")
        .upstream("next", servers, upstream)
        .tables(&format!("[cache]\ntags = \"pass\"\nstatus = \"{name}\""))
        .start()
}

const BY_URL: &str = "balance = \"consistent-hash\"\nhash = \"target\"";

#[test]
fn an_edge_asks_the_same_regional_cache_for_the_same_url() {
    let origin = Origin::start(|request| {
        Response::text(request.target.clone())
            .header("Cache-Control", "max-age=60")
            .header("Surrogate-Key", "all")
    });
    let regional = [
        tier("regional", &[origin.address()], ""),
        tier("regional", &[origin.address()], ""),
    ];
    let addresses = regional.each_ref().map(Proxy::address);
    let edges = [tier("edge", &addresses, BY_URL), tier("edge", &addresses, BY_URL)];
    let paths: Vec<_> = (0..20).map(|number| format!("/{number}")).collect();
    for edge in &edges {
        for path in &paths {
            assert_eq!(edge.get(path).text_body(), *path);
        }
    }
    assert_eq!(
        origin.requests(),
        paths.len(),
        "the second edge finds all of it in the region"
    );
    for cache in &regional {
        let misses = cache.metric("weir_cache_lookups_total", &[("result", "miss")]);
        assert!((1.0..20.0).contains(&misses), "{misses} of 20 URLs with one of two");
    }
    let request = &origin.seen()[0];
    assert_eq!(
        request.headers.all("cdn-loop"),
        ["edge.example.org", "regional.example.org"]
    );
    assert_eq!(request.headers.get("via"), Some("1.1 edge, 1.1 regional"));

    assert_eq!(
        edges[0].get("/0").headers.get("surrogate-key"),
        Some("all"),
        "for whoever purges the edges"
    );
}

#[test]
fn a_loop_is_broken() {
    let origin = Origin::text("");
    let proxy = tier("edge", &[origin.address()], "");
    for field in ["edge.example.org", "other, Edge.example.org; why=\"a, b\""] {
        let request = Request::get("/")
            .header("CDN-Loop", field)
            .header("Connection", "CDN-Loop");
        assert_eq!(proxy.fetch(&request).status, 508, "{field}");
    }
    assert_eq!(origin.requests(), 0);
    let request = Request::get("/")
        .header("CDN-Loop", "other; a=1")
        .header("Connection", "CDN-Loop");
    assert_eq!(proxy.fetch(&request).status, 200);
    assert_eq!(
        origin.only_request().headers.all("cdn-loop"),
        ["other; a=1", "edge.example.org"]
    );
    proxy.await_metric("weir_refusals_total", &[("reason", "loop")], 2.0);
}
