//! Clients that take more than their share are refused, and nobody else notices.

use std::io::Read;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use weir_tests::client::Client;
use weir_tests::message::{Request, Response};
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, configure, in_front_of};
use weir_tests::sync::{Gate, eventually};

fn limited(limits: &str) -> (Origin, Proxy) {
    let origin = Origin::text("ok");
    let proxy = in_front_of(&origin).tables(&format!("[limits]\n{limits}")).start();
    (origin, proxy)
}

const REFUSED: &str = "weir_connections_refused_total";

/// Whether a new connection is answered.
fn is_answered(proxy: &Proxy) -> bool {
    let mut client = proxy.connect();
    client.try_send(Request::get("/").to_bytes()).is_ok() && client.try_response().is_ok()
}

#[test]
fn a_network_has_so_many_connections() {
    let (_origin, proxy) = limited("client_connections = 2");
    let mut kept: Vec<_> = (0..2).map(|_| proxy.connect()).collect();
    for client in &mut kept {
        assert_eq!(client.get("/").status, 200);
    }
    assert!(!is_answered(&proxy));
    proxy.await_metric(REFUSED, &[("reason", "client_connections")], 1.0);
    proxy.await_metric("weir_client_networks", &[], 1.0);
    kept.pop();
    eventually("room for another one", || is_answered(&proxy).then_some(()));
}

#[test]
fn a_network_opens_so_many_a_second() {
    let (_origin, proxy) = limited("client_connection_rate = 3");
    let answered = (0..20).filter(|_| is_answered(&proxy)).count();
    assert!((3..15).contains(&answered), "{answered} of 20");
    proxy.await_metric_from(REFUSED, &[("reason", "client_connection_rate")], 5.0);
}

#[test]
fn a_network_asks_so_much_a_second() {
    let (origin, proxy) = limited("client_request_rate = 5");
    let mut client = proxy.connect();
    let answers: Vec<_> = (0..40).map(|_| client.get("/")).collect();
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!((5..40).contains(&origin.requests()), "{}", origin.requests());
    assert_eq!(refused.len() + origin.requests(), 40);
    assert_eq!(refused[0].headers.get("retry-after"), Some("1"), "RFC 6585 §4");
    proxy.await_metric(
        "weir_refusals_total",
        &[("reason", "client_request_rate")],
        refused.len() as f64,
    );
}

#[test]
fn a_trusted_proxy_is_many_clients() {
    let origin = Origin::text("ok");
    let proxy = in_front_of(&origin)
        .top("trusted_proxies = [\"127.0.0.1\"]")
        .tables("[limits]\nclient_connections = 1\nclient_connection_rate = 1\nclient_request_rate = 1")
        .start();
    let _kept: Vec<_> = (0..3).map(|_| proxy.connect()).collect();
    assert!((0..5).all(|_| proxy.get("/").status == 200));
}

#[test]
fn a_connection_has_so_many_requests() {
    let (_origin, proxy) = limited("requests_per_connection = 3");
    let mut client = proxy.connect();
    for left in [2, 1, 0] {
        let response = client.get("/");
        assert_eq!(response.status, 200);
        let close = (left == 0).then_some("close");
        assert_eq!(response.headers.get("connection"), close, "{left} left");
    }
    client.assert_closed();
}

#[test]
fn a_connection_has_an_end() {
    let origin = Origin::text("ok");
    let proxy = in_front_of(&origin).tables("[timeouts]\nlifetime = \"1s\"").start();
    let mut client = proxy.connect();
    eventually("the connection's last answer", || {
        let response = client.get("/");
        (response.headers.get("connection") == Some("close")).then_some(())
    });
    client.assert_closed();
}

/// One byte in time, again and again, is no reason to wait for ever.
#[test]
fn a_body_that_trickles() {
    let origin = Origin::text("ok");
    let proxy = in_front_of(&origin)
        .tables("[timeouts]\nbody = \"500ms\"\n[limits]\nbody_rate = \"1KiB\"")
        .start();
    let mut client = proxy.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    let refused = (0..100_000).find(|_| {
        thread::sleep(Duration::from_millis(20));
        client.try_send(b"x").is_err() || proxy.metric("weir_refusals_total", &[("reason", "request_timeout")]) > 0.0
    });
    assert!(refused.is_some());
    assert_eq!(origin.requests(), 0);
}

