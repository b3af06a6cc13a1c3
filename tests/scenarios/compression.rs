//! Responses are compressed for clients that take it, once for all who come to the cache.

use std::io::{Read as _, Write as _};

use weir_tests::message::{Request, Response, chunk};
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, configure, in_front_of};
use weir_tests::sync::Gate;

fn page() -> String {
    (0..2000).map(|line| format!("line {line} of a page\n")).collect()
}

fn html(request: &Request) -> Response {
    if request
        .headers
        .get("if-none-match")
        .is_some_and(|list| list.contains("\"v1\""))
    {
        return Response::new(304)
            .header("ETag", "\"v1\"")
            .header("Cache-Control", "max-age=0");
    }
    Response::text(page())
        .header("Content-Type", "text/html; charset=utf-8")
        .header("ETag", "\"v1\"")
        .header(
            "Cache-Control",
            if request.target == "/stale" {
                "max-age=0"
            } else {
                "max-age=60"
            },
        )
}

fn compressing(origin: &Origin, route: &str) -> Proxy {
    configure()
        .listener("http")
        .route("all", "app", &format!("compress = true\n{route}"))
        .upstream("app", &[origin.address()], "")
        .start()
}

fn accepting(list: &str) -> Request {
    Request::get("/").header("Accept-Encoding", list)
}

fn decoded(response: &Response) -> String {
    let mut plain = String::new();
    let body = &*response.body;
    match response.headers.get("content-encoding") {
        Some("gzip") => flate2::read::GzDecoder::new(body).read_to_string(&mut plain),
        Some("br") => brotli::Decompressor::new(body, 4096).read_to_string(&mut plain),
        Some("zstd") => zstd::stream::read::Decoder::new(body)
            .unwrap()
            .read_to_string(&mut plain),
        None => {
            plain.push_str(std::str::from_utf8(body).unwrap());
            Ok(0)
        }
        Some(other) => panic!("unknown coding {other}"),
    }
    .unwrap();
    plain
}

#[test]
fn every_client_gets_the_coding_that_it_likes_best() {
    let origin = Origin::start(html);
    let proxy = compressing(&origin, "");
    for (list, coding) in [
        ("gzip", Some("gzip")),
        ("gzip, deflate, br", Some("br")),
        ("gzip, deflate, br, zstd", Some("zstd")),
        ("gzip;q=1, br;q=0.5", Some("gzip")),
        ("*;q=0.1", Some("zstd")),
        ("identity", None),
        ("gzip;q=0", None),
    ] {
        let response = proxy.fetch(&accepting(list));
        assert_eq!(response.headers.get("content-encoding"), coding, "{list}");
        assert_eq!(decoded(&response), page(), "{list}");
        assert_eq!(response.headers.get("vary"), Some("Accept-Encoding"), "{list}");
        let etag = coding.map_or("\"v1\"", |_| "W/\"v1\"");
        assert_eq!(response.headers.get("etag"), Some(etag), "{list}");
        if coding.is_some() {
            assert!(
                response.body.len() < page().len() / 3,
                "{list}: {}",
                response.body.len()
            );
        }
    }
    proxy.await_metric("weir_compressed_total", &[("coding", "gzip")], 2.0);
    let asked = origin.seen();
    assert_eq!(
        asked[1].headers.get("accept-encoding"),
        Some("br"),
        "servers that can may do it"
    );
}

#[test]
fn the_cache_keeps_one_response_for_each_coding() {
    let origin = Origin::start(html);
    let proxy = compressing(&origin, "cache = true");
    for _ in 0..3 {
        for list in ["gzip", "gzip;q=0.9, deflate", "br, gzip", "gzip, br", "zstd", ""] {
            assert_eq!(decoded(&proxy.fetch(&accepting(list))), page(), "{list}");
        }
    }
    assert_eq!(origin.requests(), 4, "gzip, br, zstd and nothing");
    proxy.await_metric("weir_compressed_total", &[("coding", "gzip")], 1.0);

    let known = accepting("gzip").header("If-None-Match", "W/\"v1\"");
    assert_eq!(proxy.fetch(&known).status, 304);
    let mut head = accepting("gzip");
    head.method = "HEAD".into();
    let head = proxy.fetch(&head);
    assert_eq!(head.headers.get("content-encoding"), Some("gzip"));
    assert_eq!(origin.requests(), 4);
}

