//! RFC 9111 §4.3: validation, of stored responses with the origin and of clients' with what is stored.

use super::By::{Cache, Origin, Validation};
use super::{FUTURE, LATER, PAST, case, run};

const FRESH: (&str, &str) = ("Cache-Control", "max-age=60");
const NO_CACHE: (&str, &str) = ("Cache-Control", "no-cache");
const TAG: (&str, &str) = ("ETag", "\"a\"");

#[test]
fn section_4_3_1_sending_a_validation_request() {
    run(vec![
        case("§4.3.1: an ETag")
            .origin(&[NO_CACHE, TAG])
            .get(Validation)
            .upstream("if-none-match", "\"a\""),
        case("§4.3.1: a weak ETag")
            .origin(&[NO_CACHE, ("ETag", "W/\"a\"")])
            .get(Validation)
            .upstream("if-none-match", "W/\"a\""),
        case("§4.3.1: Last-Modified")
            .origin(&[NO_CACHE, ("Last-Modified", PAST)])
            .get(Validation)
            .upstream("if-modified-since", PAST),
        case("§4.3.1: both where there are both")
            .origin(&[NO_CACHE, TAG, ("Last-Modified", PAST)])
            .get(Validation)
            .upstream("if-none-match", "\"a\"")
            .upstream("if-modified-since", PAST),
        case("§4.3.1: the fields that Vary names go along")
            .get_with(&[("Abc", "123")], Origin)
            .planned(200, &[NO_CACHE, TAG, ("Vary", "Abc")])
            .get_with(&[("Abc", "123")], Validation)
            .upstream("abc", "123"),
        case("§4.3.1: the client's own conditions stay here")
            .origin(&[NO_CACHE, TAG])
            .get_with(&[("If-None-Match", "\"b\"")], Validation)
            .upstream("if-none-match", "\"a\""),
        case("§5.2.1.4: no-cache in a request validates")
            .origin(&[FRESH, TAG])
            .get_with(&[("Cache-Control", "no-cache")], Validation)
            .planned(304, &[])
            .status(200),
    ]);
}

#[test]
fn section_4_3_2_handling_a_received_validation_request() {
    let stored = [
        FRESH,
        TAG,
        ("Last-Modified", PAST),
        ("Content-Location", "/x"),
        ("Vary", "Foo"),
        ("X", "1"),
    ];
    let row = |name: &str, lines: super::Lines<'_>, status| {
        case(format!("§4.3.2: {name}"))
            .origin(&stored)
            .get_with(lines, Cache)
            .status(status)
    };
    run(vec![
        row("the ETag", &[("If-None-Match", "\"a\"")], 304)
            .header("etag", "\"a\"")
            .header("cache-control", "max-age=60")
            .header("content-location", "/x")
            .header("vary", "Foo")
            .header("date", "…")
            .without("content-length")
            .without("x"),
        row("compared weakly", &[("If-None-Match", "W/\"a\"")], 304),
        row("the first of a list", &[("If-None-Match", "\"a\", \"b\", \"c\"")], 304),
        row("the middle of a list", &[("If-None-Match", "\"b\",\"a\" , \"c\"")], 304),
        row("the last of a list", &[("If-None-Match", "\"b\", \"c\", \"a\"")], 304),
        row(
            "on another line",
            &[("If-None-Match", "\"b\""), ("If-None-Match", "\"a\"")],
            304,
        ),
        row("`*`", &[("If-None-Match", "*")], 304),
        row("another tag", &[("If-None-Match", "\"b\"")], 200),
        row("a tag without quotes", &[("If-None-Match", "a")], 200),
        row("the date", &[("If-Modified-Since", PAST)], 304),
        row("a later date", &[("If-Modified-Since", LATER)], 304),
        row(
            "an earlier date",
            &[("If-Modified-Since", "Wed, 01 Jan 2014 00:00:00 GMT")],
            200,
        ),
        row(
            "the date in the form of RFC 850",
            &[("If-Modified-Since", "Thursday, 01-Jan-15 00:00:00 GMT")],
            304,
        ),
        row(
            "the date in the form of asctime",
            &[("If-Modified-Since", "Thu Jan  1 00:00:00 2015")],
            304,
        ),
        row("no date", &[("If-Modified-Since", "yesterday")], 200),
        row(
            "If-None-Match goes first",
            &[("If-None-Match", "\"b\""), ("If-Modified-Since", LATER)],
            200,
        ),
        row(
            "If-None-Match goes first, the other way",
            &[
                ("If-None-Match", "\"a\""),
                ("If-Modified-Since", "Wed, 01 Jan 2014 00:00:00 GMT"),
            ],
            304,
        ),
        row("If-Match is for origins", &[("If-Match", "\"b\"")], 200),
        case("§4.3.2: HEAD")
            .origin(&stored)
            .ask("HEAD", &[("If-None-Match", "\"a\"")], Cache)
            .status(304),
        case("§4.3.2: Date stands in for Last-Modified")
            .origin(&[FRESH])
            .get_with(&[("If-Modified-Since", FUTURE)], Cache)
            .status(304),
        case("§4.3.2: after a validation")
            .origin(&[NO_CACHE, TAG])
            .get_with(&[("If-None-Match", "\"a\"")], Origin)
            .planned(304, &[TAG])
            .status(304),
    ]);
}

