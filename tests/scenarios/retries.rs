//! What failed on one server is tried on another one, where that is safe.

use weir_tests::message::{Request, Response};
use weir_tests::origin::{Origin, refusing};
use weir_tests::proxy::{Proxy, configure};

fn in_front(servers: &[std::net::SocketAddr], route: &str) -> Proxy {
    configure()
        .top("workers = 1")
        .listener("http")
        .route("all", "app", route)
        .upstream("app", servers, "")
        .start()
}

/// Closes each connection once it has read a request.
fn closing() -> Origin {
    Origin::raw("")
}

#[test]
fn a_refused_connection_is_tried_elsewhere_for_every_method() {
    let origin = Origin::text("ok");
    let proxy = in_front(&[refusing(), origin.address()], "");
    for _ in 0..4 {
        assert_eq!(
            proxy
                .fetch(&Request::post("/", "not idempotent, and not sent either"))
                .status,
            200
        );
    }
    assert_eq!(origin.requests(), 4);
}

#[test]
fn an_idempotent_request_that_was_cut_off_is_tried_elsewhere() {
    let (bad, good) = (closing(), Origin::text("ok"));
    let proxy = in_front(&[bad.address(), good.address()], "");
    for _ in 0..4 {
        assert_eq!(proxy.get("/").status, 200);
    }
    assert!(bad.requests() > 0, "the bad server was never asked");
    proxy.await_metric_from("weir_upstream_retries_total", &[], 1.0);
}

#[test]
fn a_post_that_was_sent_is_not_sent_again() {
    let (bad, good) = (closing(), Origin::text("ok"));
    let proxy = in_front(&[bad.address(), good.address()], "");
    let statuses: Vec<_> = (0..2).map(|_| proxy.fetch(&Request::post("/", "x")).status).collect();
    assert_eq!((bad.requests(), good.requests()), (1, 1), "{statuses:?}");
    assert!(statuses.contains(&502) && statuses.contains(&200), "{statuses:?}");
}

#[test]
fn retries_end() {
    let origins: Vec<_> = (0..4).map(|_| closing()).collect();
    let servers: Vec<_> = origins.iter().map(Origin::address).collect();
    let proxy = in_front(&servers, "retries = 2");
    assert_eq!(proxy.get("/").status, 502);
    assert_eq!(origins.iter().map(Origin::requests).sum::<usize>(), 3);
}

#[test]
fn an_answer_of_the_origin_is_an_answer() {
    let origins = [
        Origin::start(|_| Response::new(500)),
        Origin::start(|_| Response::new(500)),
    ];
    let proxy = in_front(&[origins[0].address(), origins[1].address()], "");
    assert_eq!(proxy.get("/").status, 500);
    assert_eq!(origins[0].requests() + origins[1].requests(), 1);
}

/// A kept-alive connection that the origin closed in the meantime is no failure of the origin.
#[test]
fn a_stale_connection_is_replaced() {
    let origin = Origin::scripted(|connection| {
        if connection.request()?.is_some() {
            connection.send(&Response::text("once").to_bytes())?;
        }
        Ok(())
    });
    let proxy = in_front(&[origin.address()], "retries = 0");
    let mut client = proxy.connect();
    for _ in 0..5 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(origin.connections(), 5);
}
