//! Several servers share the work as the configuration says.

use std::thread;

use weir_tests::message::{Request, Response};
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, configure};
use weir_tests::sync::Gate;

fn in_front(origins: &[Origin], keys: &str) -> Proxy {
    let servers: Vec<_> = origins.iter().map(Origin::address).collect();
    // One worker: each worker takes turns for itself.
    configure()
        .top("workers = 1")
        .listener("http")
        .route("all", "app", "")
        .upstream("app", &servers, keys)
        .start()
}

#[test]
fn round_robin_takes_turns() {
    let origins: Vec<_> = ["a", "b", "c"].map(Origin::text).into();
    let proxy = in_front(&origins, "");
    let mut client = proxy.connect();
    let answers: String = (0..9).map(|_| client.get("/").text_body()).collect();
    assert_eq!(
        origins.iter().map(Origin::requests).collect::<Vec<_>>(),
        [3, 3, 3],
        "{answers}"
    );
    assert!(
        answers.as_bytes().windows(2).all(|pair| pair[0] != pair[1]),
        "not in turn: {answers}"
    );
}

#[test]
fn weights_are_shares() {
    let origins: Vec<_> = ["a", "b"].map(Origin::text).into();
    let servers = format!(
        "servers = [{{ address = \"{}\", weight = 3 }}, \"{}\"]",
        origins[0].address(),
        origins[1].address()
    );
    let proxy = configure()
        .top("workers = 1")
        .listener("http")
        .route("all", "app", "")
        .tables(&format!("[[upstream]]\nname = \"app\"\n{servers}"))
        .start();
    let mut client = proxy.connect();
    let answers: String = (0..12).map(|_| client.get("/").text_body()).collect();
    assert_eq!([origins[0].requests(), origins[1].requests()], [9, 3], "{answers}");
    assert!(
        !answers.contains("bb") && !answers.contains("aaaa"),
        "not interleaved: {answers}"
    );
}

#[test]
fn least_requests_avoids_the_busy_one() {
    let gate = Gate::new();
    let origins: Vec<_> = (0..2)
        .map(|_| {
            let gate = gate.clone();
            Origin::start(move |request| {
                if request.target == "/slow" {
                    gate.pass();
                }
                Response::text("ok")
            })
        })
        .collect();
    let proxy = in_front(&origins, "balance = \"least-requests\"");
    let address = proxy.address();
    let slow = thread::spawn(move || weir_tests::client::get(address, "/slow").status);
    gate.await_waiting(1);
    let busy = usize::from(origins[1].requests() == 1);
    let mut client = proxy.connect();
    for _ in 0..6 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!([origins[busy].requests(), origins[1 - busy].requests()], [1, 6]);
    gate.open();
    assert_eq!(slow.join().unwrap(), 200);
}

#[test]
fn a_consistent_hash_stays_with_its_server() {
    let origins: Vec<_> = ["a", "b", "c"].map(Origin::text).into();
    let proxy = in_front(&origins, "balance = \"consistent-hash\"\nhash = \"header:x-user\"");
    let server_of = |user: &str| proxy.fetch(&Request::get("/").header("X-User", user)).text_body();
    let users: Vec<_> = (0..30).map(|user| format!("user-{user}")).collect();
    let first: Vec<_> = users.iter().map(|user| server_of(user)).collect();
    let second: Vec<_> = users.iter().map(|user| server_of(user)).collect();
    assert_eq!(first, second);
    assert!(
        ["a", "b", "c"]
            .iter()
            .all(|server| first.iter().any(|answer| answer == server)),
        "{first:?}"
    );
}
