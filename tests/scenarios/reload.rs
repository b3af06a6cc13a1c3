//! A new configuration takes over whole, or not at all.

use weir_tests::message::Request;
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, in_front_of};
use weir_tests::sync::{Gate, eventually};

fn two_origins() -> (Origin, Origin, Proxy) {
    let (old, new) = (Origin::text("old"), Origin::text("new"));
    let proxy = in_front_of(&old).start();
    (old, new, proxy)
}

fn point_to(proxy: &Proxy, old: &Origin, new: &Origin) {
    proxy.edit_config(|text| text.replace(&old.address().to_string(), &new.address().to_string()));
}

#[test]
fn by_signal() {
    let (old, new, proxy) = two_origins();
    let mut kept = proxy.connect();
    assert_eq!(kept.get("/").text_body(), "old");
    point_to(&proxy, &old, &new);
    assert_eq!(proxy.get("/").text_body(), "old", "nobody asked for a reload yet");
    proxy.signal("HUP");
    eventually("the new configuration", || {
        (proxy.get("/").text_body() == "new").then_some(())
    });
    assert_eq!(
        kept.get("/").text_body(),
        "new",
        "a connection made before, its next request"
    );
}

#[test]
fn by_command() {
    let (old, new, proxy) = two_origins();
    point_to(&proxy, &old, &new);
    let output = proxy.weir(&["reload"]);
    assert!(output.success, "{}", output.stderr);
    assert_eq!(
        proxy.get("/").text_body(),
        "new",
        "the command returns when the configuration is active"
    );
}

#[test]
fn a_running_request_keeps_the_configuration_that_it_started_with() {
    let gate = Gate::new();
    let held = gate.clone();
    let old = Origin::start(move |_| {
        held.pass();
        weir_tests::message::Response::text("old")
    });
    let new = Origin::text("new");
    let proxy = in_front_of(&old).start();
    let mut running = proxy.connect();
    running.send(Request::get("/").to_bytes());
    gate.await_waiting(1);
    point_to(&proxy, &old, &new);
    assert!(proxy.weir(&["reload"]).success);
    assert_eq!(proxy.get("/").text_body(), "new");
    gate.open();
    assert_eq!(running.response().text_body(), "old");
}

#[test]
fn a_listener_comes_and_goes_and_the_others_stay() {
    let (_old, _new, proxy) = two_origins();
    let before = proxy.address();
    let mut kept = proxy.connect();
    proxy.edit_config(|text| format!("{text}\n[[listener]]\nname = \"second\"\naddress = \"127.0.0.1:0\"\n"));
    assert!(proxy.weir(&["reload"]).success);
    let second = eventually("the second listener", || {
        let status = proxy.status();
        let listeners = status["listeners"].as_array()?.clone();
        let second = listeners.iter().find(|listener| listener["name"] == "second")?.clone();
        second["address"].as_str()?.parse::<std::net::SocketAddr>().ok()
    });
    assert_eq!(weir_tests::client::get(second, "/").text_body(), "old");
    assert_eq!(kept.get("/").text_body(), "old");
    assert_eq!(weir_tests::client::get(before, "/").text_body(), "old");
}

#[test]
fn a_bad_configuration_changes_nothing_and_says_why() {
    let (old, new, proxy) = two_origins();
    point_to(&proxy, &old, &new);
    proxy.edit_config(|text| format!("{text}\n[timeouts]\nconect = \"1s\"\n"));
    let output = proxy.weir(&["reload"]);
    assert!(!output.success, "{}", output.stdout);
    assert!(
        output.stderr.contains("conect") && output.stderr.contains("weir.toml:"),
        "{}",
        output.stderr
    );
    proxy.signal("HUP");
    eventually("the reload by signal is refused, too", || {
        let refused = proxy.metric("weir_activations_total", &[("change", "reload"), ("result", "refused")]);
        (refused >= 2.0).then_some(())
    });
    assert_eq!(proxy.get("/").text_body(), "old");
}
