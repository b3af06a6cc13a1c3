//! Under load the cache stands between clients and their origin: one fetch for all, what is stale for nobody to wait, and an
//! origin that gets no more than it may.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use weir_tests::client::Client;
use weir_tests::message::{Request, Response, chunk};
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, caching};
use weir_tests::sync::{Gate, eventually};

/// Clients of the stampede; `WEIR_STAMPEDE` sets another number (two file descriptors each).
fn stampede() -> usize {
    std::env::var("WEIR_STAMPEDE").map_or(400, |text| text.parse().expect("WEIR_STAMPEDE is a number"))
}

/// Connections that have all asked for the same and have no answer yet.
fn crowd(proxy: &Proxy, count: usize, target: &str) -> Vec<Client> {
    let clients = (0..count)
        .map(|_| {
            let mut client = proxy.connect();
            client.send(Request::get(target).to_bytes());
            client
        })
        .collect();
    proxy.await_metric_from("weir_requests_active", &[], count as f64);
    clients
}

/// Stale from the moment that it is stored, and found again by its validator.
fn expired(body: &str) -> Response {
    Response::text(body)
        .header("Cache-Control", "max-age=60")
        .header("Age", "61")
        .header("ETag", "\"old\"")
}

#[test]
fn a_stampede_on_an_expired_key_is_one_request() {
    let (gate, count) = (Gate::new(), AtomicUsize::new(0));
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            return expired("old");
        }
        held.pass();
        Response::text("new").header("Cache-Control", "max-age=60")
    });
    let proxy = caching(&origin).tables("[cache]\ncoalesce_timeout = \"2m\"").start();
    assert_eq!(proxy.get("/").text_body(), "old");
    let crowd = crowd(&proxy, stampede(), "/");
    gate.open();
    for mut client in crowd {
        assert_eq!(client.response().text_body(), "new");
    }
    assert_eq!(origin.requests(), 2);
}

/// An origin that takes longer than its answer is fresh is the last one to be asked by each of a crowd.
#[test]
fn what_outlives_itself_on_its_way_answers_those_who_waited() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        held.pass();
        // As old when it comes as it may be, by the time that it took.
        let slow = Response::text("slow").header("Cache-Control", "max-age=1");
        std::thread::sleep(std::time::Duration::from_millis(1100));
        slow
    });
    let proxy = caching(&origin).tables("[cache]\ncoalesce_timeout = \"2m\"").start();
    let crowd = crowd(&proxy, 20, "/");
    gate.open();
    for mut client in crowd {
        assert_eq!(client.response().text_body(), "slow");
    }
    assert_eq!(origin.requests(), 1);
    assert_eq!(proxy.get("/").text_body(), "slow");
    assert_eq!(origin.requests(), 2, "it is stale for those who come later");
}

#[test]
fn a_crowd_in_front_of_a_dead_origin_gets_what_is_stale() {
    let (gate, dead) = (Gate::new(), AtomicBool::new(false));
    let held = gate.clone();
    let origin = Origin::scripted(move |connection| {
        connection.request()?;
        if dead.swap(true, Ordering::SeqCst) {
            held.pass();
            return Ok(());
        }
        connection.send(&expired("old").header("Connection", "close").to_bytes())
    });
    let proxy = caching(&origin).tables("[cache]\ncoalesce_timeout = \"2m\"").start();
    assert_eq!(proxy.get("/").text_body(), "old");
    let crowd = crowd(&proxy, 50, "/");
    gate.open();
    for mut client in crowd {
        assert_eq!(client.response().text_body(), "old");
    }
    assert!(
        origin.requests() <= 4,
        "{} requests to a dead origin: one, with its retries, was to be made",
        origin.requests()
    );
    // And nobody waits from now on, while it is asked again and again in the background.
    assert_eq!(proxy.get("/").text_body(), "old");
    proxy.await_access("cache=stale");
}

#[test]
fn everybody_gets_the_first_half_before_the_second_has_come() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::scripted(move |connection| {
        connection.request()?;
        connection.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 12\r\n\r\nfirst ")?;
        held.pass();
        connection.send(b"second")
    });
    let proxy = caching(&origin).start();
    let mut clients: Vec<_> = (0..8).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        client.send(Request::get("/").to_bytes());
    }
    for client in &mut clients {
        assert_eq!(client.response_head().headers.get("content-length"), Some("12"));
        assert_eq!(client.read_exact(6), b"first ");
    }
    gate.open();
    for client in &mut clients {
        assert_eq!(client.read_exact(6), b"second");
    }
    assert_eq!(
        (origin.requests(), proxy.get("/").text_body().as_str()),
        (1, "first second")
    );
}

#[test]
fn the_one_that_fetches_may_leave() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::scripted(move |connection| {
        connection.request()?;
        connection.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        connection.send(&chunk(b"first "))?;
        held.pass();
        connection.send(&[chunk(b"second"), chunk(b"")].concat())
    });
    let proxy = caching(&origin).start();
    let mut clients: Vec<_> = (0..2).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        client.send(Request::get("/").to_bytes());
        assert_eq!(client.response_head().status, 200);
        assert_eq!(client.read_exact(11), b"6\r\nfirst \r\n");
    }
    drop(clients.remove(0));
    eventually("the first client's end", || {
        (proxy.metric("weir_requests_active", &[]) <= 1.0).then_some(())
    });
    gate.open();
    assert_eq!(clients[0].read_exact(16), b"6\r\nsecond\r\n0\r\n\r\n");
    assert_eq!(
        (origin.requests(), proxy.get("/").text_body().as_str()),
        (1, "first second")
    );
}

