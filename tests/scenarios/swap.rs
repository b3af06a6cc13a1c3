//! Plugins are replaced under load: every request is answered, each by exactly one generation.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use weir_tests::bundle::Bundle;
use weir_tests::client::Client;
use weir_tests::message::{Request, Response};
use weir_tests::origin::Origin;
use weir_tests::proxy::in_front_of;
use weir_tests::sync::Gate;

fn marking(mark: &str) -> Bundle {
    Bundle::new("marking", mark).guest("mark", &format!("config = {{ mark = \"{mark}\" }}"))
}

/// Answers with the marks that the request carried.
fn echo_marks(request: &Request) -> Response {
    Response::text(request.headers.all("x-mark").join(","))
}

#[test]
fn twenty_swaps_under_load() {
    let origin = Origin::start(echo_marks);
    let proxy = in_front_of(&origin).start();
    let bundles = [marking("a"), marking("b")];
    let deploy = |bundle: &Bundle| {
        let output = proxy.weir(&["deploy", &bundle.path()]);
        assert!(output.success, "{}{}", output.stdout, output.stderr);
    };
    deploy(&bundles[0]);

    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (over, address) = (over.clone(), proxy.address());
            thread::spawn(move || {
                let mut marks = BTreeSet::new();
                let mut client = Client::connect(address);
                while !over.load(Ordering::SeqCst) {
                    let response = client.get("/");
                    assert_eq!(response.status, 200, "{response:?}");
                    let mark = response.headers.get("x-mark").expect("a marked response").to_owned();
                    assert_eq!(response.text_body(), mark, "a request was answered by two generations");
                    marks.insert(mark);
                }
                marks
            })
        })
        .collect();
    for swap in 1..=20 {
        deploy(&bundles[swap % 2]);
    }
    over.store(true, Ordering::SeqCst);
    for client in clients {
        let marks = client.join().expect("a client without a failure");
        assert_eq!(marks.len(), 2, "a client saw only {marks:?}");
    }
}

#[test]
fn a_running_request_finishes_on_its_generation() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(move |request| {
        if request.target == "/held" {
            held.pass();
        }
        echo_marks(request)
    });
    let proxy = in_front_of(&origin).start();
    let (one, two) = (marking("one"), marking("two"));
    assert!(proxy.weir(&["deploy", &one.path()]).success);
    let mut running = proxy.connect();
    running.send(Request::get("/held").to_bytes());
    gate.await_waiting(1);
    assert!(proxy.weir(&["deploy", &two.path()]).success);
    assert_eq!(proxy.get("/").headers.get("x-mark"), Some("two"));
    gate.open();
    let response = running.response();
    assert_eq!(
        (response.text_body().as_str(), response.headers.get("x-mark")),
        ("one", Some("one"))
    );
}