/// Whoever takes a byte now and then holds a connection and a server's answer for nothing.
#[test]
fn a_response_that_is_taken_slowly() {
    const SIZE: usize = 64 << 20;
    let origin = Origin::start(|_| Response::text(vec![b'x'; SIZE]));
    let proxy = in_front_of(&origin)
        .tables("[timeouts]\nbody = \"500ms\"\n[limits]\nbody_rate = \"1MiB\"")
        .start();
    let mut slow = TcpStream::connect(proxy.address()).unwrap();
    std::io::Write::write_all(&mut slow, &Request::get("/").to_bytes()).unwrap();
    let mut taken = 0;
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = slow.read(&mut buffer) {
        taken += length;
        if proxy.metric("weir_requests_active", &[]) > 0.0 {
            thread::sleep(Duration::from_millis(10));
        }
    }
    assert!(taken < SIZE, "all of it was delivered");
    assert_eq!(proxy.get("/").body.len(), SIZE, "others get it");
}

/// An origin that holds every request until the gate opens, and a proxy that lets it have one at once.
fn one_at_once(queue: &str) -> (Gate, Origin, Proxy) {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        held.pass();
        Response::text("ok")
    });
    let proxy = configure()
        .listener("http")
        .route("all", "app", "")
        .upstream("app", &[origin.address()], &format!("max_requests = 1\n{queue}"))
        .start();
    (gate, origin, proxy)
}

fn asking(proxy: &Proxy) -> Client {
    let mut client = proxy.connect();
    client.send(Request::get("/").to_bytes());
    client
}

#[test]
fn an_upstream_has_so_many_requests_and_so_many_wait() {
    let (gate, origin, proxy) = one_at_once("queue = 2\nqueue_timeout = \"1m\"");
    let mut first = asking(&proxy);
    gate.await_waiting(1);
    let mut waiting: Vec<_> = (0..2).map(|_| asking(&proxy)).collect();
    proxy.await_metric("weir_upstream_waiting", &[("upstream", "app")], 2.0);
    let newest = proxy.get("/");
    assert_eq!((newest.status, newest.headers.get("retry-after")), (503, Some("5")));
    proxy.await_metric("weir_refusals_total", &[("reason", "queue_full")], 1.0);
    assert_eq!(origin.requests(), 1);
    gate.open();
    for client in waiting.iter_mut().chain([&mut first]) {
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(proxy.metric("weir_upstream_waiting", &[]), 0.0);
}

#[test]
fn waiting_for_an_upstream_has_an_end() {
    let (gate, _origin, proxy) = one_at_once("queue_timeout = \"100ms\"");
    let mut first = asking(&proxy);
    gate.await_waiting(1);
    assert_eq!(proxy.get("/").status, 503);
    proxy.await_metric("weir_refusals_total", &[("reason", "queue_timeout")], 1.0);
    gate.open();
    assert_eq!(first.response().status, 200);
    assert_eq!(proxy.get("/").status, 200, "the place is free again");
}

#[test]
fn clients_that_leave_the_queue_leave_no_gap() {
    let (gate, origin, proxy) = one_at_once("queue_timeout = \"1m\"");
    let mut first = asking(&proxy);
    gate.await_waiting(1);
    let gone = asking(&proxy);
    let mut last = asking(&proxy);
    proxy.await_metric("weir_upstream_waiting", &[], 2.0);
    drop(gone);
    proxy.await_metric("weir_refusals_total", &[("reason", "client_gone")], 1.0);
    gate.open();
    assert_eq!(first.response().status, 200);
    assert_eq!(last.response().status, 200);
    assert_eq!(origin.requests(), 2);
}

#[test]
fn each_server_has_so_many_requests() {
    let gate = Gate::new();
    let origin = |name: &'static str| {
        let held = gate.clone();
        Origin::start(move |_| {
            held.pass();
            Response::text(name)
        })
    };
    let (one, other) = (origin("one"), origin("other"));
    let proxy = configure()
        .listener("http")
        .route("all", "app", "")
        .upstream(
            "app",
            &[one.address(), other.address()],
            "max_requests_per_server = 1\nqueue = 0",
        )
        .start();
    let mut clients: Vec<_> = (1..=2)
        .map(|count| {
            let client = asking(&proxy);
            gate.await_waiting(count);
            client
        })
        .collect();
    assert_eq!(proxy.get("/").status, 503);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
    }
    assert_eq!((one.requests(), other.requests()), (1, 1));
}

/// Out of descriptors, clients are turned away before servers are, and the operator never.
#[test]
fn the_operator_gets_through_when_descriptors_run_out() {
    let origin = Origin::text("ok");
    let proxy = in_front_of(&origin).top("workers = 1").descriptors(256).start();
    let kept: Vec<_> = (0..300)
        .filter_map(|_| TcpStream::connect(proxy.address()).ok())
        .collect();
    eventually("a connection that is refused", || {
        (proxy.metric(REFUSED, &[("reason", "descriptors")]) > 0.0).then_some(())
    });
    assert_eq!(proxy.ask("/readyz").status, 200);
    let mut early = Client::over(Box::new(kept.into_iter().next().unwrap()));
    assert_eq!(early.get("/").status, 200, "whoever is in is served");
}