#[test]
fn a_body_that_breaks_off_breaks_off_for_all_and_is_not_stored() {
    let (gate, count) = (Gate::new(), AtomicUsize::new(0));
    let held = gate.clone();
    let origin = Origin::scripted(move |connection| {
        connection.request()?;
        if count.fetch_add(1, Ordering::SeqCst) > 0 {
            return connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nwhole");
        }
        connection.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 12\r\n\r\nfirst ")?;
        held.pass();
        Ok(())
    });
    let proxy = caching(&origin).start();
    let mut clients: Vec<_> = (0..3).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        client.send(Request::get("/").to_bytes());
        client.response_head();
    }
    gate.open();
    for client in &mut clients {
        assert_eq!(client.rest(), "first ");
    }
    assert_eq!(proxy.get("/").text_body(), "whole");
}

#[test]
fn nobody_waits_while_a_stale_response_is_revalidated() {
    let (gate, count) = (Gate::new(), AtomicUsize::new(0));
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            return expired("old").header("Cache-Control", "stale-while-revalidate=3600");
        }
        held.pass();
        Response::text("new").header("Cache-Control", "max-age=60")
    });
    let proxy = caching(&origin).start();
    assert_eq!(proxy.get("/").text_body(), "old");
    for _ in 0..3 {
        assert_eq!(proxy.get("/").text_body(), "old", "while the origin takes its time");
    }
    gate.open();
    eventually("the new response", || {
        (proxy.get("/").text_body() == "new").then_some(())
    });
    assert_eq!(origin.requests(), 2);
    let asked = origin.seen().pop().expect("two requests");
    assert_eq!(asked.headers.get("if-none-match"), Some("\"old\""));
}

#[test]
fn an_origin_gets_so_many_fetches_at_once() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        held.pass();
        Response::text("ok").header("Cache-Control", "max-age=60")
    });
    let proxy = caching(&origin)
        .tables("[cache]\norigin_fetches = 2\ncoalesce_timeout = \"2m\"")
        .start();
    let clients: Vec<_> = (0..6)
        .flat_map(|number| crowd(&proxy, 1, &format!("/{number}")))
        .collect();
    gate.await_waiting(2);
    assert_eq!(origin.requests(), 2);
    gate.open();
    for mut client in clients {
        assert_eq!(client.response().text_body(), "ok");
    }
    assert_eq!(origin.requests(), 6);
}

#[test]
fn waiting_for_a_turn_has_an_end() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        held.pass();
        Response::text("ok").header("Cache-Control", "max-age=60")
    });
    let proxy = caching(&origin)
        .tables("[cache]\norigin_fetches = 1\ncoalesce_timeout = \"10ms\"")
        .start();
    let mut first = proxy.connect();
    first.send(Request::get("/first").to_bytes());
    gate.await_waiting(1);
    let refused = proxy.get("/second");
    assert_eq!((refused.status, refused.headers.get("retry-after")), (503, Some("5")));
    proxy.await_metric("weir_refusals_total", &[("reason", "origin_busy")], 1.0);
    gate.open();
    assert_eq!(first.response().text_body(), "ok");
}

/// What is too large to be stored reaches everybody all the same, and without filling the memory.
#[test]
fn what_outgrows_the_cache_is_passed_on() {
    const MIB: usize = 1024 * 1024;
    let origin = Origin::scripted(|connection| {
        connection.request()?;
        connection.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        for _ in 0..64 {
            connection.send(&chunk(&vec![b'x'; MIB]))?;
        }
        connection.send(&chunk(b""))
    });
    let proxy = caching(&origin).start();
    let before = proxy.memory();
    let response = proxy.get("/");
    assert_eq!(response.body.len(), 64 * MIB);
    let grown = proxy.memory().saturating_sub(before);
    assert!(grown < 32 * MIB as u64, "{grown} bytes more for a body of 64 MiB");
    assert_eq!(proxy.metric("weir_cache_objects", &[]), 0.0);
}

#[test]
fn what_turns_out_private_is_waited_for_by_nobody() {
    let count = Arc::new(AtomicUsize::new(0));
    let (both, counted) = (Gate::new(), count.clone());
    let held = both.clone();
    let origin = Origin::scripted(move |connection| {
        connection.request()?;
        let number = counted.fetch_add(1, Ordering::SeqCst);
        connection.send(
            format!("HTTP/1.1 200 OK\r\nCache-Control: private\r\nContent-Length: 9\r\n\r\nprivate{number}").as_bytes(),
        )?;
        // The head is enough: the body, of which one byte is missing, is still on its way.
        held.pass();
        connection.send(b"!")
    });
    let proxy = caching(&origin).start();
    let clients = crowd(&proxy, 3, "/");
    both.await_waiting(3);
    both.open();
    let mut answers: Vec<_> = clients
        .into_iter()
        .map(|mut client| client.response().text_body())
        .collect();
    answers.sort();
    assert_eq!(answers, ["private0!", "private1!", "private2!"]);
    assert_eq!(count.load(Ordering::SeqCst), 3);
}
