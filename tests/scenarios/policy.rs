//! The five plugins that ship with Weir, through the proxy: one answer of each that shows its point, one request that passes,
//! and all of them together.

use weir_tests::bundle::Bundle;
use weir_tests::message::{Request, Response};
use weir_tests::origin::Origin;
use weir_tests::proxy::{Builder, Proxy, in_front_of};

fn with(bundle: &Bundle, change: impl FnOnce(Builder) -> Builder) -> (Origin, Proxy) {
    let origin = Origin::start(|request| Response::text(format!("passed {}", request.target)));
    let proxy = change(in_front_of(&origin)).start();
    let output = proxy.weir(&["deploy", &bundle.path()]);
    assert!(output.success, "{}{}", output.stdout, output.stderr);
    (origin, proxy)
}

/// Clients with addresses of their own: the test plays the trusted proxy in front of Weir.
fn behind_a_proxy(builder: Builder) -> Builder {
    builder.top("trusted_proxies = [\"127.0.0.0/8\"]")
}

fn from(client: &str, target: &str) -> Request {
    Request::get(target).header("X-Forwarded-For", client)
}

#[test]
fn access_by_network_user_agent_and_path() {
    let bundle = Bundle::new("access", "1")
        .file("deny.csv", networks().as_bytes())
        .plugin(
            "access",
            r#"
capabilities = ["tables"]
[[plugin.table]]
name = "deny"
kind = "ip"
file = "deny.csv"
[[plugin.config.rules]]
id = "office"
action = "allow"
networks = ["203.0.113.0/24"]
[[plugin.config.rules]]
id = "listed"
action = "deny"
tables = ["deny"]
[[plugin.config.rules]]
id = "scanners"
action = "deny"
user_agents = ["*nikto*"]
[[plugin.config.rules]]
id = "admin"
action = "deny"
status = 404
paths = ["/admin"]
"#,
        );
    let (_origin, proxy) = with(&bundle, behind_a_proxy);
    let rows = [
        (from("192.0.2.1", "/"), 200),
        (from("10.1.2.3", "/"), 403),
        (from("2001:db8:7::1", "/"), 403),
        (from("2001:db9::1", "/"), 200),
        (from("192.0.2.1", "/admin/x"), 404),
        (from("203.0.113.7", "/admin/x"), 200),
        (from("192.0.2.1", "/").header("User-Agent", "Nikto/2"), 403),
    ];
    for (request, status) in rows {
        assert_eq!(proxy.fetch(&request).status, status, "{request:?}");
    }
    proxy.await_access("access.rule=\"listed\"");
}

#[test]
fn plugins_are_called_only_for_what_concerns_them() {
    let bundle = Bundle::new("quiet", "1")
        .file("deny.csv", networks().as_bytes())
        .file("moved.csv", b"/old,/new\n")
        .plugin(
            "access",
            r#"
capabilities = ["tables"]
[[plugin.table]]
name = "deny"
kind = "ip"
file = "deny.csv"
[[plugin.config.rules]]
id = "office"
action = "deny"
networks = ["203.0.113.0/24"]
[[plugin.config.rules]]
id = "listed"
action = "deny"
tables = ["deny"]
"#,
        )
        .plugin(
            "redirect",
            r#"
capabilities = ["tables"]
[[plugin.table]]
name = "moved"
kind = "exact"
check = "redirects"
file = "moved.csv"
[[plugin.config.tables]]
name = "moved"
"#,
        );
    let (_origin, proxy) = with(&bundle, behind_a_proxy);
    let calls = || {
        let status = proxy.status();
        ["access", "redirect"].map(|name| {
            let plugins = status["plugins"].as_array().expect("plugins");
            let plugin = plugins.iter().find(|plugin| plugin["name"] == name).expect(name);
            plugin["calls"].as_u64().expect("a number")
        })
    };
    let rows = [
        (from("192.0.2.1", "/older"), 200, [0, 0]),
        (from("192.0.2.1", "/old?x=y"), 301, [0, 1]),
        (from("203.0.113.255", "/"), 403, [1, 1]),
        (from("::ffff:203.0.113.0", "/"), 403, [2, 1]),
        (from("10.1.2.3", "/old"), 403, [3, 1]),
        (from("2001:db9::1", "/"), 200, [3, 1]),
        (from("2001:db8:7::1", "/"), 403, [4, 1]),
    ];
    for (request, status, called) in rows {
        assert_eq!(proxy.fetch(&request).status, status, "{request:?}");
        assert_eq!(calls(), called, "{request:?}");
    }
}

