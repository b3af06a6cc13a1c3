//! RFC 9110 §14: range requests, answered by stored wholes.

use super::By::{Cache, Origin};
use super::{Case, PAST, case, run};

const STORED: [(&str, &str); 4] = [
    ("Cache-Control", "max-age=60"),
    ("ETag", "\"a\""),
    ("Last-Modified", PAST),
    ("Content-Type", "text/plain"),
];

fn range(name: &str, value: &'static str) -> Case {
    case(format!("{name}: {value}"))
        .origin(&STORED)
        .get_with(&[("Range", value)], Cache)
}

fn one(value: &'static str, content_range: &str, body: &'static str) -> Case {
    range("§14.1.2", value)
        .status(206)
        .header("content-range", content_range)
        .header("content-length", &body.len().to_string())
        .header("etag", "\"a\"")
        .header("age", "…")
        .body(body)
}

#[test]
fn section_14_parts_of_a_stored_whole() {
    run(vec![
        one("bytes=0-1", "bytes 0-1/10", "01"),
        one("bytes=1-", "bytes 1-9/10", "123456789"),
        one("bytes=-1", "bytes 9-9/10", "9"),
        one("bytes=-20", "bytes 0-9/10", "0123456789"),
        one("bytes=5-99", "bytes 5-9/10", "56789"),
        one("bytes=3-4,20-30", "bytes 3-4/10", "34"),
        range("§14.6", "bytes=0-1,8-9")
            .status(206)
            .header("content-type", "multipart/byteranges; boundary=…")
            .without("content-range"),
        range("§15.5.17", "bytes=10-")
            .status(416)
            .header("content-range", "bytes */10")
            .body(""),
        range("§14.2, another unit", "lines=0-1").status(200).body("0123456789"),
        range("§14.2, malformed", "bytes=3-2").status(200),
        range("§14.2, malformed", "bytes=a").status(200),
        range("§17.15, overlapping", "bytes=0-,0-,0-").status(200),
        range(
            "§17.15, too many",
            "bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,0-0,1-1,2-2,3-3,4-4,5-5,6-6",
        )
        .status(200),
        case("§14.2: HEAD has no ranges")
            .origin(&STORED)
            .ask("HEAD", &[("Range", "bytes=0-1")], Cache)
            .status(200),
        case("§14.2: a part of a redirect is none")
            .ask("GET", &[], Origin)
            .planned(301, &STORED)
            .get_with(&[("Range", "bytes=0-1")], Cache)
            .status(301),
    ]);
}

#[test]
fn section_13_1_5_if_range_and_other_conditions() {
    let row = |condition: &'static str, value: &'static str, status| {
        case(format!("§13: {condition}: {value}"))
            .origin(&STORED)
            .get_with(&[("Range", "bytes=0-1"), (condition, value)], Cache)
            .status(status)
    };
    run(vec![
        row("If-Range", "\"a\"", 206),
        row("If-Range", "\"b\"", 200),
        row("If-Range", "W/\"a\"", 200),
        row("If-Range", PAST, 206),
        row("If-Range", super::LATER, 200),
        row("If-None-Match", "\"a\"", 304),
        row("If-None-Match", "\"b\"", 206),
        row("If-Modified-Since", PAST, 304),
        row("If-Modified-Since", "THU, 01 JAN 2015 00:00:00 gmt", 304),
        row("If-Modified-Since", "Thursday, 01-Jan-15 00:00:00 GMT", 304),
    ]);
}
