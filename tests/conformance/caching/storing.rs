//! RFC 9111 §3: storing responses in caches.

use super::By::{Cache, Origin};
use super::{FUTURE, PAST, case, run};

const FRESH: (&str, &str) = ("Cache-Control", "max-age=60");

#[test]
fn section_3_which_responses_may_be_stored() {
    let mut cases = vec![
        case("§3: a response with a lifetime")
            .origin(&[FRESH])
            .get(Cache)
            .body("0123456789"),
        case("§3: no lifetime and no validator").origin(&[]).get(Origin),
        case("§3: no-store in the response")
            .origin(&[("Cache-Control", "no-store, max-age=60")])
            .get(Origin),
        case("§3: private in a shared cache")
            .origin(&[("Cache-Control", "private, max-age=60")])
            .get(Origin),
        case("§5.2.1.5: no-store in the request")
            .get_with(&[("Cache-Control", "no-store")], Origin)
            .planned(200, &[FRESH])
            .get(Origin),
        case("§3: methods other than GET are not understood")
            .ask("POST", &[("Content-Length", "0")], Origin)
            .planned(200, &[FRESH])
            .get(Origin),
        case("RFC 9110 §9.3.3: POST with Content-Location and a lifetime")
            .ask("POST", &[("Content-Length", "0")], Origin)
            .planned(200, &[FRESH, ("Content-Location", "")])
            .get(Cache),
        case("§3: interim and partial statuses")
            .ask("GET", &[], Origin)
            .planned(206, &[FRESH])
            .get(Origin),
        case("§5.2.2.3: must-understand, understood")
            .origin(&[("Cache-Control", "max-age=60, no-store, must-understand")])
            .get(Cache),
        case("§5.2.2.3: must-understand, not understood")
            .ask("GET", &[], Origin)
            .planned(599, &[("Cache-Control", "max-age=60, no-store, must-understand")])
            .get(Origin),
        case("§4.1: Vary: *").origin(&[FRESH, ("Vary", "*")]).get(Origin),
        case("a response that sets a cookie")
            .origin(&[FRESH, ("Set-Cookie", "a=b")])
            .get(Origin),
        case("a request with a cookie")
            .origin(&[FRESH])
            .get_with(&[("Cookie", "a=b")], Cache),
    ];
    for status in [
        200, 203, 204, 299, 300, 301, 302, 303, 307, 308, 400, 404, 410, 414, 499, 500, 501, 502, 503, 504, 599,
    ] {
        let fresh = case(format!("§3: {status} with a lifetime")).ask("GET", &[], Origin);
        cases.push(fresh.planned(status, &[FRESH]).get(Cache).status(status));
        let stale = case(format!("§3: {status}, stale")).ask("GET", &[], Origin);
        cases.push(stale.planned(status, &[("Expires", PAST)]).get(Origin));
    }
    let heuristic = [("Last-Modified", PAST)];
    for status in [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501] {
        let case = case(format!("§4.2.2: {status} may be given a lifetime")).ask("GET", &[], Origin);
        cases.push(case.planned(status, &heuristic).get(Cache).status(status));
    }
    for status in [201, 202, 302, 303, 307, 400, 403, 500, 502, 503, 504, 599] {
        let case = case(format!("§4.2.2: {status} may not be given a lifetime")).ask("GET", &[], Origin);
        cases.push(case.planned(status, &heuristic).get(Origin));
    }
    cases.push(
        case("§5.2.2.9: public makes any status storable")
            .ask("GET", &[], Origin)
            .planned(599, &[("Cache-Control", "public"), heuristic[0]])
            .get(Cache),
    );
    run(cases);
}

#[test]
fn section_3_1_which_fields_are_stored() {
    let hop = [
        ("Connection", "close, A, b"),
        ("a", "1"),
        ("B", "2"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Authenticate", "Basic"),
        ("Proxy-Connection", "x"),
        ("Proxy-Authentication-Info", "x"),
        ("TE", "x"),
        ("Upgrade", "x"),
        ("Proxy-Authorization", "x"),
    ];
    let mut answer = vec![FRESH, ("c", "3"), ("X-Unknown", "4")];
    answer.extend(hop);
    let mut hops = case("§3.1: fields of one connection")
        .origin(&answer)
        .get(Cache)
        .header("c", "3")
        .header("x-unknown", "4");
    for (name, _) in hop.iter().filter(|(name, _)| *name != "Connection") {
        hops = hops.without(name);
    }
    run(vec![
        hops,
        case("§5.2.2.4: no-cache with field names")
            .origin(&[
                FRESH,
                ("Cache-Control", "no-cache=\"a, b\""),
                ("a", "1"),
                ("b", "2"),
                ("c", "3"),
            ])
            .header("a", "1")
            .get(Cache)
            .without("a")
            .without("b")
            .header("c", "3"),
        case("§5.2.2.7: private with field names")
            .origin(&[FRESH, ("Cache-Control", "private=\"a\""), ("a", "1"), ("b", "2")])
            .get(Cache)
            .without("a")
            .header("b", "2"),
        case("§5.2.2.4: a cookie that is named does not hinder")
            .origin(&[
                FRESH,
                ("Cache-Control", "no-cache=\"Set-Cookie\""),
                ("Set-Cookie", "a=b"),
            ])
            .header("set-cookie", "a=b")
            .get(Cache)
            .without("set-cookie"),
        case("RFC 9110 §6.6.1: Date is not updated")
            .origin(&[FRESH, ("Date", FUTURE)])
            .get(Cache)
            .header("date", FUTURE),
    ]);
}

#[test]
fn section_3_3_and_3_4_incomplete_and_partial_responses() {
    run(vec![
        case("§3.3: a 206 that nobody asked for is not the whole")
            .ask("GET", &[], Origin)
            .planned(206, &[FRESH, ("Content-Range", "bytes 0-9/20")])
            .get(Origin),
        case("§3.4: a part is not served as the whole")
            .get_with(&[("Range", "bytes=0-4")], Origin)
            .planned_with(206, &[FRESH, ("Content-Range", "bytes 0-4/10")], "01234")
            .upstream("range", "bytes=0-4")
            .status(206)
            .get(Origin)
            .status(200)
            .body("0123456789"),
    ]);
}

#[test]
fn section_3_5_requests_with_credentials() {
    let authorised = [("Authorization", "Basic eA==")];
    let with = |name: &str, control| {
        case(format!("§3.5: {name}"))
            .get_with(&authorised, Origin)
            .planned(200, &[("Cache-Control", control)])
            .upstream("authorization", "Basic eA==")
    };
    run(vec![
        with("not without permission", "max-age=60").get(Origin),
        with("public", "max-age=60, public").get(Cache),
        with("must-revalidate", "max-age=60, must-revalidate").get(Cache),
        with("s-maxage", "s-maxage=60").get(Cache),
        with("proxy-revalidate is not enough", "max-age=60, proxy-revalidate").get(Origin),
        case("§3.5: what is stored answers requests with credentials")
            .origin(&[FRESH])
            .get_with(&authorised, Cache),
        case("§3.5: what is not storable is validated by nobody")
            .get_with(&authorised, Origin)
            .planned(200, &[FRESH, ("ETag", "\"a\"")])
            .get_with(&authorised, Origin)
            .upstream_without("if-none-match"),
    ]);
}
