//! Rule sets are replaced under load: every request is answered, and judged by exactly one of them in all phases.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;
use weir_tests::bundle::Bundle;
use weir_tests::client::Client;
use weir_tests::message::{Request, Response};
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, in_front_of};
use weir_tests::sync::eventually;

use super::{events, waf};

/// A rule set whose rules have ids from a number on, one in each phase that lets everything pass, and one that refuses with a status of
/// its own what both see in the body.
fn rule_set(ids: u32, status: u16) -> Bundle {
    let phases: String = (1..=5)
        .map(|phase| format!("SecAction \"id:{},phase:{phase},pass,log\"\n", ids + phase))
        .collect();
    let refusal = format!(
        "SecRule ARGS_POST:text \"@streq attack\" \"id:{},phase:2,deny,status:{status}\"\n",
        ids + 9
    );
    waf(
        &ids.to_string(),
        &format!("SecResponseBodyAccess On\nSecComponentSignature set-{ids}\n{phases}{refusal}"),
    )
}

/// The ids that match in a request that passes, and the status and ids of one that is refused.
struct Marks {
    passing: Vec<u64>,
    refused: Vec<u64>,
    status: u16,
}

fn marks(ids: u64, status: u16) -> Marks {
    Marks {
        passing: (1..=5).map(|phase| ids + phase).collect(),
        refused: vec![ids + 1, ids + 2, ids + 9, ids + 5],
        status,
    }
}

fn post(text: &str) -> Request {
    Request::post("/", format!("text={text}")).header("Content-Type", "application/x-www-form-urlencoded")
}

fn started(origin: &Origin) -> Proxy {
    in_front_of(origin).tables("[access_log]\nevents = \"events\"").start()
}

fn deploy(proxy: &Proxy, bundle: &Bundle) {
    let output = proxy.weir(&["deploy", &bundle.path()]);
    assert!(output.success, "{}{}", output.stdout, output.stderr);
}

#[test]
fn twenty_swaps_under_load() {
    let origin = Origin::start(|_| Response::text("served").header("Content-Type", "text/plain"));
    let proxy = started(&origin);
    let sets = [rule_set(100, 403), rule_set(200, 406)];
    let marks = [marks(100, 403), marks(200, 406)];
    deploy(&proxy, &sets[0]);

    let over = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (over, answered, address) = (over.clone(), answered.clone(), proxy.address());
            thread::spawn(move || {
                let mut client = Client::connect(address);
                while !over.load(Ordering::SeqCst) {
                    assert_eq!(client.fetch(&post("hello")).text_body(), "served");
                    let refused = client.fetch(&post("attack"));
                    assert!([403, 406].contains(&refused.status), "{refused:?}");
                    answered.fetch_add(2, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for swap in 1..=20 {
        deploy(&proxy, &sets[swap % 2]);
    }
    over.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().expect("a client without a failure");
    }

    let answered = answered.load(Ordering::SeqCst);
    let events = eventually("an event of each request", || {
        Some(events(&proxy)).filter(|events| events.len() >= answered)
    });
    assert_eq!(events.len(), answered);
    assert_eq!(proxy.metric("weir_plugin_failures_total", &[]), 0.0);
    let mut seen: BTreeMap<u64, usize> = BTreeMap::new();
    for event in &events {
        let set = judged_by(event, &marks);
        *seen.entry(set).or_default() += 1;
    }
    assert_eq!(seen.len(), 2, "only one rule set judged anything: {seen:?}");
}

/// The rule set that judged a request; fails where it is not one alone.
fn judged_by(event: &Value, marks: &[Marks]) -> u64 {
    let transaction = &event["transaction"];
    let matched: Vec<u64> = serde_json::from_value(transaction["rules"].clone()).expect("the ids of rules");
    let status = transaction["response"]["http_code"].as_u64();
    let found = marks.iter().find(|marks| {
        let expected = match status {
            Some(200) => &marks.passing,
            status if status == Some(u64::from(marks.status)) => &marks.refused,
            _ => return false,
        };
        *expected == matched
    });
    assert!(found.is_some(), "judged by two rule sets, or by half of one: {event}");
    let first = matched.first().copied().unwrap_or_default() / 100 * 100;
    assert_eq!(
        transaction["producer"]["components"][0],
        format!("set-{first}"),
        "{event}"
    );
    first
}

#[test]
fn a_request_whose_body_comes_after_the_swap_is_judged_by_the_rules_that_saw_its_head() {
    let origin = Origin::text("served");
    let proxy = started(&origin);
    let (old, new) = (rule_set(100, 403), rule_set(200, 406));
    // Compiled before, so that the swap itself does not outlast the client's time for its request.
    deploy(&proxy, &new);
    deploy(&proxy, &old);
    let message = post("attack").to_bytes();
    let (start, rest) = message.split_at(message.len() - 3);
    let mut running = proxy.connect();
    running.send(start);
    eventually("the request's head in the plugin", || {
        let held = proxy.metric(
            "weir_plugin_calls_total",
            &[("phase", "on_request"), ("verdict", "hold")],
        );
        (held == 1.0).then_some(())
    });
    deploy(&proxy, &new);
    assert_eq!(proxy.fetch(&post("attack")).status, 406);
    running.send(rest);
    assert_eq!(running.response().status, 403);
}