/// 20,000 networks, IPv4 and IPv6.
fn networks() -> String {
    let four = (0..10_000).map(|number| format!("10.{}.{}.0/24\n", number / 256, number % 256));
    let six = (0..10_000).map(|number| format!("2001:db8:{number:x}::/48\n"));
    four.chain(six).collect()
}

#[test]
fn rate_limit_is_exact_over_all_workers_and_kept_by_a_swap() {
    let limits = |version: &str| {
        Bundle::new("limits", version).plugin(
            "rate-limit",
            r#"
capabilities = ["counters"]
[[plugin.counters]]
name = "per-ip"
entries = 1000
[[plugin.config.limits]]
name = "per-ip"
quota = 10
period = "3600s"
"#,
        )
    };
    let (origin, proxy) = with(&limits("1"), behind_a_proxy);
    // Each on a connection of its own, so that all workers take part.
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..30)
            .map(|_| scope.spawn(|| proxy.fetch(&from("192.0.2.1", "/")).status))
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().expect("an answer"))
            .collect()
    });
    let allowed = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!((allowed, origin.requests()), (10, 10), "{statuses:?}");

    let refused = proxy.fetch(&from("192.0.2.1", "/"));
    assert_eq!(refused.status, 429);
    let wait: u64 = refused
        .headers
        .get("retry-after")
        .and_then(|value| value.parse().ok())
        .expect("Retry-After");
    assert!((1..=360).contains(&wait), "{wait} seconds for a tenth of an hour");
    assert_eq!(refused.headers.get("ratelimit-policy"), Some("\"per-ip\";q=10;w=3600"));
    assert!(
        refused
            .headers
            .get("ratelimit")
            .is_some_and(|value| value.starts_with("\"per-ip\";r=0;t=")),
        "{refused:?}"
    );

    assert_eq!(proxy.fetch(&from("192.0.2.2", "/")).status, 200, "another client");
    assert!(proxy.weir(&["deploy", &limits("2").path()]).success);
    assert_eq!(
        proxy.fetch(&from("192.0.2.1", "/")).status,
        429,
        "a new generation with the old counters"
    );
}

#[test]
fn redirect_by_path_pattern_and_table() {
    let moved: String = (0..50_000)
        .map(|number| format!("/old/{number},/new/{number}\n"))
        .collect();
    let bundle = Bundle::new("redirects", "1")
        .file("moved.csv", moved.as_bytes())
        .plugin(
            "redirect",
            r#"
capabilities = ["tables"]
[[plugin.table]]
name = "moved"
kind = "exact"
file = "moved.csv"
[[plugin.config.rules]]
id = "about"
from = "/about.html"
to = "/about"
[[plugin.config.rules]]
id = "blog"
pattern = "^/blog/(?<year>[0-9]{4})/(.*)$"
to = "/archive/${year}/$2"
status = 308
[[plugin.config.tables]]
name = "moved"
"#,
        );
    let (_origin, proxy) = with(&bundle, |builder| builder);
    let rows = [
        ("/about.html?x=1", 301, Some("/about?x=1"), "about"),
        ("/blog/2026/hello", 308, Some("/archive/2026/hello"), "blog"),
        ("/old/49999", 301, Some("/new/49999"), "table:moved"),
        ("/old/50000", 200, None, ""),
    ];
    for (target, status, location, rule) in rows {
        let response = proxy.get(target);
        assert_eq!(
            (response.status, response.headers.get("location")),
            (status, location),
            "{target}"
        );
        assert_eq!(
            response.headers.get("x-weir-rule").unwrap_or_default(),
            rule,
            "{target}"
        );
    }
}

#[test]
fn a_loop_of_redirects_is_found_before_it_is_deployed() {
    let bundle = Bundle::new("redirects", "1").plugin(
        "redirect",
        r#"
capabilities = ["tables"]
[[plugin.config.rules]]
id = "there"
from = "/a"
to = "/b"
[[plugin.config.rules]]
id = "back"
from = "/b"
to = "/a"
"#,
    );
    let origin = Origin::text("ok");
    let proxy = in_front_of(&origin).start();
    let output = proxy.weir(&["deploy", &bundle.path()]);
    assert!(!output.success, "{}", output.stdout);
    assert!(
        output.stderr.contains("there") && output.stderr.contains("back"),
        "{}",
        output.stderr
    );
}

