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
fn with(instances: u32, on_failure: &str, expected: usize) -> (Origin, Proxy) {
    let gate = std::sync::Barrier::new(expected);
    let origin = Origin::start(move |_| {
        gate.wait();
        Response::text("served")
    });
    let proxy = in_front_of(&origin).top("workers = 1").start();
    let keys = format!("on_failure = \"{on_failure}\"\nlimits = {{ instances = {instances} }}");
    let output = proxy.weir(&["deploy", &Bundle::new("parking", "1").guest("park", &keys).path()]);
    assert!(output.success, "{}{}", output.stdout, output.stderr);
    (origin, proxy)
}

/// Sends so many requests at once, each with a word; the answers, in the same order.
fn exchanges(proxy: &Proxy, words: Vec<String>) -> Vec<(String, u16, Option<String>)> {
    let address = proxy.address();
    let waiting: Vec<_> = words
        .into_iter()
        .map(|word| {
            thread::spawn(move || {
                let response = client::fetch(address, &Request::get("/").header("X-Word", &word));
                let told = response.headers.get("x-word").map(str::to_owned);
                (word, response.status, told)
            })
        })
        .collect();
    waiting
        .into_iter()
        .map(|answer| answer.join().expect("an answer"))
        .collect()
}

fn words() -> Vec<String> {
    (0..EXCHANGES).map(|number| format!("word {number}")).collect()
}

#[test]
fn many_exchanges_take_turns_in_few_instances() {
    let (_origin, proxy) = with(2, "closed", EXCHANGES);
    for (word, status, told) in exchanges(&proxy, words()) {
        assert_eq!((status, told.as_deref()), (200, Some(word.as_str())));
    }
    assert!(proxy.metric("weir_plugin_parked_total", &[("plugin", "park")]) >= (EXCHANGES - 2) as f64);
    assert_eq!(proxy.metric("weir_plugin_failures_total", &[("plugin", "park")]), 0.0);
    assert!(proxy.metric("weir_plugin_instances", &[("plugin", "park")]) <= 2.0);
}

#[test]
fn with_room_for_all_they_still_share_the_warm_ones() {
    let (_origin, proxy) = with(256, "closed", EXCHANGES);
    for (word, status, told) in exchanges(&proxy, words()) {
        assert_eq!((status, told.as_deref()), (200, Some(word.as_str())));
    }
    let instances = proxy.metric("weir_plugin_instances", &[("plugin", "park")]);
    assert!(instances <= 8.0, "{instances} instances for {EXCHANGES} exchanges");
}

#[test]
fn one_that_cannot_be_parked_stays() {
    let (_origin, proxy) = with(256, "closed", EXCHANGES);
    let words = (0..EXCHANGES).map(|number| match number % 3 {
        0 => "stay".to_owned(),
        _ => format!("word {number}"),
    });
    for (word, status, told) in exchanges(&proxy, words.collect()) {
        assert_eq!((status, told.as_deref()), (200, Some(word.as_str())));
    }
}

#[test]
fn one_that_cannot_go_on_fails_alone() {
    for failing in ["trap", "lose"] {
        let (_origin, proxy) = with(256, "closed", EXCHANGES);
        let mut words = words();
        words.insert(EXCHANGES / 2, failing.to_owned());
        words.remove(0);
        for (word, status, told) in exchanges(&proxy, words) {
            match status {
                200 => assert_eq!(told.as_deref(), Some(word.as_str()), "{failing}"),
                status => assert_eq!((status, word.as_str()), (503, failing)),
            }
        }
        let failures = proxy.metric("weir_plugin_failures_total", &[("plugin", "park")]);
        assert!(failures <= 1.0, "{failing}: {failures} failures");
    }
}
