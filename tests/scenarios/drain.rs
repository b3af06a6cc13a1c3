//! SIGTERM: what runs is finished, nothing new begins, and then it is over.

use weir_tests::client::Client;
use weir_tests::message::{Request, Response, chunk};
use weir_tests::origin::Origin;
use weir_tests::proxy::in_front_of;
use weir_tests::sync::{Gate, eventually};

#[test]
fn running_requests_finish() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::scripted(move |connection| {
        connection.request()?;
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        held.pass();
        connection.send(&[chunk(b"finished"), chunk(b"")].concat())
    });
    let mut proxy = in_front_of(&origin).start();
    let mut client = proxy.connect();
    client.send(Request::get("/").to_bytes());
    gate.await_waiting(1);
    proxy.signal("TERM");
    eventually("the end of accepting", || {
        std::net::TcpStream::connect(proxy.address()).is_err().then_some(())
    });
    gate.open();
    let response = client.response();
    assert_eq!((response.status, response.text_body().as_str()), (200, "finished"));
    client.assert_closed();
    assert!(proxy.await_end().success());
}

#[test]
fn idle_connections_are_closed_and_do_not_hold_it_up() {
    let origin = Origin::text("ok");
    let mut proxy = in_front_of(&origin).top("drain = \"1h\"").start();
    let mut idle = proxy.connect();
    assert_eq!(idle.get("/").status, 200);
    let mut silent = Client::connect(proxy.address());
    proxy.signal("TERM");
    idle.assert_closed();
    silent.assert_closed();
    assert!(proxy.await_end().success());
}

#[test]
fn drain_has_an_end() {
    let origin = Origin::silent();
    let mut proxy = in_front_of(&origin).top("drain = \"1s\"").start();
    let mut client = proxy.connect();
    client.send(Request::get("/").to_bytes());
    eventually("the request at the origin", || {
        (origin.open_connections() == 1).then_some(())
    });
    proxy.signal("TERM");
    assert!(proxy.await_end().success());
    drop(client);
}

#[test]
fn it_is_not_ready_while_it_drains() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        held.pass();
        Response::text("ok")
    });
    let mut proxy = in_front_of(&origin).start();
    let mut client = proxy.connect();
    client.send(Request::get("/").to_bytes());
    gate.await_waiting(1);
    assert_eq!(proxy.ask("/healthz").status, 200);
    proxy.signal("TERM");
    eventually("/readyz to turn red", || {
        (proxy.ask("/readyz").status == 503).then_some(())
    });
    gate.open();
    assert_eq!(client.response().status, 200);
    assert!(proxy.await_end().success());
}
