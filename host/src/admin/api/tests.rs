#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::*;

#[test]
fn errors_about_an_upload_speak_of_the_files_in_it() {
    let message = "/tmp/x.tar:bundle.toml:3: unknown key\n/tmp/x.tar is no tar";
    let told = as_uploaded(message, Path::new("/tmp/x.tar"));
    assert_eq!(told, "bundle.toml:3: unknown key\nthe upload is no tar");
}

/// Says what it was asked.
#[derive(Default)]
struct Echo {
    token: Option<&'static str>,
    running: AtomicUsize,
}

impl Operations for Echo {
    fn ready(&self) -> bool {
        false
    }
    fn status(&self) -> Value {
        json!({ "generation": 7 })
    }
    fn metrics(&self) -> String {
        "weir_generation 7\n".to_owned()
    }
    fn token(&self) -> Option<String> {
        self.token.map(str::to_owned)
    }
    fn reload(&self) -> Result<Value, String> {
        assert_eq!(self.running.fetch_add(1, SeqCst), 0, "one activation at a time");
        std::thread::yield_now();
        self.running.fetch_sub(1, SeqCst);
        Ok(json!("reloaded"))
    }
    fn deploy(&self, bundle: &Path) -> Result<Value, String> {
        match std::fs::read(bundle) {
            Ok(bytes) => Ok(json!({ "uploaded": bytes.len() })),
            Err(_) => Err(format!("{}: no bundle there", bundle.display())),
        }
    }
    fn patch_plugin(&self, plugin: &str, patch: &Value) -> Result<Value, String> {
        Ok(json!({ plugin: patch }))
    }
    fn rollback(&self, generation: Option<u64>) -> Result<Value, String> {
        Ok(json!({ "to": generation }))
    }
    fn cache(&self, call: &CacheCall) -> Result<Value, String> {
        match call {
            CacheCall::Ban(expression, manner) => Ok(json!(format!("{manner:?} {}", expression.as_str()))),
            call => Ok(json!(format!("{call:?}"))),
        }
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

fn ask(operations: Echo, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let api = Api::new("127.0.0.1:9180".parse().unwrap(), Arc::new(operations));
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "127.0.0.1:9180");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let response = runtime.block_on(api.answer("127.0.0.1:1".parse().unwrap(), request));
    let (head, body) = response.into_parts();
    let body = runtime.block_on(body.collect()).unwrap().to_bytes();
    Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

fn error_of(answer: &Answer) -> String {
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    body["error"].as_str().unwrap().to_owned()
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn reads_are_answered() {
    for (path, status, content_type, body) in [
        ("/healthz", 200, "text/plain; charset=utf-8", "ok\n"),
        ("/readyz", 503, "text/plain; charset=utf-8", "not ready\n"),
        ("/metrics", 200, "text/plain; version=0.0.4", "weir_generation 7\n"),
        ("/v1/status", 200, "application/json", "{\"generation\":7}\n"),
    ] {
        let answer = ask(Echo::default(), "GET", path, &[], "");
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{path}");
        assert_eq!(answer.headers["content-type"], content_type, "{path}");
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let answer = ask(Echo::default(), "GET", "/", &[], "");
    assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
    assert!(
        answer.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .starts_with("default-src 'none'")
    );
    for foreign in ["http://", "https://", "//cdn", "@import", "innerHTML"] {
        assert!(!answer.body.contains(foreign), "{foreign}");
    }
}

#[test]
fn changes_reach_the_operations() {
    for (method, path, headers, body, expected) in [
        ("POST", "/v1/reload", &[][..], "", "\"reloaded\"\n"),
        ("POST", "/v1/rollback", &[], "", "{\"to\":null}\n"),
        ("POST", "/v1/rollback", &[JSON], "{\"generation\": 3}", "{\"to\":3}\n"),
        (
            "PATCH",
            "/v1/plugins/waf/config",
            &[JSON],
            "{\"mode\": null}",
            "{\"waf\":{\"mode\":null}}\n",
        ),
        (
            "POST",
            "/v1/cache/purge",
            &[JSON],
            "{\"tags\": [\"a\"], \"soft\": true}",
            "\"Purge(Tags([\\\"a\\\"]), Soft)\"\n",
        ),
        (
            "POST",
            "/v1/cache/ban",
            &[JSON],
            "{\"expression\": \"obj.status == 404\"}",
            "\"Hard obj.status == 404\"\n",
        ),
        (
            "POST",
            "/v1/deploy",
            &[("content-type", "application/x-tar")],
            "tar bytes",
            "{\"uploaded\":9}\n",
        ),
    ] {
        let answer = ask(Echo::default(), method, path, headers, body);
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, expected),
            "{method} {path}"
        );
    }
}

#[test]
fn a_refused_activation_says_why() {
    let answer = ask(
        Echo::default(),
        "POST",
        "/v1/deploy",
        &[JSON],
        "{\"path\": \"/absent/bundle\"}",
    );
    assert_eq!(
        (answer.status, error_of(&answer).as_str()),
        (422, "/absent/bundle: no bundle there")
    );
}

#[test]
fn nonsense_is_refused_by_name() {
    for (method, path, headers, body, status, message) in [
        ("GET", "/nowhere", &[][..], "", 404, "/nowhere"),
        ("GET", "/v1/plugins//config", &[], "", 404, "/v1/plugins//config"),
        ("GET", "/v1/plugins/a/b/config", &[], "", 404, "/v1/plugins/a/b/config"),
        ("POST", "/v1/deploy", &[], "", 400, "empty"),
        ("POST", "/v1/deploy", &[JSON], "{\"path\": \"bundle\"}", 400, "absolute"),
        (
            "POST",
            "/v1/deploy",
            &[JSON],
            "{\"folder\": \"/bundle\"}",
            400,
            "folder",
        ),
        ("POST", "/v1/deploy", &[("content-encoding", "gzip")], "x", 415, "gzip"),
        ("POST", "/v1/rollback", &[JSON], "{\"generation\": -1}", 400, "-1"),
        ("PATCH", "/v1/plugins/waf/config", &[JSON], "{", 400, "JSON"),
        ("PATCH", "/v1/plugins/waf/config", &[JSON], "", 400, "JSON"),
        ("POST", "/v1/cache/purge", &[JSON], "{}", 422, "exactly one"),
        (
            "POST",
            "/v1/cache/purge",
            &[JSON],
            "{\"url\": \"/a\"}",
            422,
            "names no host",
        ),
        ("POST", "/v1/cache/purge", &[JSON], "{\"path\": \"/a\"}", 400, "path"),
        (
            "POST",
            "/v1/cache/ban",
            &[JSON],
            "{\"expression\": \"req.url\"}",
            422,
            "operator",
        ),
    ] {
        let answer = ask(Echo::default(), method, path, headers, body);
        assert_eq!(answer.status, status, "{method} {path} {body}: {}", answer.body);
        assert!(
            error_of(&answer).contains(message),
            "{method} {path} {body}: {}",
            answer.body
        );
    }
}

#[test]
fn a_json_body_is_bounded() {
    let body = format!("\"{}\"", "x".repeat(JSON_BYTES));
    assert_eq!(
        ask(Echo::default(), "PATCH", "/v1/plugins/waf/config", &[JSON], &body).status,
        413
    );
}

#[test]
fn the_wrong_method_is_told_the_right_one() {
    for (method, path, allowed) in [
        ("GET", "/v1/deploy", "POST"),
        ("POST", "/metrics", "GET"),
        ("GET", "/v1/cache/purge", "POST"),
        ("PUT", "/v1/plugins/waf/config", "PATCH"),
    ] {
        let answer = ask(Echo::default(), method, path, &[], "");
        assert_eq!(
            (answer.status, answer.headers["allow"].to_str().unwrap()),
            (405, allowed)
        );
    }
}

#[test]
fn changes_are_guarded_and_health_is_not() {
    let secret = || Echo {
        token: Some("s3cret"),
        ..Echo::default()
    };
    let answer = ask(secret(), "POST", "/v1/reload", &[], "");
    assert_eq!(
        (answer.status, answer.headers["www-authenticate"].to_str().unwrap()),
        (401, "Bearer realm=\"weir\"")
    );
    assert_eq!(
        ask(
            secret(),
            "POST",
            "/v1/reload",
            &[("authorization", "Bearer s3cret")],
            ""
        )
        .status,
        200
    );
    assert_eq!(ask(secret(), "GET", "/v1/status", &[], "").status, 200);
    assert_eq!(
        ask(secret(), "POST", "/v1/reload", &[("origin", "http://evil.example")], "").status,
        403
    );

    let api = Api::new("127.0.0.1:9180".parse().unwrap(), Arc::new(Echo::default()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for (path, status) in [("/v1/status", 421), ("/metrics", 421), ("/", 421), ("/healthz", 200)] {
        let request = Request::builder()
            .uri(path)
            .header("host", "evil.example")
            .body(Full::new(Bytes::new()))
            .unwrap();
        let response = runtime.block_on(api.answer("127.0.0.1:1".parse().unwrap(), request));
        assert_eq!(response.status().as_u16(), status, "{path}");
    }
}

#[test]
fn one_thing_is_activated_at_a_time() {
    let api = Api::new("127.0.0.1:9180".parse().unwrap(), Arc::new(Echo::default()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let reload = || {
        let request = Request::builder()
            .method("POST")
            .uri("/v1/reload")
            .header("host", "localhost");
        api.answer(
            "127.0.0.1:1".parse().unwrap(),
            request.body(Full::new(Bytes::new())).unwrap(),
        )
    };
    let answers = runtime.block_on(futures_util::future::join_all((0..20).map(|_| reload())));
    assert!(answers.iter().all(|answer| answer.status() == StatusCode::OK));
}
