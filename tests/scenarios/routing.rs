//! The most specific route wins, whatever the order of the file.

use weir_tests::message::Request;
use weir_tests::origin::Origin;
use weir_tests::proxy::{Builder, Proxy, configure};

/// A proxy whose routes answer with their own names; rows are a name and the keys of the route.
fn routes(rows: &[(&str, &str)]) -> (Vec<Origin>, Proxy) {
    let origins: Vec<_> = rows.iter().map(|(name, _)| Origin::text(name)).collect();
    let add = |builder: Builder, ((name, keys), origin): (&(&str, &str), &Origin)| {
        builder.route(name, name, keys).upstream(name, &[origin.address()], "")
    };
    let proxy = rows
        .iter()
        .zip(&origins)
        .fold(configure().listener("http"), add)
        .start();
    (origins, proxy)
}

fn route_of(proxy: &Proxy, request: Request) -> String {
    let response = proxy.fetch(&request);
    if response.status == 200 {
        response.text_body()
    } else {
        response.status.to_string()
    }
}

#[test]
fn by_host() {
    let (_origins, proxy) = routes(&[
        ("any", ""),
        ("wildcard", "hosts = [\"*.example.test\"]"),
        ("deep-wildcard", "hosts = [\"*.b.example.test\"]"),
        ("exact", "hosts = [\"a.example.test\", \"other.test\"]"),
    ]);
    let rows = [
        ("a.example.test", "exact"),
        ("A.Example.Test:8080", "exact"),
        ("other.test", "exact"),
        ("c.example.test", "wildcard"),
        ("x.b.example.test", "deep-wildcard"),
        ("b.example.test", "wildcard"),
        ("example.test", "any"),
        ("badexample.test", "any"),
    ];
    for (host, route) in rows {
        assert_eq!(route_of(&proxy, Request::get("/").host(host)), route, "{host}");
    }
}

#[test]
fn by_path() {
    let (_origins, proxy) = routes(&[
        ("root", ""),
        ("api", "path_prefix = \"/api\""),
        ("v2", "path_prefix = \"/api/v2\""),
        ("exact", "path = \"/api/v2/status\""),
        ("pattern", "path_pattern = \"/user/[0-9]+\""),
    ]);
    let rows = [
        ("/", "root"),
        ("/apis", "root"),
        ("/api", "api"),
        ("/api/", "api"),
        ("/api/v1?x=/api/v2", "api"),
        ("/api/v2/x", "v2"),
        ("/api/v2/status", "exact"),
        ("/api/v2/status/x", "v2"),
        ("/user/42", "pattern"),
        ("/user/me", "root"),
    ];
    for (path, route) in rows {
        assert_eq!(route_of(&proxy, Request::get(path)), route, "{path}");
    }
}

#[test]
fn by_method_and_header() {
    let (_origins, proxy) = routes(&[
        ("any", "path_prefix = \"/a\""),
        ("writes", "path_prefix = \"/a\"\nmethods = [\"POST\", \"PUT\"]"),
        ("beta", "path_prefix = \"/a\"\nheaders = { x-beta = \"1\" }"),
    ]);
    assert_eq!(route_of(&proxy, Request::get("/a")), "any");
    assert_eq!(route_of(&proxy, Request::post("/a", "x")), "writes");
    assert_eq!(route_of(&proxy, Request::get("/a").header("X-Beta", "1")), "beta");
    assert_eq!(route_of(&proxy, Request::get("/a").header("X-Beta", "2")), "any");
    assert_eq!(route_of(&proxy, Request::get("/b")), "404", "no route fits");
}

#[test]
fn a_host_counts_for_more_than_a_path() {
    let (_origins, proxy) = routes(&[("path", "path_prefix = \"/api/v2\""), ("host", "hosts = [\"a.test\"]")]);
    assert_eq!(route_of(&proxy, Request::get("/api/v2/x").host("a.test")), "host");
    assert_eq!(route_of(&proxy, Request::get("/api/v2/x").host("b.test")), "path");
}

#[test]
fn what_goes_upstream_may_differ_from_what_came() {
    let origin = Origin::text("ok");
    let keys = "path_prefix = \"/app\"\nstrip_prefix = \"/app\"\nhost_header = \"=inside.test\"";
    let proxy = configure()
        .listener("http")
        .route("app", "app", keys)
        .upstream("app", &[origin.address()], "")
        .start();
    assert_eq!(proxy.get("/app/page?x=1").status, 200);
    assert_eq!(proxy.get("/app").status, 200);
    let seen = origin.seen();
    assert_eq!((seen[0].target.as_str(), seen[1].target.as_str()), ("/page?x=1", "/"));
    assert_eq!(seen[0].headers.all("host"), ["inside.test"]);
}
