//! What Weir refuses by itself is shown to the plugins that ask for it, and stays refused whatever they say.

use weir_tests::bundle::Bundle;
use weir_tests::client::Client;
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, configure, in_front_of};

/// The plugin, with an answer to refused requests and the number of them that it is shown in a second.
fn contrary(answer: &str, shown: u32) -> Bundle {
    Bundle::new("refused", "1").guest(
        "contrary",
        &format!("limits = {{ refused = {shown} }}\nconfig = {{ answer = \"{answer}\" }}\n"),
    )
}

fn start(origin: &Origin, bundle: &Bundle) -> Proxy {
    let proxy = in_front_of(origin).start();
    let deployed = proxy.weir(&["deploy", &bundle.path()]);
    assert!(deployed.success, "{}", deployed.stderr);
    proxy
}

/// Sends bytes, and gives the status of the answer, after which the connection is closed.
fn refused(proxy: &Proxy, request: &[u8]) -> u16 {
    let mut client: Client = proxy.connect();
    client.send(request);
    let status = client.response().status;
    client.assert_closed();
    status
}

fn shown(proxy: &Proxy, result: &str) -> f64 {
    proxy.metric(
        "weir_plugin_refused_requests_total",
        &[("plugin", "contrary"), ("result", result)],
    )
}

/// Each is refused for the word after it. The plugin is to see method, path, query and version as they stand there.
const MALFORMED: &[(&str, u16, &str, &str)] = &[
    (
        "GET /a?b HTTP/1.1\r\nHost: a b\r\nX: 1\r\n\r\n",
        400,
        "host",
        "GET /a b 1.1",
    ),
    ("GET /a?b HTTP/1.1\r\nX: 1\r\n\r\n", 400, "host", "GET /a b 1.1"),
    (
        "POST /a HTTP/1.1\r\nHost: a\r\nX: 1\r\nContent-Length: 3;\r\n\r\nabc",
        400,
        "content_length",
        "POST /a  1.1",
    ),
    (
        "POST /a HTTP/1.1\r\nHost: a\r\nX: 1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "length_and_coding",
        "POST /a  1.1",
    ),
    (
        "GET /a HTTP/1.1\r\nHost : a\r\nX: 1\r\n\r\n",
        400,
        "header",
        "GET /a  1.1",
    ),
    (
        "GET /a HTTP/1.1\r\nX: 1\r\nHost: a\x01\r\n\r\n",
        400,
        "header",
        "GET /a  1.1",
    ),
    (
        "GET /a#b HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n",
        400,
        "target",
        "GET /a  1.1",
    ),
    (
        "GET /a\\b HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n",
        400,
        "target",
        "GET /a\\b  1.1",
    ),
    (
        "GET /a b HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n",
        400,
        "start_line",
        "GET /a b  1.1",
    ),
    (
        "G@T /a HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n",
        400,
        "start_line",
        "G@T /a  1.1",
    ),
    (
        "GET /a HTTP/0.9\r\nHost: a\r\nX: 1\r\n\r\n",
        400,
        "start_line",
        "GET /a  0.9",
    ),
    (
        "GET /a HTTP/3.0\r\nHost: a\r\nX: 1\r\n\r\n",
        505,
        "version",
        "GET /a  3.0",
    ),
    (
        "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nX: 1\r\n\r\n",
        501,
        "connect",
        "CONNECT a:80  1.1",
    ),
];

#[test]
fn whatever_a_plugin_says_a_malformed_request_is_refused() {
    let origin = Origin::text("served");
    for answer in ["allow", "hold", "reply", "close", "trap"] {
        let proxy = start(&origin, &contrary(answer, 1000));
        for (request, status, word, _) in MALFORMED {
            assert_eq!(refused(&proxy, request.as_bytes()), *status, "{answer}: {request:?}");
            let reason = [("reason", *word)];
            proxy.await_metric_from("weir_refusals_total", &reason, 1.0);
        }
        assert_eq!(shown(&proxy, "shown"), MALFORMED.len() as f64, "{answer}");
        if answer != "trap" {
            // A trapped instance is not told of the end.
            proxy.await_metric("weir_event_lines_total", &[], MALFORMED.len() as f64);
            let log = proxy.access_log();
            assert!(!log.contains("contrary.body"), "there is no body: {log}");
            assert!(log.contains("contrary.edits=\"[Err(TooLate), Err(TooLate)]\""), "{log}");
        }
        assert_eq!(proxy.get("/").status, 200, "requests that go on are not its business");
    }
    assert_eq!(origin.requests(), 5, "the good one of each proxy");
}

