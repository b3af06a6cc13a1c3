//! The shared cache answers what it may, and fetches once for all who wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use weir_tests::client;
use weir_tests::message::{Request, Response};
use weir_tests::origin::Origin;
use weir_tests::proxy::caching;
use weir_tests::sync::Gate;

#[test]
fn a_fresh_response_is_answered_from_memory() {
    let origin = Origin::counting(&[("Cache-Control", "max-age=60")]);
    let proxy = caching(&origin).start();
    let first = proxy.get("/page");
    let second = proxy.get("/page");
    assert_eq!(
        (first.text_body().as_str(), second.text_body().as_str()),
        ("answer 1", "answer 1")
    );
    assert_eq!(first.headers.get("age"), None, "straight from the origin");
    assert!(second.headers.get("age").is_some(), "RFC 9111 §5.1");
    assert_eq!(origin.requests(), 1);
    proxy.await_metric("weir_cache_lookups_total", &[("result", "hit")], 1.0);
    proxy.await_access("cache=hit");
}

#[test]
fn every_worker_sees_it() {
    let origin = Origin::counting(&[("Cache-Control", "max-age=60")]);
    let proxy = caching(&origin).start();
    assert_eq!(proxy.get("/").status, 200);
    // Connections land on both workers.
    for _ in 0..20 {
        assert_eq!(proxy.get("/").text_body(), "answer 1");
    }
}

#[test]
fn what_may_not_be_stored_is_not() {
    let rows: &'static [(&str, &[(&str, &str)])] = &[
        ("no-store", &[("Cache-Control", "no-store")]),
        ("private", &[("Cache-Control", "private, max-age=60")]),
        ("already old", &[("Cache-Control", "max-age=60"), ("Age", "60")]),
        ("s-maxage wins", &[("Cache-Control", "max-age=60, s-maxage=0")]),
        ("Vary: *", &[("Cache-Control", "max-age=60"), ("Vary", "*")]),
        ("expired", &[("Expires", "Thu, 01 Jan 1970 00:00:00 GMT")]),
        ("an Expires that is no date", &[("Expires", "0")]),
    ];
    for (name, headers) in rows {
        let origin = Origin::counting(headers);
        let proxy = caching(&origin).start();
        let answers = [proxy.get("/").text_body(), proxy.get("/").text_body()];
        assert_eq!(answers, ["answer 1", "answer 2"], "{name}");
    }
}

#[test]
fn requests_that_must_reach_the_origin() {
    let origin = Origin::counting(&[("Cache-Control", "max-age=60")]);
    let proxy = caching(&origin).start();
    assert_eq!(proxy.get("/").text_body(), "answer 1");
    assert_eq!(proxy.fetch(&Request::post("/", "x")).text_body(), "answer 2", "a POST");
    let after = proxy.get("/").text_body();
    assert_eq!(after, "answer 3", "an unsafe method invalidates (RFC 9111 §4.4)");
}

#[test]
fn what_one_client_was_authorised_for_is_not_for_another() {
    let origin = Origin::counting(&[("Cache-Control", "max-age=60")]);
    let proxy = caching(&origin).start();
    let authorised = Request::get("/").header("Authorization", "Bearer secret");
    assert_eq!(proxy.fetch(&authorised).text_body(), "answer 1");
    assert_eq!(proxy.get("/").text_body(), "answer 2", "RFC 9111 §3.5");
}

#[test]
fn a_head_is_answered_by_a_stored_get() {
    let origin = Origin::counting(&[("Cache-Control", "max-age=60")]);
    let proxy = caching(&origin).start();
    assert_eq!(proxy.get("/").status, 200);
    let head = proxy.fetch(&Request::new("HEAD", "/"));
    assert_eq!((head.status, head.headers.get("content-length")), (200, Some("8")));
    assert_eq!(origin.requests(), 1);
}

#[test]
fn a_stale_response_is_asked_about() {
    let origin = Origin::start(|request| {
        let known = request.headers.get("if-none-match") == Some("\"v1\"");
        let response = if known {
            Response::new(304)
        } else {
            Response::text("body v1")
        };
        response.header("ETag", "\"v1\"").header("Cache-Control", "no-cache")
    });
    let proxy = caching(&origin).start();
    for _ in 0..3 {
        let response = proxy.get("/");
        assert_eq!((response.status, response.text_body().as_str()), (200, "body v1"));
    }
    let asked: Vec<_> = origin
        .seen()
        .iter()
        .map(|request| request.headers.get("if-none-match").is_some())
        .collect();
    assert_eq!(asked, [false, true, true]);
    proxy.await_metric("weir_cache_lookups_total", &[("result", "revalidated")], 2.0);
}

