//! Servers that fail are left alone, and taken back when they recover.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use weir_tests::message::Response;
use weir_tests::origin::{Origin, refusing};
use weir_tests::proxy::configure;
use weir_tests::sync::eventually;
use weir_tests::tls::Certificate;

#[test]
fn active_checks_take_a_server_out_and_bring_it_back() {
    let status = Arc::new(AtomicU16::new(200));
    let checked = status.clone();
    let sick = Origin::start(move |request| match request.target.as_str() {
        "/health" => Response::new(checked.load(Ordering::SeqCst)),
        _ => Response::text("sick"),
    });
    let well = Origin::start(|_| Response::text("well"));
    let proxy = configure()
        .listener("http")
        .route("all", "app", "")
        .upstream("app", &[sick.address(), well.address()], "")
        .tables("[upstream.health]\npath = \"/health\"\ninterval = \"20ms\"\ntimeout = \"5s\"\nhealthy_after = 2\nunhealthy_after = 2")
        .start();
    let answers = || -> Vec<String> { (0..8).map(|_| proxy.get("/").text_body()).collect() };
    let mixed = |answers: &[String]| answers.iter().any(|answer| answer == "sick").then_some(());

    eventually("both servers in use", || mixed(&answers()));
    status.store(503, Ordering::SeqCst);
    eventually("only the healthy server in use", || {
        answers().iter().all(|answer| answer == "well").then_some(())
    });
    status.store(200, Ordering::SeqCst);
    eventually("the recovered server in use", || mixed(&answers()));
}

#[test]
fn checks_are_sent_even_without_traffic_and_need_no_worker_each() {
    let origin = Origin::text("ok");
    let _proxy = configure()
        .listener("http")
        .route("all", "app", "")
        .upstream("app", &[origin.address()], "")
        .tables("[upstream.health]\npath = \"/check\"\nhost = \"health.test\"\ninterval = \"20ms\"")
        .start();
    origin.await_requests(3);
    let check = &origin.seen()[0];
    assert_eq!((check.method.as_str(), check.target.as_str()), ("GET", "/check"));
    assert_eq!(check.headers.all("host"), ["health.test"]);
}

/// A check verifies certificates as traffic does: a server with another one is out before a request was lost on it.
#[test]
fn checks_go_through_tls_where_the_traffic_does() {
    let certificate = Certificate::new(&["origin.test"]);
    let known = Origin::tls(&certificate, |_| Response::text("known"));
    let stranger = Origin::tls(&Certificate::new(&["origin.test"]), |_| Response::text("stranger"));
    let builder = configure()
        .listener("http")
        .route("all", "app", "retries = 0")
        .upstream("app", &[known.address(), stranger.address()], "")
        .tables("[upstream.tls]\nserver_name = \"origin.test\"\nroots = \"cert.pem\"")
        .tables("[upstream.health]\npath = \"/health\"\ninterval = \"20ms\"\nunhealthy_after = 1")
        .tables("[upstream.ejection]\nfailures = 0");
    certificate.write(builder.folder());
    let proxy = builder.start();

    let healthy = |server: &Origin| {
        let server = server.address().to_string();
        proxy.metric("weir_upstream_healthy", &[("server", &server)])
    };
    eventually("the stranger out of use", || (healthy(&stranger) == 0.0).then_some(()));
    known.await_requests(2);
    assert_eq!(healthy(&known), 1.0);
    assert_eq!(known.seen()[0].target, "/health");
    for _ in 0..4 {
        assert_eq!(proxy.get("/").text_body(), "known");
    }
    assert_eq!(
        stranger.requests(),
        0,
        "no byte of HTTP for a server that nobody vouches for"
    );
}

#[test]
fn a_server_that_fails_on_traffic_is_ejected() {
    let well = Origin::text("ok");
    let dead = refusing();
    let proxy = configure()
        .top("workers = 1")
        .listener("http")
        .route("all", "app", "")
        .upstream("app", &[dead, well.address()], "")
        .tables("[upstream.ejection]\nfailures = 3\nduration = \"1h\"")
        .start();
    for _ in 0..20 {
        assert_eq!(proxy.get("/").status, 200);
    }
    let server = dead.to_string();
    let failures = proxy.metric("weir_upstream_failures_total", &[("server", &server)]);
    assert!(
        (3.0..=4.0).contains(&failures),
        "{failures} connections to a dead server that is ejected after 3"
    );
}

#[test]
fn the_last_server_is_never_ejected() {
    let proxy = configure()
        .listener("http")
        .route("all", "app", "retries = 0")
        .upstream("app", &[refusing()], "")
        .tables("[upstream.ejection]\nfailures = 1\nduration = \"1h\"")
        .start();
    for _ in 0..5 {
        assert_eq!(proxy.get("/").status, 502);
    }
}