#[test]
fn maintenance_is_switched_while_traffic_flows() {
    let bundle = Bundle::new("maintenance", "1").plugin(
        "maintenance",
        r#"
capabilities = ["clock", "tables"]
[plugin.config]
mode = "off"
except_paths = ["=/health"]
retry_after = "10m"
[plugin.config.allow]
networks = ["203.0.113.0/24"]
"#,
    );
    let (_origin, proxy) = with(&bundle, behind_a_proxy);
    let switch = |mode: &str| {
        let body = format!("{{\"mode\": \"{mode}\"}}");
        let mut request = Request::post("/v1/plugins/maintenance/config", body).host(&proxy.admin().to_string());
        request.method = "PATCH".into();
        let response = weir_tests::client::fetch(proxy.admin(), &request);
        assert_eq!(response.status, 200, "{}", response.text_body());
    };
    assert_eq!(proxy.get("/").status, 200);
    switch("on");
    let page = proxy.fetch(&Request::get("/").header("Accept", "text/html"));
    assert_eq!((page.status, page.headers.get("retry-after")), (503, Some("600")));
    assert!(
        page.headers
            .get("content-type")
            .is_some_and(|kind| kind.starts_with("text/html")),
        "{page:?}"
    );
    let json = proxy.fetch(&Request::get("/").header("Accept", "application/json"));
    assert_eq!(json.json()["status"], 503);
    assert_eq!(
        proxy.fetch(&from("203.0.113.9", "/")).status,
        200,
        "a client of the allow list"
    );
    assert_eq!(proxy.get("/health").status, 200);
    switch("off");
    assert_eq!(proxy.get("/").status, 200);
}

#[test]
fn waf_refuses_attacks_in_query_and_body_and_lets_the_rest_pass() {
    let bundle = Bundle::new("waf", "1").plugin(
        "waf",
        r#"
capabilities = ["clock", "kv"]

[plugin.config]
directives = """
SecRuleEngine On
SecRequestBodyAccess On
SecRule ARGS "@contains union select" "id:1,phase:2,deny,status:403,t:lowercase"
SecRule REQUEST_HEADERS:User-Agent "@pm sqlmap nikto" "id:2,phase:1,deny,status:403,t:lowercase"
"""
"#,
    );
    let (origin, proxy) = with(&bundle, |builder| builder);
    let form = |body: &str| Request::post("/form", body).header("Content-Type", "application/x-www-form-urlencoded");
    let rows = [
        (Request::get("/search?q=credit+union+elections"), 200),
        (Request::get("/search?q=1%20UNION%20SELECT%20password"), 403),
        (Request::get("/").header("User-Agent", "sqlmap/1.8"), 403),
        (form("comment=hello"), 200),
        (form("comment=1+union+select+2"), 403),
    ];
    for (request, status) in &rows {
        assert_eq!(proxy.fetch(request).status, *status, "{request:?}");
    }
    assert_eq!(origin.requests(), 2, "a refused request reached the origin");
    proxy.await_access("waf.refused-by=\"1\"");
}

#[test]
fn all_of_the_standard_bundle_together() {
    let bundle = Bundle::shipped("standard");
    let (_origin, proxy) = with(&bundle, |builder| builder);
    let browser = |target: &str| {
        Request::get(target)
            .header("User-Agent", "Mozilla/5.0")
            .header("Accept", "text/html")
    };
    let rows = [
        (browser("/page?x=1"), 200),
        (browser("/search?q=1'%20OR%20'1'='1'--"), 403),
        (browser("/.git/config"), 404),
        (browser("/old-home"), 301),
        (Request::get("/").header("User-Agent", "sqlmap/1.8"), 403),
    ];
    for (request, status) in rows {
        assert_eq!(proxy.fetch(&request).status, status, "{request:?}");
    }
    for plugin in ["access", "rate-limit", "redirect", "waf"] {
        let calls = proxy.metric(
            "weir_plugin_calls_total",
            &[("plugin", plugin), ("phase", "on_request")],
        );
        assert!(calls >= 1.0, "{plugin} was never called");
    }
    assert_eq!(
        proxy.metric("weir_plugin_calls_total", &[("plugin", "maintenance")]),
        0.0,
        "off costs nothing"
    );
}