#[test]
fn section_4_3_3_handling_a_validation_response() {
    let error = |status| {
        case(format!("§4.3.3: {status} is forwarded"))
            .origin(&[NO_CACHE, TAG])
            .get(Validation)
            .planned_with(status, &[], "error")
            .status(status)
            .body("error")
            .get(Validation)
            .planned(304, &[])
            .status(200)
            .body("0123456789")
    };
    run(vec![
        case("§4.3.3: 304")
            .origin(&[NO_CACHE, TAG])
            .get(Validation)
            .planned(304, &[])
            .status(200)
            .body("0123456789"),
        case("§4.3.3: another response replaces it")
            .origin(&[NO_CACHE, TAG])
            .get(Validation)
            .planned_with(200, &[FRESH], "new")
            .body("new")
            .get(Cache)
            .body("new"),
        error(500),
        error(503),
    ]);
}

#[test]
fn section_4_3_4_and_3_2_freshening_by_304() {
    let update = |name: &'static str, old: &'static str, new: &'static str, expected: &'static str| {
        case(format!("§3.2: {name}"))
            .origin(&[("Cache-Control", "max-age=10"), ("Age", "20"), TAG, (name, old)])
            .get(Validation)
            .planned(304, &[FRESH, TAG, (name, new)])
            .status(200)
            .header(name, expected)
            .get(Cache)
            .header(name, expected)
            .body("0123456789")
    };
    run(vec![
        update("Test-Header", "1", "2", "2"),
        update("X-Test-Header", "1", "2", "2"),
        update("Content-Foo", "1", "2", "2"),
        update("Content-Type", "text/plain", "text/html", "text/html"),
        update("Last-Modified", PAST, LATER, LATER),
        update("Content-Encoding", "gzip", "br", "gzip"),
        update("Content-Range", "bytes 0-9/10", "bytes 1-2/3", "bytes 0-9/10"),
        case("§3.2: Content-Length is not updated")
            .origin(&[NO_CACHE, TAG])
            .get(Validation)
            .planned(304, &[FRESH, TAG, ("Content-Length", "99")])
            .header("content-length", "10")
            .get(Cache)
            .header("content-length", "10"),
        case("§3.2: what a 304 leaves out stays")
            .origin(&[NO_CACHE, TAG, ("Test-Header", "1")])
            .get(Validation)
            .planned(304, &[FRESH])
            .header("test-header", "1")
            .get(Cache)
            .header("test-header", "1"),
        case("§4.3.4: a 304 about another response updates nothing")
            .origin(&[NO_CACHE, TAG, ("X", "1")])
            .get(Validation)
            .planned(304, &[FRESH, ("ETag", "\"b\""), ("X", "2")])
            .get(Origin),
        case("§4.3.4: Age is that of the 304")
            .origin(&[("Cache-Control", "max-age=10"), ("Age", "20"), TAG])
            .get(Validation)
            .planned(304, &[FRESH, TAG])
            .header("age", "0")
            .get(Cache)
            .header("age", "…"),
    ]);
}

#[test]
fn section_4_3_5_freshening_with_head() {
    let stored = [("Cache-Control", "max-age=10"), ("Age", "20"), TAG, ("X", "1")];
    run(vec![
        case("§4.3.5: the same response is updated")
            .origin(&stored)
            .ask("HEAD", &[], Origin)
            .planned(200, &[FRESH, TAG, ("X", "2")])
            .get(Cache)
            .header("x", "2")
            .body("0123456789"),
        case("§4.3.5: another ETag makes it stale")
            .origin(&[FRESH, TAG])
            .ask("HEAD", &[("Cache-Control", "no-cache")], Origin)
            .planned(200, &[FRESH, ("ETag", "\"b\"")])
            .get(Origin),
        case("§4.3.5: another length makes it stale")
            .origin(&[FRESH])
            .ask("HEAD", &[("Cache-Control", "no-cache")], Origin)
            .planned_with(200, &[FRESH], "longer than before")
            .get(Origin),
    ]);
}
