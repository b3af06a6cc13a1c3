//! RFC 5861 (stale responses), RFC 9211 (`Cache-Status`), RFC 9213 (targeted fields), and what the operator may say.

use std::sync::atomic::{AtomicUsize, Ordering};

use weir_tests::message::{Request, Response};
use weir_tests::origin::Origin;
use weir_tests::proxy::configure;
use weir_tests::sync::eventually;

use super::By::{Cache, Origin as FromOrigin, Validation};
use super::{FUTURE, PAST, case, run, run_with};

const FRESH: (&str, &str) = ("Cache-Control", "max-age=60");
const TAG: (&str, &str) = ("ETag", "\"a\"");

#[test]
fn rfc5861_4_stale_if_error() {
    let stale = |control: &'static str| [("Cache-Control", control), ("Age", "20"), TAG];
    let row = |name: &str, control, wish, status, body| {
        case(format!("RFC 5861 §4: {name}"))
            .origin(&stale(control))
            .get_with(&[("Cache-Control", wish)], Validation)
            .planned_with(503, &[], "error")
            .status(status)
            .body(body)
    };
    run(vec![
        row(
            "in the response",
            "max-age=10, stale-if-error=60",
            "x",
            200,
            "0123456789",
        ),
        row("in the request", "max-age=10", "stale-if-error=60", 200, "0123456789"),
        row("exceeded", "max-age=10, stale-if-error=5", "x", 503, "error"),
        row(
            "exceeded in the request",
            "max-age=10",
            "stale-if-error=5",
            503,
            "error",
        ),
        row("not without", "max-age=10", "x", 503, "error"),
        row(
            "not against must-revalidate",
            "max-age=10, must-revalidate, stale-if-error=60",
            "x",
            503,
            "error",
        ),
    ]);
}

#[test]
fn rfc9211_cache_status() {
    run(vec![
        case("RFC 9211: miss and hit")
            .origin(&[FRESH])
            .header("cache-status", "weir; fwd=uri-miss; stored; ttl=…")
            .get(Cache)
            .header("cache-status", "weir; hit; ttl=…"),
        case("RFC 9211: not stored, and why")
            .origin(&[("Cache-Control", "private")])
            .header("cache-status", "weir; fwd=uri-miss; detail=private"),
        case("RFC 9211: another variant")
            .get_with(&[("Foo", "1")], FromOrigin)
            .planned(200, &[FRESH, ("Vary", "Foo")])
            .get_with(&[("Foo", "2")], FromOrigin)
            .header("cache-status", "weir; fwd=vary-miss…"),
        case("RFC 9211: the client's wish")
            .origin(&[FRESH])
            .get_with(&[("Cache-Control", "no-cache")], FromOrigin)
            .header("cache-status", "weir; fwd=request…"),
        case("RFC 9211: stale, and still good")
            .origin(&[("Cache-Control", "no-cache"), TAG])
            .get(Validation)
            .planned(304, &[FRESH])
            .header("cache-status", "weir; fwd=stale; fwd-status=304; ttl=…"),
        case("RFC 9211: methods")
            .ask("DELETE", &[], FromOrigin)
            .header("cache-status", "weir; fwd=method"),
        case("RFC 9211: bypassed")
            .get_with(&[("Cache-Control", "no-store")], FromOrigin)
            .header("cache-status", "weir; fwd=bypass; detail=no-store"),
        case("RFC 9211: behind another cache")
            .origin(&[FRESH, ("Cache-Status", "inner; hit")])
            .header("cache-status", "inner; hit"),
    ]);
    run_with(
        "[cache]\nstatus = \"edge\"\nstatus_key = true",
        vec![
            case("RFC 9211: by another name, with the key")
                .origin(&[FRESH])
                .get(Cache)
                .header("cache-status", "edge; hit; ttl=…; key=\"http://weir.test /0\""),
        ],
    );
    run_with(
        "[cache]\nstatus = \"off\"",
        vec![
            case("RFC 9211: off")
                .origin(&[FRESH])
                .without("cache-status")
                .get(Cache)
                .without("cache-status"),
        ],
    );
}