#[test]
fn a_client_that_knows_the_object_gets_304() {
    let origin = Origin::counting(&[("Cache-Control", "max-age=60"), ("ETag", "\"a\"")]);
    let proxy = caching(&origin).start();
    assert_eq!(proxy.get("/").status, 200);
    let response = proxy.fetch(&Request::get("/").header("If-None-Match", "\"a\""));
    assert_eq!((response.status, response.body.len()), (304, 0));
    assert_eq!(origin.requests(), 1);
}

#[test]
fn variants_are_kept_apart() {
    let origin = Origin::start(|request| {
        let language = request.headers.get("accept-language").unwrap_or("none").to_owned();
        Response::text(language)
            .header("Vary", "Accept-Language")
            .header("Cache-Control", "max-age=60")
    });
    let proxy = caching(&origin).start();
    let ask = |language: &str| {
        proxy
            .fetch(&Request::get("/").header("Accept-Language", language))
            .text_body()
    };
    for language in ["de", "ja", "de", "ja", "de"] {
        assert_eq!(ask(language), language);
    }
    assert_eq!(origin.requests(), 2);
}

#[test]
fn hosts_and_queries_are_kept_apart() {
    let origin = Origin::start(|request| {
        let host = request.headers.get("host").unwrap_or_default();
        Response::text(format!("{host}{}", request.target)).header("Cache-Control", "max-age=60")
    });
    let proxy = caching(&origin).start();
    for (host, target) in [("a.test", "/?x=1"), ("a.test", "/?x=2"), ("b.test", "/?x=1")] {
        for _ in 0..2 {
            assert_eq!(
                proxy.fetch(&Request::get(target).host(host)).text_body(),
                format!("{host}{target}")
            );
        }
    }
    assert_eq!(origin.requests(), 3);
}

#[test]
fn one_request_fetches_for_all_who_wait() {
    const CLIENTS: usize = 12;
    let (gate, held) = (Gate::new(), Gate::new());
    let waiting = held.clone();
    let origin = Origin::start(move |_| {
        waiting.pass();
        Response::text("shared").header("Cache-Control", "max-age=60")
    });
    let proxy = caching(&origin).start();
    let address = proxy.address();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let start = gate.clone();
            thread::spawn(move || {
                start.pass();
                client::get(address, "/hot").text_body()
            })
        })
        .collect();
    gate.open();
    proxy.await_metric_from("weir_requests_active", &[], CLIENTS as f64);
    held.open();
    for client in clients {
        assert_eq!(client.join().unwrap(), "shared");
    }
    assert_eq!(origin.requests(), 1);
}

/// Those who waited for an answer that turns out to be somebody else's get their own.
#[test]
fn nobody_gets_what_was_private_to_another() {
    let (held, count) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
    let waiting = held.clone();
    let origin = Origin::start(move |_| {
        waiting.pass();
        Response::text(format!("own {}", count.fetch_add(1, Ordering::SeqCst))).header("Cache-Control", "private")
    });
    let proxy = caching(&origin).start();
    let address = proxy.address();
    let clients: Vec<_> = (0..6)
        .map(|_| thread::spawn(move || client::get(address, "/").text_body()))
        .collect();
    proxy.await_metric_from("weir_requests_active", &[], 6.0);
    held.open();
    let mut answers: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    answers.sort();
    answers.dedup();
    assert_eq!(answers.len(), 6, "{answers:?}");
}

#[test]
fn its_size_is_bounded() {
    let origin = Origin::start(|_| Response::text(vec![b'x'; 8 * 1024]).header("Cache-Control", "max-age=60"));
    let proxy = caching(&origin).tables("[cache]\nsize = \"256KiB\"").start();
    for number in 0..100 {
        assert_eq!(proxy.get(&format!("/{number}")).status, 200);
    }
    let bytes = proxy.metric("weir_cache_bytes", &[]);
    assert!((1.0..=262_144.0).contains(&bytes), "{bytes} bytes in a cache of 262144");
    proxy.await_metric_from("weir_cache_evicted_total", &[("cause", "space")], 1.0);
}

#[test]
fn a_response_that_broke_off_is_not_stored() {
    let origin = Origin::scripted(|connection| {
        connection.request()?;
        connection.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nhalf")
    });
    let proxy = caching(&origin).start();
    for _ in 0..2 {
        let mut client = proxy.connect();
        client.send(Request::get("/").to_bytes());
        assert!(client.try_response().map_or(true, |response| response.status == 502));
    }
    assert!(origin.requests() >= 2, "a broken response was answered from the cache");
}
