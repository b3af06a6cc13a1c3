//! Plugins that misbehave, one way each. Whatever they do: their policy answers, everybody else is served, the counters name
//! the cause, and the worker recovers.

use std::thread;
use std::time::Duration;

use weir_tests::bundle::Bundle;
use weir_tests::message::{Request, Response};
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, in_front_of};

/// One worker, so that whoever is served meanwhile is served by the same one.
fn with(bundle: &Bundle) -> (Origin, Proxy) {
    let origin = Origin::start(|request| {
        let refused = request.headers.get("x-refused").unwrap_or("none").to_owned();
        Response::text("served").header("X-Seen-Refused", &refused)
    });
    let proxy = in_front_of(&origin).top("workers = 1").start();
    let output = proxy.weir(&["deploy", &bundle.path()]);
    assert!(output.success, "{}{}", output.stdout, output.stderr);
    (origin, proxy)
}

/// A bundle of one guest, whose failures close or open.
fn bundle(guest: &str, on_failure: &str, keys: &str) -> Bundle {
    let keys = format!("on_failure = \"{on_failure}\"\n{keys}");
    Bundle::new("misbehaving", "1")
        .guest("mark", "config = { mark = \"m\" }")
        .guest(guest, &keys)
}

/// Shows for one guest what holds for all: policy, neighbours, counters, recovery.
fn assert_contained(guest: &str, path: &str, cause: &str, keys: &str) {
    for (policy, status) in [("closed", 503), ("open", 200)] {
        let bundle = bundle(guest, policy, keys);
        let (_origin, proxy) = with(&bundle);
        let address = proxy.address();
        let victim = thread::spawn({
            let path = path.to_owned();
            move || weir_tests::client::get(address, &path).status
        });
        // Others, at the same worker, at the same time, past the same plugin.
        let mut neighbour = proxy.connect();
        while !victim.is_finished() {
            let response = neighbour.get("/neighbour");
            assert_eq!(
                (response.status, response.headers.get("x-mark")),
                (200, Some("m")),
                "{guest}, {policy}"
            );
        }
        assert_eq!(victim.join().expect("an answer"), status, "{guest}, {policy}");
        assert_eq!(
            failures(&proxy, guest, cause),
            1.0,
            "{guest}, {policy}: failures because of {cause}"
        );
        for _ in 0..3 {
            assert_eq!(proxy.get(path).status, status, "{guest}, {policy}: again");
            assert_eq!(
                neighbour.get("/after").status,
                200,
                "{guest}, {policy}: the worker did not recover"
            );
        }
        assert_eq!(
            failures(&proxy, guest, cause),
            4.0,
            "{guest}, {policy}: failures because of {cause}"
        );
    }
}

fn failures(proxy: &Proxy, guest: &str, cause: &str) -> f64 {
    let all = proxy.metric("weir_plugin_failures_total", &[("plugin", guest)]);
    let named = proxy.metric("weir_plugin_failures_total", &[("plugin", guest), ("cause", cause)]);
    assert_eq!(all, named, "{guest} failed for another cause than {cause}");
    named
}

#[test]
fn one_that_traps() {
    assert_contained("trap", "/trap/request", "trap", "");
}

#[test]
fn one_that_never_returns() {
    assert_contained("spin", "/spin", "deadline", "limits = { time = \"100ms\" }");
}

#[test]
fn one_that_waits_on_the_clock() {
    assert_contained(
        "block",
        "/block",
        "deadline",
        "capabilities = [\"clock\"]\nlimits = { time = \"100ms\" }",
    );
}

#[test]
fn one_that_eats_memory() {
    assert_contained(
        "grow",
        "/grow",
        "memory",
        "limits = { memory = \"8MiB\", time = \"10s\" }",
    );
}

#[test]
fn one_that_uses_what_it_was_not_given() {
    assert_contained(
        "ungranted",
        "/ungranted/counters",
        "denied",
        "capabilities = [\"counters\"]",
    );
}

#[test]
fn one_that_answers_nonsense() {
    for path in ["status", "informational", "header-name", "header-value"] {
        assert_contained("nonsense", &format!("/nonsense/{path}"), "invalid", "");
    }
}

