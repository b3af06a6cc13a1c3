//! Exchanges that wait leave their plugin's instances to others, and go on as if nothing had been.

use std::thread;

use weir_tests::bundle::Bundle;
use weir_tests::client;
use weir_tests::message::{Request, Response};
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, in_front_of};

/// Exchanges that are all under way at once.
const EXCHANGES: usize = 24;

/// An origin that answers nobody before everybody has asked, behind a plugin that may have fewer instances than that.
fn with(instances: u32) -> (Origin, Proxy) {
    let gate = std::sync::Barrier::new(EXCHANGES);
    let origin = Origin::start(move |_| {
        gate.wait();
        Response::text("served")
    });
    let proxy = in_front_of(&origin).top("workers = 1").start();
    let keys = format!("on_failure = \"closed\"\nlimits = {{ instances = {instances} }}");
    let output = proxy.weir(&["deploy", &Bundle::new("parking", "1").guest("park", &keys).path()]);
    assert!(output.success, "{}{}", output.stdout, output.stderr);
    (origin, proxy)
}

/// The status of an answer, and the word that the plugin wrote on it.
type Told = (u16, Option<String>);

/// Sends a request with a word.
fn exchange(proxy: &Proxy, word: &str) -> thread::JoinHandle<Told> {
    let address = proxy.address();
    let request = Request::get("/").header("X-Word", word);
    thread::spawn(move || {
        let response = client::fetch(address, &request);
        (response.status, response.headers.get("x-word").map(str::to_owned))
    })
}

/// Sends so many requests at once, each with a word, and looks for it on each answer.
fn assert_all_go_on(proxy: &Proxy, words: &[String]) {
    let waiting: Vec<_> = words.iter().map(|word| exchange(proxy, word)).collect();
    for (word, answer) in words.iter().zip(waiting) {
        assert_eq!(answer.join().expect("an answer"), (200, Some(word.clone())));
    }
}

fn words() -> Vec<String> {
    (0..EXCHANGES).map(|number| format!("word {number}")).collect()
}

#[test]
fn many_exchanges_take_turns_in_few_instances() {
    let (_origin, proxy) = with(2);
    assert_all_go_on(&proxy, &words());
    assert!(proxy.metric("weir_plugin_parked_total", &[("plugin", "park")]) >= (EXCHANGES - 2) as f64);
    assert_eq!(proxy.metric("weir_plugin_failures_total", &[("plugin", "park")]), 0.0);
    assert!(proxy.metric("weir_plugin_instances", &[("plugin", "park")]) <= 2.0);
}

#[test]
fn with_room_for_all_they_still_share_the_warm_ones() {
    let (_origin, proxy) = with(256);
    assert_all_go_on(&proxy, &words());
    let instances = proxy.metric("weir_plugin_instances", &[("plugin", "park")]);
    assert!(instances <= 8.0, "{instances} instances for {EXCHANGES} exchanges");
}

#[test]
fn one_that_cannot_be_parked_stays() {
    let (_origin, proxy) = with(256);
    let words = (0..EXCHANGES).map(|number| match number % 3 {
        0 => "stay".to_owned(),
        _ => format!("word {number}"),
    });
    assert_all_go_on(&proxy, &words.collect::<Vec<_>>());
}

#[test]
fn one_that_cannot_go_on_fails_alone() {
    for failing in ["trap", "lose"] {
        let (origin, proxy) = with(2);
        let victim = exchange(&proxy, failing);
        origin.await_requests(1);
        assert_all_go_on(&proxy, &words()[1..]);
        assert_eq!(victim.join().expect("an answer"), (503, None), "{failing}");
        let failures = proxy.metric("weir_plugin_failures_total", &[("plugin", "park")]);
        assert_eq!(failures, 1.0, "{failing}");
    }
}
