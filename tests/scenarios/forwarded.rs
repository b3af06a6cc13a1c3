//! The origin learns who asked, and nobody can lie to it.

use weir_tests::message::{Request, Response};
use weir_tests::origin::Origin;
use weir_tests::proxy::in_front_of;

fn seen_with(top: &str, request: Request) -> Request {
    let origin = Origin::text("ok");
    let proxy = in_front_of(&origin).top(top).start();
    assert_eq!(proxy.fetch(&request).status, 200);
    origin.only_request()
}

fn spoofed() -> Request {
    Request::get("/")
        .header("X-Forwarded-For", "203.0.113.9")
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Host", "evil.test")
        .header("Forwarded", "for=203.0.113.9;proto=https")
        .header("X-Real-IP", "203.0.113.9")
}

#[test]
fn who_asked_and_how() {
    let seen = seen_with("", Request::get("/"));
    assert_eq!(seen.headers.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.headers.all("x-forwarded-proto"), ["http"]);
    assert_eq!(seen.headers.all("x-forwarded-host"), ["weir.test"]);
    assert_eq!(seen.headers.all("via"), ["1.1 weir"], "RFC 9110 §7.6.3");
    assert_eq!(seen.headers.all("x-request-id").len(), 1);
    assert_eq!(seen.headers.all("host"), ["weir.test"]);
}

#[test]
fn what_an_unknown_client_claims_is_removed() {
    let seen = seen_with("", spoofed());
    assert_eq!(seen.headers.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.headers.all("x-forwarded-proto"), ["http"]);
    assert_eq!(seen.headers.all("x-forwarded-host"), ["weir.test"]);
    let all = format!("{:?}", seen.headers);
    assert!(!all.contains("203.0.113.9") && !all.contains("evil.test"), "{all}");
}

#[test]
fn what_a_trusted_proxy_says_is_kept() {
    let seen = seen_with("trusted_proxies = [\"127.0.0.0/8\"]", spoofed());
    let chain = seen.headers.all("x-forwarded-for").join(", ");
    assert_eq!(chain, "203.0.113.9, 127.0.0.1");
    assert_eq!(seen.headers.all("x-forwarded-proto"), ["https"]);
}

#[test]
fn several_hosts_can_be_named_in_via() {
    let seen = seen_with("via = \"edge-7\"", Request::get("/").header("Via", "1.0 inner"));
    assert_eq!(seen.headers.all("via").join(", "), "1.0 inner, 1.1 edge-7");
}

/// A gateway need not name itself in responses (RFC 9110 §7.6.3), and must not hide who did.
#[test]
fn the_via_of_a_response_stays() {
    let origin = Origin::start(|_| Response::text("ok").header("Via", "1.1 app"));
    let proxy = in_front_of(&origin).start();
    assert_eq!(proxy.get("/").headers.all("via").join(", "), "1.1 app");
}