#[test]
fn edits_that_would_break_a_message_are_refused() {
    let (origin, proxy) = with(&bundle("nonsense", "closed", ""));
    let response = proxy.get("/nonsense/edit");
    assert_eq!(
        (response.status, response.headers.get("x-seen-refused")),
        (200, Some("6"))
    );
    let seen = origin.only_request();
    for name in ["x-split", "x-smuggled", "transfer-encoding", "content-length"] {
        assert_eq!(seen.headers.get(name), None, "{name}");
    }
    assert_eq!(seen.target, "/nonsense/edit");
}

#[test]
fn one_that_logs_megabytes() {
    let (_origin, proxy) = with(&bundle(
        "flood",
        "closed",
        "limits = { log_lines = 10, time = \"10s\" }",
    ));
    assert_eq!(proxy.get("/flood").text_body(), "served");
    proxy.await_metric_from("weir_plugin_log_lines_dropped_total", &[("plugin", "flood")], 4000.0);
    let log = proxy.log();
    let lines = log.lines().filter(|line| line.contains("xxxxxxxx")).count();
    assert!((1..=40).contains(&lines), "{lines} of 4096 lines got into the log");
    assert!(log.len() < 1024 * 1024, "the log has {} bytes", log.len());
}

#[test]
fn one_that_traps_when_the_response_is_there() {
    for (policy, status) in [("closed", 503), ("open", 200)] {
        let (_origin, proxy) = with(&bundle("trap", policy, ""));
        assert_eq!(proxy.get("/trap/response").status, status, "{policy}");
        proxy.await_metric(
            "weir_plugin_failures_total",
            &[("phase", "on_response"), ("cause", "trap")],
            1.0,
        );
        assert_eq!(proxy.get("/").status, 200);
    }
}

#[test]
fn one_that_traps_when_all_is_over() {
    let (_origin, proxy) = with(&bundle("trap", "closed", ""));
    let mut client = proxy.connect();
    assert_eq!(client.get("/trap/finish").status, 200, "the response had left already");
    assert_eq!(client.get("/").status, 200, "the connection lives on");
    proxy.await_metric(
        "weir_plugin_failures_total",
        &[("phase", "on_finish"), ("cause", "trap")],
        1.0,
    );
}

#[test]
fn a_configuration_that_never_ends_does_not_stop_traffic() {
    let origin = Origin::text("served");
    let proxy = in_front_of(&origin).top("workers = 1").start();
    let bundle = Bundle::new("misbehaving", "1").guest("slow-configure", "");
    thread::scope(|scope| {
        let deploy = scope.spawn(|| proxy.weir(&["deploy", &bundle.path()]));
        let mut client = proxy.connect();
        while !deploy.is_finished() {
            assert_eq!(client.get("/").text_body(), "served");
            thread::sleep(Duration::from_millis(1));
        }
        assert!(!deploy.join().expect("weir deploy").success);
    });
    assert_eq!(proxy.get("/").text_body(), "served");
}

/// The failure is logged once, with what the plugin was doing.
#[test]
fn a_trap_is_logged_with_the_plugins_own_backtrace() {
    let (_origin, proxy) = with(&bundle("trap", "closed", ""));
    for _ in 0..5 {
        assert_eq!(proxy.get("/trap/request").status, 503);
    }
    proxy.await_log("trap_at");
    assert_eq!(proxy.log().matches("trap_at").count(), 1, "{}", proxy.log());
    let line = proxy.await_access("/trap/request");
    assert!(line.contains("trap:on_request:trap"), "{line}");
}

#[test]
fn a_reply_of_an_earlier_plugin_spares_the_later_ones() {
    let bundle = Bundle::new("misbehaving", "1")
        .guest("nonsense", "")
        .guest("trap", "on_failure = \"open\"");
    let (origin, proxy) = with(&bundle);
    assert_eq!(proxy.fetch(&Request::get("/nonsense/status")).status, 503);
    assert_eq!(origin.requests(), 0);
    assert_eq!(failures(&proxy, "trap", "trap"), 0.0);
}