#[test]
fn a_plugin_sees_what_could_be_made_out_of_the_head() {
    let origin = Origin::text("served");
    let proxy = start(&origin, &contrary("allow", 1000));
    for (number, (request, status, word, line)) in MALFORMED.iter().enumerate() {
        // Each has a path of its own, by which its line of the log is found.
        let own = |text: &str| text.replacen("/a", &format!("/a{number}"), 1);
        assert_eq!(refused(&proxy, own(request).as_bytes()), *status, "{request:?}");
        let line = own(line).replace('\\', "\\x5c");
        let logged = proxy.await_access(&format!("contrary.line=\"{line}\""));
        for note in [
            format!("contrary.word=\"{word}\""),
            format!("contrary.status=\"{status}\""),
            "contrary.x=\"1\"".to_owned(),
            "contrary.same=\"yes\"".to_owned(),
        ] {
            assert!(logged.contains(&note), "{request:?}: {note} in {logged}");
        }
    }
    let log = proxy.access_log();
    assert!(
        log.contains("contrary.names=\"Host X Content-Length\""),
        "in their own case: {log}"
    );
    assert_eq!(origin.requests(), 0);
}

#[test]
fn a_request_that_no_route_takes_is_shown_too() {
    let origin = Origin::text("served");
    let proxy = configure()
        .listener("http")
        .route("api", "app", "path_prefix = \"/api\"\nmethods = [\"GET\"]\n")
        .upstream("app", &[origin.address()], "")
        .start();
    assert!(proxy.weir(&["deploy", &contrary("reply", 1000).path()]).success);
    let mut client = proxy.connect();
    client.send("POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    let status = client.response().status;
    let line = proxy.await_access("contrary.word=");
    assert!(
        matches!((status, line.contains("contrary.word=\"method\"")), (405, true)),
        "{status} {line}"
    );
    assert_eq!(client.get("/api").status, 200, "the connection goes on");
}

#[test]
fn a_plugin_is_shown_no_more_than_it_wants() {
    let origin = Origin::text("served");
    let proxy = start(&origin, &contrary("allow", 2));
    let requests = 40;
    for _ in 0..requests {
        assert_eq!(refused(&proxy, b"GET / HTTP/1.1\r\n\r\n"), 400);
    }
    let (shown, dropped) = (shown(&proxy, "shown"), shown(&proxy, "dropped"));
    assert_eq!(shown + dropped, f64::from(requests));
    assert!(dropped > 0.0 && shown >= 2.0, "{shown} shown, {dropped} dropped");
    proxy.await_metric("weir_refusals_total", &[("reason", "host")], f64::from(requests));
}

#[test]
fn a_client_over_its_rate_shows_nothing() {
    let origin = Origin::text("served");
    let proxy = in_front_of(&origin)
        .tables("[limits]\nclient_request_rate = 1\n")
        .start();
    assert!(proxy.weir(&["deploy", &contrary("allow", 1000).path()]).success);
    // What is no request does not come as far as the rate, and is a 400 whatever it is.
    let requests = 50;
    for _ in 0..requests {
        assert_eq!(refused(&proxy, b"GET / HTTP/0.9\r\n\r\n"), 400);
    }
    proxy.await_metric("weir_refusals_total", &[("reason", "start_line")], f64::from(requests));
    let shown = shown(&proxy, "shown");
    assert!((1.0..50.0).contains(&shown), "{shown}");
}

#[test]
fn without_the_limit_a_plugin_sees_nothing_of_it() {
    let origin = Origin::text("served");
    let proxy = start(&origin, &contrary("reply", 0));
    assert_eq!(refused(&proxy, b"GET / HTTP/1.1\r\n\r\n"), 400);
    proxy.await_metric("weir_refusals_total", &[("reason", "host")], 1.0);
    assert_eq!(proxy.metric("weir_plugin_calls_total", &[("plugin", "contrary")]), 0.0);
    assert!(!proxy.access_log().contains("contrary"));
}
