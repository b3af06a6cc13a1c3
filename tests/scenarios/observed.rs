//! What an operator sees from outside: metrics, access logs, health.

use serde_json::Value;
use weir_tests::bundle::Bundle;
use weir_tests::curl::curl;
use weir_tests::message::Request;
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, in_front_of};

fn observed(access_log: &str) -> (Origin, Proxy) {
    let origin = Origin::text("hello");
    let proxy = in_front_of(&origin).tables(access_log).start();
    let bundle = Bundle::new("observed", "7").guest("mark", "config = { mark = \"m\" }");
    let output = proxy.weir(&["deploy", &bundle.path()]);
    assert!(output.success, "{}{}", output.stdout, output.stderr);
    (origin, proxy)
}

/// A metric, labels of its series, and their sum.
type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

#[test]
fn metrics_by_listener_route_server_and_plugin() {
    let (origin, proxy) = observed("");
    for _ in 0..3 {
        assert_eq!(proxy.get("/").status, 200);
    }
    let server = origin.address().to_string();
    let rows: &[Row] = &[
        (
            "weir_requests_total",
            &[("listener", "http"), ("route", "all"), ("status", "2xx")],
            3.0,
        ),
        ("weir_request_duration_seconds_count", &[("route", "all")], 3.0),
        (
            "weir_upstream_requests_total",
            &[("upstream", "app"), ("server", &server), ("status", "2xx")],
            3.0,
        ),
        (
            "weir_plugin_calls_total",
            &[("plugin", "mark"), ("phase", "on_request"), ("verdict", "continue")],
            3.0,
        ),
        (
            "weir_plugin_calls_total",
            &[("plugin", "mark"), ("phase", "on_response"), ("verdict", "continue")],
            3.0,
        ),
        (
            "weir_plugin_call_duration_seconds_count",
            &[("plugin", "mark"), ("phase", "on_request")],
            3.0,
        ),
        ("weir_response_body_bytes_total", &[("listener", "http")], 15.0),
        ("weir_generation_info", &[("bundle", "observed"), ("version", "7")], 1.0),
    ];
    for (name, labels, value) in rows {
        proxy.await_metric(name, labels, *value);
    }
}

#[test]
fn the_metrics_page_is_what_prometheus_reads() {
    let (_origin, proxy) = observed("");
    let page = proxy.ask("/metrics");
    let kind = page.headers.get("content-type").expect("a content type");
    assert!(
        kind.starts_with("text/plain") && kind.contains("version=0.0.4"),
        "{kind}"
    );
    let mut families = std::collections::BTreeSet::new();
    for line in page.text_body().lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let name = rest.split(' ').next().unwrap();
            assert!(families.insert(name.to_owned()), "{name} is declared twice");
        } else if !line.starts_with('#') && !line.is_empty() {
            let (series, value) = line.rsplit_once(' ').expect("a series and a value");
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let name = series.split('{').next().unwrap();
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end));
            let declared = families.contains(name) || base.is_some_and(|base| families.contains(base));
            assert!(declared, "{name} has no # TYPE");
        }
    }
    assert!(families.len() > 10, "{families:?}");
}

#[test]
fn a_json_access_log() {
    let (origin, proxy) = observed("[access_log]\nformat = \"json\"");
    let response = proxy.fetch(&Request::get("/page?x=%C3%A9").header("User-Agent", "tests \"and\" quotes \u{e9}"));
    assert_eq!(response.status, 200);
    let line: Value = serde_json::from_str(&proxy.await_access("/page")).expect("a line of JSON");
    let facts = [
        ("method", "GET"),
        ("host", "weir.test"),
        ("listener", "http"),
        ("route", "all"),
        ("client", "127.0.0.1"),
    ];
    for (key, value) in facts {
        assert_eq!(line[key], value, "{key} in {line}");
    }
    assert_eq!(line["status"], 200);
    assert_eq!(line["response_bytes"], 5);
    assert_eq!(line["server"], origin.address().to_string());
    assert!(line["duration_ms"].as_f64().is_some_and(|time| time > 0.0), "{line}");
    assert_eq!(line["plugins"][0]["plugin"], "mark");
    assert_eq!(line["plugins"][0]["verdict"], "continue");
    assert_eq!(line["notes"][0]["value"], "m");
    let id = line["id"].as_str().expect("an identifier");
    assert_eq!(
        origin.only_request().headers.get("x-request-id"),
        Some(id),
        "the origin knows the request by the same name"
    );
}

#[test]
fn a_readable_access_log() {
    let (_origin, proxy) = observed("[access_log]\nformat = \"text\"");
    assert_eq!(proxy.get("/page").status, 200);
    let line = proxy.await_access("/page");
    for needle in [
        "127.0.0.1 - - [",
        "\"GET /page HTTP/1.1\" 200 5",
        "route=all",
        "plugins=mark:on_request:continue:",
    ] {
        assert!(line.contains(needle), "{needle:?} is missing in {line}");
    }
}

#[test]
fn an_access_log_in_a_file() {
    let (_origin, proxy) = observed("[access_log]\nformat = \"text\"\nfile = \"access.log\"");
    assert_eq!(proxy.get("/page").status, 200);
    weir_tests::sync::eventually("a line in access.log", || {
        std::fs::read_to_string(proxy.folder().join("access.log"))
            .ok()
            .filter(|text| text.contains("/page"))
    });
    assert_eq!(proxy.access_log(), "");
}

#[test]
fn a_refused_request_is_counted_and_logged_too() {
    let (_origin, proxy) = observed("[access_log]\nformat = \"text\"\n[limits]\ntarget = \"1KiB\"");
    assert_eq!(proxy.get(&format!("/{}", "a".repeat(2000))).status, 414);
    let mut client = proxy.connect();
    client.send(b"GET /two-hosts HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    assert_eq!(client.response().status, 400);
    proxy.await_metric_from("weir_refusals_total", &[], 2.0);
    proxy.await_access("/two-hosts");
}

#[test]
fn health_by_curl() {
    let (_origin, proxy) = observed("");
    for path in ["healthz", "readyz", "metrics", "v1/status"] {
        let output = curl(&["--fail", &format!("http://{}/{path}", proxy.admin())]);
        assert!(output.success, "{path}: {}", output.stderr);
    }
}
