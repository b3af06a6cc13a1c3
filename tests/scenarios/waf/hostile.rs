//! Requests that are made to be expensive are answered within the plugin's limits, and others are served meanwhile.

use std::thread;

use weir_tests::bundle::{Bundle, RuleSet};
use weir_tests::client;
use weir_tests::message::{Request, Response};
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, in_front_of};

use super::corpus;

/// What a hostile request may be answered with: let through because no rule of the level finds anything, refused by rules or by the edge,
/// or by the policy for a plugin whose time is over.
const ANSWERS: [u16; 7] = [200, 400, 403, 413, 414, 431, 503];

/// More than all of them together leave behind, and far less than one would that is not bounded.
const MOST_MEMORY: u64 = 128 << 20;

/// One worker, so that whoever is served meanwhile is served by the same one.
fn with(bundle: &Bundle) -> (Origin, Proxy) {
    let origin = Origin::start(|_| Response::text("served").header("Content-Type", "text/html"));
    let proxy = in_front_of(&origin).top("workers = 1").start();
    let output = proxy.weir(&["deploy", &bundle.path()]);
    assert!(output.success, "{}{}", output.stdout, output.stderr);
    (origin, proxy)
}

fn ordinary() -> Request {
    Request::get("/library?page=2")
        .header("Accept", "text/html")
        .header("User-Agent", "Mozilla/5.0")
}

/// Sends a request and meanwhile asks, over and over, for an ordinary page.
fn beside_a_neighbour(proxy: &Proxy, name: &str, request: Request) -> Response {
    let address = proxy.address();
    let hostile = thread::spawn(move || client::fetch(address, &request));
    let mut neighbour = proxy.connect();
    loop {
        assert_eq!(neighbour.fetch(&ordinary()).status, 200, "beside {name}");
        if hostile.is_finished() {
            return hostile.join().unwrap_or_else(|_| panic!("{name}: no answer"));
        }
    }
}

fn failures(proxy: &Proxy, labels: &[(&str, &str)]) -> f64 {
    let labels = [&[("plugin", "waf")], labels].concat();
    proxy.metric("weir_plugin_failures_total", &labels)
}

fn all_are_contained(name: &str, bundle: &Bundle) {
    let (_origin, proxy) = with(bundle);
    let before = proxy.memory();
    for (case, request) in corpus::hostile() {
        let stopped = failures(&proxy, &[]);
        let response = beside_a_neighbour(&proxy, case, request);
        assert!(ANSWERS.contains(&response.status), "{name}, {case}: {response:?}");
        let stopped = failures(&proxy, &[]) > stopped;
        assert_eq!(
            response.status == 503,
            stopped,
            "{name}, {case}: 503 is the policy's answer alone"
        );
        println!("{name}: {case}: {}", response.status);
    }
    assert_eq!(
        failures(&proxy, &[]),
        failures(&proxy, &[("cause", "deadline")]),
        "{name}: the plugin failed for another reason than its time"
    );
    let grown = proxy.memory().saturating_sub(before);
    assert!(grown < MOST_MEMORY, "{name}: {} MiB more than before", grown >> 20);
    assert_eq!(proxy.fetch(&ordinary()).status, 200, "{name}: an ordinary page passes");
    let attack = Request::get("/?id=1'%20or%20'1'='1").header("Accept", "text/html");
    assert_eq!(proxy.fetch(&attack).status, 403, "{name}: an attack does not");
}

#[test]
fn by_weirs_own_rules() {
    all_are_contained("Weir's own rules", &Bundle::shipped("standard"));
}

/// At the highest paranoia level, where every rule runs.
#[test]
fn by_the_core_rule_set() {
    for rules in RuleSet::installed() {
        let bundle =
            Bundle::crs(&rules).edited(|manifest| manifest.replace("paranoia_level = 1", "paranoia_level = 4"));
        all_are_contained(&rules.name(), &bundle);
    }
}

/// Bodies that rules cannot read do not pass unread.
#[test]
fn compressed_bodies_are_refused() {
    let (origin, proxy) = with(&Bundle::shipped("standard"));
    for (case, request) in corpus::compressed() {
        assert_eq!(proxy.fetch(&request).status, 400, "{case}");
    }
    assert_eq!(origin.requests(), 0);
}

/// A limit that nothing of this size can meet: the policy answers, the next one is served.
#[test]
fn what_takes_longer_than_the_limit_is_answered_by_the_policy() {
    for (policy, status) in [("closed", 503), ("open", 200)] {
        let bundle = Bundle::new("slow", "1")
            .file("rules.conf", include_bytes!("../../../rulesets/sqli.conf"))
            .plugin(
                "waf",
                &format!(
                    "on_failure = \"{policy}\"\ncapabilities = [\"clock\", \"kv\"]\nlimits = {{ time = \"1ms\", memory = \"128MiB\" }}\n\
                     [plugin.data]\nsqli = \"rules.conf\"\n[plugin.config]\nrules = [\"sqli\"]\nrequest_body_limit = 1048576"
                ),
            );
        let (_origin, proxy) = with(&bundle);
        let (case, request) = corpus::values().remove(1);
        assert_eq!(beside_a_neighbour(&proxy, case, request).status, status, "{policy}");
        assert_eq!(failures(&proxy, &[("cause", "deadline")]), 1.0, "{policy}");
    }
}