#[test]
fn a_compressed_response_is_revalidated() {
    let origin = Origin::start(html);
    let proxy = compressing(&origin, "cache = true");
    for _ in 0..3 {
        let response = proxy.fetch(&Request::get("/stale").header("Accept-Encoding", "gzip"));
        assert_eq!(decoded(&response), page());
        assert_eq!(response.headers.get("etag"), Some("W/\"v1\""));
    }
    let asked = origin.seen();
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[2].headers.get("if-none-match"), Some("W/\"v1\""));
}

#[test]
fn what_is_passed_on_as_it_is() {
    type Fields = &'static [(&'static str, &'static str)];
    let rows: [(&str, Fields, Fields); 5] = [
        (
            "encoded",
            &[],
            &[("Content-Encoding", "x-own"), ("Content-Type", "text/html")],
        ),
        (
            "no-transform",
            &[],
            &[("Cache-Control", "no-transform"), ("Content-Type", "text/html")],
        ),
        ("a picture", &[], &[("Content-Type", "image/png")]),
        ("a range", &[("Range", "bytes=0-")], &[("Content-Type", "text/html")]),
        (
            "asked not to",
            &[("Cache-Control", "no-transform")],
            &[("Content-Type", "text/html")],
        ),
    ];
    for (why, asked, answered) in rows {
        let answered: Vec<_> = answered
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let origin = Origin::start(move |_| {
            let response = Response::new(200).body(page());
            answered
                .iter()
                .fold(response, |response, (name, value)| response.header(name, value))
        });
        let request = asked
            .iter()
            .fold(accepting("gzip"), |request, (name, value)| request.header(name, value));
        let response = compressing(&origin, "").fetch(&request);
        assert_eq!(response.text_body(), page(), "{why}");
    }
}

#[test]
fn a_route_that_does_not_ask_for_it_passes_everything_on() {
    let origin = Origin::start(html);
    let response = in_front_of(&origin).start().fetch(&accepting("gzip, br"));
    assert_eq!(
        (response.headers.get("content-encoding"), response.text_body()),
        (None, page())
    );
    assert_eq!(origin.only_request().headers.get("accept-encoding"), Some("gzip, br"));
}

#[test]
fn events_are_not_kept_waiting() {
    let gate = Gate::new();
    let next = gate.clone();
    let origin = Origin::scripted(move |connection| {
        while connection.request()?.is_some() {
            connection
                .send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            connection.send(&chunk(b"data: one\n\n"))?;
            next.pass();
            connection.send(&chunk(b"data: two\n\n"))?;
            connection.send(b"0\r\n\r\n")?;
        }
        Ok(())
    });
    let proxy = compressing(&origin, "");
    let mut client = proxy.connect();
    client.send(accepting("gzip").to_bytes());
    let head = client.response_head();
    assert_eq!(head.headers.get("content-encoding"), Some("gzip"));
    let mut decoder = flate2::write::GzDecoder::new(Vec::new());
    let mut read_until = |wanted: &[u8]| {
        while !decoder.get_ref().ends_with(wanted) {
            let size = usize::from_str_radix(line(&mut client).trim_end(), 16).unwrap();
            decoder.write_all(&client.read_exact(size)).unwrap();
            decoder.flush().unwrap();
            assert_eq!(client.read_exact(2), b"\r\n");
        }
    };
    read_until(b"data: one\n\n");
    gate.open();
    read_until(b"data: two\n\n");
}

fn line(client: &mut weir_tests::client::Client) -> String {
    let mut line = String::new();
    while !line.ends_with("\r\n") {
        line.push(char::from(client.read_exact(1)[0]));
    }
    line
}
