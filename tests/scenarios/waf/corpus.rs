//! Requests that are made to be expensive to judge.

use weir_tests::message::Request;

/// What a request is called, and the request.
pub(super) type Case = (&'static str, Request);

/// The most that a request's head may have, less what the client adds.
const HEAD: usize = 60 * 1024;
/// The same of its target.
const TARGET: usize = 15 * 1024;
/// As much of a body as the bundles hold.
const BODY: usize = 1024 * 1024;

/// All of them.
pub(super) fn hostile() -> Vec<Case> {
    [
        arguments(),
        values(),
        json(),
        xml(),
        multipart(),
        patterns(),
        compressed(),
        heads(),
    ]
    .concat()
}

fn arguments() -> Vec<Case> {
    let pairs = |pair: fn(usize) -> String| (0..10_000).map(pair).collect::<Vec<_>>().join("&");
    vec![
        ("10,000 arguments", form(pairs(|n| format!("a{n}=it%27s+{n}")))),
        (
            "10,000 hostile arguments",
            form(pairs(|n| {
                format!("a{n}=%2527+%26lt%3b%5cu0041+or+1%3d%2a%2f{n}%3b%24%28select")
            })),
        ),
        (
            "10,000 hostile names",
            form(pairs(|n| format!("%27or+1%3d1--%3Cscript{n}"))),
        ),
        (
            "10,000 times the same name",
            form(pairs(|_| "password=%3Cscript%3E".to_owned())),
        ),
        ("half a million empty arguments", form("&=".repeat(BODY / 2))),
        (
            "thousands of arguments in the query",
            get(&format!("/?{}", "a&".repeat(TARGET / 2))),
        ),
    ]
}

/// One value of nearly a mebibyte, made of what makes transformations and patterns work.
pub(super) fn values() -> Vec<Case> {
    let value = |unit: &str| form(format!("text={}", unit.repeat((BODY - 8) / unit.len())));
    vec![
        ("a long text", value("It+was+a+bright+cold+day+in+April%2C+")),
        ("a long hostile text", value("%27+or+%28%5cx41%3c%26%23%2f%2a%24%7b")),
        ("a million letters", value("a")),
        ("a million spaces", value("+")),
        ("a million quotes", value("'")),
        ("a million opening brackets", value("(")),
        ("a million less-than signs", value("<")),
        ("a million slashes", value("/")),
        ("a million percent signs", value("%25")),
        ("comments that never close", value("/*")),
        ("dots and slashes", value("../")),
        ("a script that goes on", value("<script ")),
        ("entities", value("%26%2360;")),
        ("escapes of scripts", value("%5cu003c")),
        ("selects", value("select+")),
        ("a long hexadecimal number", value("0x41")),
        ("base64", value("PHNjcmlwdD4")),
    ]
}

fn json() -> Vec<Case> {
    let array = |value: &str| format!("[{}0]", format!("{value},").repeat((BODY - 4) / (value.len() + 1)));
    vec![
        ("a million brackets in JSON", json_of("[".repeat(BODY))),
        ("objects in objects in JSON", json_of("{\"a\":".repeat(BODY / 5 - 1))),
        (
            "long names in long names in JSON",
            json_of(format!("{{\"{}\":", "n".repeat(2000)).repeat(BODY / 2100)),
        ),
        ("half a million numbers in JSON", json_of(array("1"))),
        ("quotes in JSON", json_of(array("\"1' or '1'='1\""))),
        (
            "a long string in JSON",
            json_of(format!("{{\"a\":\"{}\"}}", "\\u003cscript\\u003e' ".repeat(BODY / 30))),
        ),
        (
            "JSON that breaks off",
            json_of(format!("{{\"a\":\"{}", "x' or ".repeat(BODY / 7))),
        ),
    ]
}

fn xml() -> Vec<Case> {
    let attributes: String = (0..40_000).map(|n| format!(" a{n}='&lt;script'")).collect();
    vec![
        ("elements in elements in XML", xml_of("<a>".repeat(BODY / 3))),
        (
            "thousands of elements in XML",
            xml_of(format!("<a>{}</a>", "<b>' or 1=1</b>".repeat(BODY / 16))),
        ),
        ("thousands of attributes in XML", xml_of(format!("<a{attributes}/>"))),
        (
            "a long text in XML",
            xml_of(format!("<a>{}</a>", "&lt;script&gt;' ".repeat(BODY / 17))),
        ),
        (
            "entities of entities in XML",
            xml_of(format!(
                "<!DOCTYPE a [<!ENTITY a0 'x'>{}]><a>&a99;</a>",
                (1..100)
                    .map(|n| format!("<!ENTITY a{n} '{}'>", format!("&a{};", n - 1).repeat(10)))
                    .collect::<String>()
            )),
        ),
    ]
}

fn multipart() -> Vec<Case> {
    let parts = |number: usize, part: fn(usize) -> String| {
        let parts: String = (0..number).map(part).collect();
        multipart_of(format!("{parts}--b--\r\n"))
    };
    vec![
        (
            "5,000 parts",
            parts(5_000, |n| {
                format!("--b\r\nContent-Disposition: form-data; name=\"a{n}\"\r\n\r\n' or {n}=1\r\n")
            }),
        ),
        (
            "5,000 files",
            parts(5_000, |n| {
                format!("--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x{n};.php\"\r\n\r\n<?\r\n")
            }),
        ),
        (
            "a part with 10,000 headers",
            parts(1, |_| format!("--b\r\n{}\r\nx\r\n", "X: ' or 1=1\r\n".repeat(10_000))),
        ),
        (
            "nothing but almost boundaries",
            multipart_of("\r\n--a".repeat(BODY / 5)),
        ),
        ("nothing but lines", multipart_of("\r\n".repeat(BODY / 2))),
        (
            "a file of a mebibyte",
            parts(1, |_| {
                let content = "<?php system('id'); ?>".repeat(BODY / 24);
                format!("--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\n{content}\r\n")
            }),
        ),
    ]
}

/// What makes the patterns of CRS 3.3 that go back (920120, 942130, 942260, 953120) go back furthest.
fn patterns() -> Vec<Case> {
    let repeated = |unit: &str, number| unit.repeat(number);
    let many = |value: String| form((0..1000).map(|n| format!("a{n}={value}&")).collect());
    vec![
        (
            "a tautology that is none",
            form(format!("a={}", repeated("x%60%27+", 4000))),
        ),
        (
            "tautologies that are none, each short",
            many(format!("{}%3d{}", "a".repeat(120), "a".repeat(119) + "b")),
        ),
        (
            "words before a comparison",
            form(format!("a={}%3d", repeated("w+", 20_000))),
        ),
        (
            "signs before a word",
            many(format!("%27like%27{}", "%27%40".repeat(40))),
        ),
        (
            "quotes before nothing",
            form(format!("a=%27{}", repeated("%21%40%23", 30_000))),
        ),
        (
            "semicolons in the name of a file",
            multipart_of(format!(
                "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"{}\"\r\n\r\nx\r\n--b--\r\n",
                "&amp;".repeat(2000)
            )),
        ),
        (
            "a media range that is none",
            get("/").header("Accept", &repeated("a/b;q=0.1,", 2000)),
        ),
        (
            "a user agent of nested brackets",
            get("/").header("User-Agent", &repeated("(a", HEAD / 2 - 200)),
        ),
    ]
}

/// Bodies that rules cannot read, because they are compressed: the smallest one that is valid, and one of half a mebibyte that is not.
pub(super) fn compressed() -> Vec<Case> {
    // A gzip member (RFC 1952) with one stored block (RFC 1951 §3.2.4): `a=1'or'1`.
    let text = b"a=1'or'1";
    let length = text.len() as u16;
    let mut member = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    member.extend(length.to_le_bytes());
    member.extend((!length).to_le_bytes());
    member.extend(text);
    member.extend([0; 8]);
    vec![
        (
            "a compressed form",
            form_bytes(member).header("Content-Encoding", "gzip"),
        ),
        (
            "what is no compressed form",
            form("' or 1=1".repeat(65_536)).header("Content-Encoding", "gzip"),
        ),
    ]
}

fn heads() -> Vec<Case> {
    let cookies = |cookie: fn(usize) -> String| (0..3_000).map(cookie).collect::<Vec<_>>().join("; ");
    let mut headers = get("/");
    for number in 0..90 {
        headers = headers.header(&format!("X-{number}"), &"' or 1=1 <script> ../".repeat(20));
    }
    vec![
        (
            "a header of 60 KiB",
            get("/").header("Referer", &"<script>'or 1=1/*".repeat(HEAD / 18)),
        ),
        ("90 headers", headers),
        (
            "thousands of cookies",
            get("/").header("Cookie", &cookies(|n| format!("c{n}='or {n}=1"))),
        ),
        (
            "one cookie of 60 KiB",
            get("/").header("Cookie", &format!("c={}", "%27<or>".repeat(HEAD / 8))),
        ),
        ("a path of 15 KiB", get(&"/..%2f".repeat(TARGET / 6))),
        (
            "a query of 15 KiB",
            get(&format!("/?q={}", "%27%2520or".repeat(TARGET / 10))),
        ),
        ("a target that is too long", get(&"/a".repeat(HEAD / 2))),
    ]
}

fn get(target: &str) -> Request {
    let mut request = Request::get(target).header("Accept", "text/html");
    request.headers.0.push(("Accept-Language".into(), "en".into()));
    request
}

fn form(body: String) -> Request {
    form_bytes(body.into_bytes())
}

fn form_bytes(body: Vec<u8>) -> Request {
    post("application/x-www-form-urlencoded", body)
}

fn json_of(body: String) -> Request {
    post("application/json", body.into_bytes())
}

fn xml_of(body: String) -> Request {
    post("text/xml", body.into_bytes())
}

fn multipart_of(body: String) -> Request {
    post("multipart/form-data; boundary=b", body.into_bytes())
}

fn post(media: &str, body: Vec<u8>) -> Request {
    Request::post("/", body)
        .header("Content-Type", media)
        .header("Accept", "text/html")
}