#[test]
fn rfc9213_targeted_fields() {
    let row = |name: &str, lines: super::Lines<'_>, by| case(format!("RFC 9213: {name}")).origin(lines).get(by);
    let cdn = |value: &'static str| ("CDN-Cache-Control", value);
    run(vec![
        row("max-age", &[cdn("max-age=60")], Cache),
        row("2^31 and more", &[cdn("max-age=99999999999")], Cache),
        row("zero", &[cdn("max-age=0"), ("Expires", FUTURE)], FromOrigin),
        row(
            "before Cache-Control",
            &[cdn("max-age=60"), ("Cache-Control", "no-store")],
            Cache,
        ),
        row(
            "before Cache-Control, the other way",
            &[cdn("no-store"), FRESH],
            FromOrigin,
        ),
        row("before Expires", &[cdn("max-age=60"), ("Expires", PAST)], Cache),
        row("private", &[cdn("private"), FRESH], FromOrigin),
        row("no-cache", &[cdn("no-cache"), FRESH], FromOrigin),
        row("extensions", &[cdn("foobar, max-age=60")], Cache),
        row("an older response", &[cdn("max-age=60"), ("Age", "120")], FromOrigin),
        row(
            "§2.1: invalid is ignored",
            &[cdn("max-age=60, &&&"), ("Cache-Control", "no-store")],
            FromOrigin,
        ),
        row(
            "§2.1: of the wrong type",
            &[cdn("max-age=\"60\""), ("Cache-Control", "no-store")],
            FromOrigin,
        ),
        row("§2.1: empty is ignored", &[cdn(""), FRESH], Cache),
        row(
            "our own name goes first",
            &[("Weir-Cache-Control", "no-store"), cdn("max-age=60")],
            FromOrigin,
        ),
        row(
            "Surrogate-Control",
            &[("Surrogate-Control", "max-age=60"), ("Cache-Control", "no-store")],
            Cache,
        ),
        row(
            "Surrogate-Control for another",
            &[("Surrogate-Control", "max-age=60;other")],
            FromOrigin,
        ),
        case("RFC 9213 §2.2: they are passed on")
            .origin(&[cdn("max-age=60")])
            .get(Cache)
            .header("cdn-cache-control", "max-age=60"),
    ]);
}

#[test]
fn rules_of_the_operator() {
    let rules = "[cache.rules]\nnegative = \"30s\"\nlifetime = \"10s\"\ngrace = \"60s\"\nset_cookie = \"store\"\n\
                 query = \"sorted\"\nignore_query = [\"utm_*\"]\ntargeted = []\nnormalise = [\"Foo\"]";
    run_with(
        rules,
        vec![
            case("negative")
                .ask("GET", &[], FromOrigin)
                .planned(404, &[])
                .get(Cache)
                .status(404),
            case("negative, and the response says otherwise")
                .ask("GET", &[], FromOrigin)
                .planned(404, &[("Cache-Control", "no-store")])
                .get(FromOrigin),
            case("lifetime").origin(&[]).get(Cache),
            case("set_cookie")
                .origin(&[FRESH, ("Set-Cookie", "a=b")])
                .get(Cache)
                .header("set-cookie", "a=b"),
            case("targeted")
                .origin(&[("CDN-Cache-Control", "no-store"), FRESH])
                .get(Cache),
            case("normalise")
                .get_with(&[("Foo", "a, B")], FromOrigin)
                .planned(200, &[FRESH, ("Vary", "Foo")])
                .get_with(&[("Foo", "b,A")], Cache),
            case("query").origin(&[FRESH]).at("?b=1&a=2").get(Cache).at("?a=2&b=1"),
            case("ignore_query")
                .origin(&[FRESH])
                .at("?a=2&utm_source=x")
                .get(Cache)
                .at("?a=2")
                .get(Cache)
                .at("?utm_id=y&a=2"),
        ],
    );
}

/// What an origin answers first, old already, and then.
fn refreshed(control: &'static str) -> Origin {
    let count = AtomicUsize::new(0);
    Origin::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Response::text("old")
            .header("Cache-Control", control)
            .header("Age", "20")
            .header("ETag", "\"a\""),
        _ => Response::text("new").header("Cache-Control", "max-age=60"),
    })
}

#[test]
fn rfc5861_3_stale_while_revalidate() {
    for (control, tables) in [
        ("max-age=10, stale-while-revalidate=60", ""),
        ("max-age=10", "[cache.rules]\ngrace = \"60s\""),
    ] {
        for request in [
            Request::get("/"),
            Request::get("/").header("Range", "bytes=0-2"),
            Request::new("HEAD", "/"),
        ] {
            let origin = refreshed(control);
            let proxy = configure()
                .listener("http")
                .route("all", "app", "cache = true")
                .upstream("app", &[origin.address()], "")
                .tables(tables)
                .start();
            assert_eq!(proxy.get("/").text_body(), "old");
            let stale = proxy.fetch(&request);
            let said = stale.headers.get("cache-status").unwrap_or_default();
            assert!(said.starts_with("weir; hit; ttl=-"), "{said}");
            origin.await_requests(2);
            let asked = origin.seen().pop().unwrap();
            assert_eq!((asked.method.as_str(), asked.headers.get("range")), ("GET", None));
            eventually("the new response", || {
                (proxy.get("/").text_body() == "new").then_some(())
            });
            assert_eq!(origin.requests(), 2);
        }
    }
}
