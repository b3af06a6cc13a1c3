//! What the admin API answers.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::sync::Mutex;

use super::cache::{self, CacheCall};
use super::{Operations, guard};
use crate::telemetry::render;

/// Bytes of a JSON body.
const JSON_BYTES: usize = 1024 * 1024;

/// Bytes of a bundle's tar: tables of millions of entries fit.
const BUNDLE_BYTES: u64 = 1024 * 1024 * 1024;

/// Between two reads of a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The page for people.
const PAGE: &str = include_str!("page.html");

/// The page has no resources but itself, talks to nobody but this API and is shown in no frame.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                           img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Answers requests.
pub struct Api {
    address: SocketAddr,
    operations: Arc<dyn Operations>,
    /// Held while something is activated: one at a time, in the order in which they were asked for.
    activation: Arc<Mutex<()>>,
}

impl Api {
    /// For the port that listens on `address`.
    #[must_use]
    pub fn new(address: SocketAddr, operations: Arc<dyn Operations>) -> Self {
        Self {
            address,
            operations,
            activation: Arc::default(),
        }
    }

    /// Answers one request of `peer`.
    pub async fn answer<B>(&self, peer: SocketAddr, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let answered = match Call::of(&head.method, &path) {
            Ok(Call::Read(Read::Bans)) => match guard::read(self.address, &head.headers) {
                Ok(()) => self.cache(CacheCall::Bans).await,
                Err(denied) => Err(denied.into()),
            },
            Ok(Call::Read(read)) => self.read(read, &head.headers),
            Ok(Call::Change(change)) => match guard::read(self.address, &head.headers)
                .and_then(|()| guard::change(&head.headers, self.operations.token().as_deref()))
            {
                Ok(()) => self.change(peer, change, &head.headers, body).await,
                Err(denied) => Err(denied.into()),
            },
            Err(error) => Err(error),
        };
        answered.unwrap_or_else(Error::into_response)
    }

    fn read(&self, read: Read, headers: &HeaderMap) -> Result<Response<Full<Bytes>>, Error> {
        // Health checks come with any Host and learn nothing.
        match read {
            Read::Health => return Ok(text(StatusCode::OK, "ok\n")),
            Read::Ready if self.operations.ready() => return Ok(text(StatusCode::OK, "ready\n")),
            Read::Ready => return Ok(text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n")),
            Read::Page | Read::Metrics | Read::Status | Read::Bans => guard::read(self.address, headers)?,
        }
        Ok(match read {
            Read::Page => page(),
            Read::Metrics => with_type(StatusCode::OK, render::CONTENT_TYPE, self.operations.metrics()),
            _ => json_answer(StatusCode::OK, &self.operations.status()),
        })
    }

    async fn change<B>(
        &self,
        peer: SocketAddr,
        change: Change,
        headers: &HeaderMap,
        body: B,
    ) -> Result<Response<Full<Bytes>>, Error>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let name = change.name();
        let outcome = match change {
            Change::Purge => {
                let purge: cache::Purge = read_json(body, Empty::Refused).await?;
                return self.change_cache(peer, purge).await;
            }
            Change::Inspect => {
                let inspect: cache::Inspect = read_json(body, Empty::Refused).await?;
                return self.change_cache(peer, inspect).await;
            }
            Change::Ban => {
                let ban: cache::Ban = read_json(body, Empty::Refused).await?;
                return self.change_cache(peer, ban).await;
            }
            Change::Reload => self.activate(|operations| operations.reload()).await,
            Change::Rollback => {
                let Rollback { generation } = read_json(body, Empty::Allowed).await?;
                self.activate(move |operations| operations.rollback(generation)).await
            }
            Change::Patch(plugin) => {
                let patch: Value = read_json(body, Empty::Refused).await?;
                self.activate(move |operations| operations.patch_plugin(&plugin, &patch))
                    .await
            }
            Change::Deploy if is_json(headers) => {
                let Folder { path } = read_json(body, Empty::Refused).await?;
                if !path.is_absolute() {
                    return Err(Error::bad(format!(
                        "path: `{}` is not absolute, and Weir's folder is not yours",
                        path.display()
                    )));
                }
                self.activate(move |operations| operations.deploy(&path)).await
            }
            Change::Deploy => {
                let upload = read_bundle(headers, body).await?;
                // The upload lives until the bundle has been read.
                self.activate(move |operations| {
                    let deployed = operations.deploy(upload.path());
                    deployed.map_err(|message| as_uploaded(&message, upload.path()))
                })
                .await
            }
        };
        match &outcome {
            Ok(activated) => tracing::info!(%peer, change = name, %activated, "activated"),
            Err(error) => tracing::warn!(%peer, change = name, error = %error.message, "nothing changed"),
        }
        outcome.map(|activated| json_answer(StatusCode::OK, &activated))
    }

    async fn change_cache<C>(&self, peer: SocketAddr, call: C) -> Result<Response<Full<Bytes>>, Error>
    where
        C: TryInto<CacheCall, Error = String>,
    {
        let call = call
            .try_into()
            .map_err(|message| Error::new(StatusCode::UNPROCESSABLE_ENTITY, message))?;
        tracing::info!(%peer, ?call, "the cache");
        self.cache(call).await
    }

    /// Does it off this thread, and besides activations.
    async fn cache(&self, call: CacheCall) -> Result<Response<Full<Bytes>>, Error> {
        let operations = Arc::clone(&self.operations);
        match tokio::task::spawn_blocking(move || operations.cache(&call)).await {
            Ok(Ok(answer)) => Ok(json_answer(StatusCode::OK, &answer)),
            Ok(Err(message)) => Err(Error::new(StatusCode::UNPROCESSABLE_ENTITY, message)),
            Err(error) => {
                tracing::error!(%error, "a call about the cache did not end");
                Err(Error::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the call did not end; the log says more",
                ))
            }
        }
    }

    /// Runs an activation off this thread, after those that were asked for before. It goes on if the client leaves.
    async fn activate<F>(&self, run: F) -> Result<Value, Error>
    where
        F: FnOnce(&dyn Operations) -> Result<Value, String> + Send + 'static,
    {
        let turn = Arc::clone(&self.activation).lock_owned().await;
        let operations = Arc::clone(&self.operations);
        let ran = tokio::task::spawn_blocking(move || {
            let result = run(&*operations);
            drop(turn);
            result
        });
        match ran.await {
            Ok(Ok(activated)) => Ok(activated),
            Ok(Err(message)) => Err(Error::new(StatusCode::UNPROCESSABLE_ENTITY, message)),
            Err(error) => {
                tracing::error!(%error, "an activation did not end");
                Err(Error::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the activation did not end; the log says more",
                ))
            }
        }
    }
}

/// What is asked for.
enum Call {
    Read(Read),
    Change(Change),
}

#[derive(Clone, Copy)]
enum Read {
    Page,
    Health,
    Ready,
    Metrics,
    Status,
    Bans,
}

enum Change {
    Deploy,
    Rollback,
    Reload,
    Purge,
    Ban,
    Inspect,
    /// The plugin.
    Patch(String),
}

impl Change {
    fn name(&self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Rollback => "rollback",
            Self::Reload => "reload",
            Self::Purge => "purge",
            Self::Ban => "ban",
            Self::Inspect => "inspect",
            Self::Patch(_) => "patch",
        }
    }
}

impl Call {
    fn of(method: &Method, path: &str) -> Result<Self, Error> {
        let (call, allowed) = match path {
            "/" => (Self::Read(Read::Page), "GET"),
            "/healthz" => (Self::Read(Read::Health), "GET"),
            "/readyz" => (Self::Read(Read::Ready), "GET"),
            "/metrics" => (Self::Read(Read::Metrics), "GET"),
            "/v1/status" => (Self::Read(Read::Status), "GET"),
            "/v1/cache/bans" => (Self::Read(Read::Bans), "GET"),
            "/v1/cache/purge" => (Self::Change(Change::Purge), "POST"),
            "/v1/cache/ban" => (Self::Change(Change::Ban), "POST"),
            "/v1/cache/inspect" => (Self::Change(Change::Inspect), "POST"),
            "/v1/deploy" => (Self::Change(Change::Deploy), "POST"),
            "/v1/rollback" => (Self::Change(Change::Rollback), "POST"),
            "/v1/reload" => (Self::Change(Change::Reload), "POST"),
            _ => match path
                .strip_prefix("/v1/plugins/")
                .and_then(|rest| rest.strip_suffix("/config"))
            {
                Some(plugin) if !plugin.is_empty() && !plugin.contains('/') => {
                    (Self::Change(Change::Patch(plugin.to_owned())), "PATCH")
                }
                _ => return Err(Error::new(StatusCode::NOT_FOUND, format!("there is no {path} here"))),
            },
        };
        if method.as_str() == allowed || (allowed == "GET" && method == Method::HEAD) {
            return Ok(call);
        }
        let error = Error::new(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("{path} answers {allowed}, not {method}"),
        );
        Err(error.with(header::ALLOW, HeaderValue::from_static(allowed)))
    }
}

/// The body of a rollback.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rollback {
    #[serde(default)]
    generation: Option<u64>,
}

/// The body of a deployment from a folder or file on this machine.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Folder {
    path: PathBuf,
}

/// An answer that is an error: `{"error": "..."}`.
#[derive(Debug)]
struct Error {
    status: StatusCode,
    message: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Error {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            header: None,
        }
    }

    fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    fn with(self, name: HeaderName, value: HeaderValue) -> Self {
        Self {
            header: Some((name, value)),
            ..self
        }
    }

    fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = json_answer(self.status, &json!({ "error": self.message }));
        response
            .headers_mut()
            .extend(self.header.map(|(name, value)| (Some(name), value)));
        response
    }
}

impl From<guard::Denied> for Error {
    fn from(denied: guard::Denied) -> Self {
        let error = Self::new(denied.status(), denied.message());
        match denied {
            guard::Denied::TokenMissing | guard::Denied::TokenWrong => error.with(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"weir\""),
            ),
            guard::Denied::Host | guard::Denied::CrossSite => error,
        }
    }
}

/// What an empty JSON body means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Empty {
    /// The default.
    Allowed,
    Refused,
}

async fn read_json<B, T>(mut body: B, empty: Empty) -> Result<T, Error>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
    T: Default + for<'de> Deserialize<'de>,
{
    let mut bytes = Vec::new();
    while let Some(data) = next(&mut body).await? {
        if bytes.len() + data.len() > JSON_BYTES {
            return Err(Error::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("a JSON body has at most {JSON_BYTES} bytes"),
            ));
        }
        bytes.extend_from_slice(&data);
    }
    if bytes.is_empty() && empty == Empty::Allowed {
        return Ok(T::default());
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| Error::bad(format!("the body is not the JSON that is expected here: {error}")))
}

/// Keeps an uploaded tar in a file: bundles may be larger than what anybody wants in memory.
async fn read_bundle<B>(headers: &HeaderMap, mut body: B) -> Result<NamedTempFile, Error>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING) {
        let message = format!("Content-Encoding {encoding:?}: send the tar as it is");
        return Err(Error::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let failed = |error: std::io::Error| {
        Error::new(
            StatusCode::INSUFFICIENT_STORAGE,
            format!("the upload cannot be kept: {error}"),
        )
    };
    let mut file = tempfile::Builder::new()
        .prefix("weir-deploy-")
        .suffix(".tar")
        .tempfile()
        .map_err(failed)?;
    let mut written = 0;
    while let Some(data) = next(&mut body).await? {
        written += data.len() as u64;
        if written > BUNDLE_BYTES {
            return Err(Error::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("a bundle has at most {BUNDLE_BYTES} bytes"),
            ));
        }
        file.write_all(&data).map_err(failed)?;
    }
    if written == 0 {
        return Err(Error::bad(
            "the body is empty: send the tar of a bundle, or {\"path\": \"/folder\"} as application/json",
        ));
    }
    Ok(file)
}

/// A message without the upload's place on this machine, which means nothing to whoever sent it.
fn as_uploaded(message: &str, upload: &std::path::Path) -> String {
    let upload = upload.display().to_string();
    message
        .replace(&format!("{upload}:"), "")
        .replace(&upload, "the upload")
}

/// The body's next bytes.
async fn next<B>(body: &mut B) -> Result<Option<Bytes>, Error>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    loop {
        match tokio::time::timeout(BODY_TIMEOUT, body.frame()).await {
            Err(_) => return Err(Error::new(StatusCode::REQUEST_TIMEOUT, "the body stopped coming")),
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => return Err(Error::bad(format!("the body ended early: {error}"))),
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    content_type
        .split(';')
        .next()
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

fn page() -> Response<Full<Bytes>> {
    let mut response = with_type(StatusCode::OK, "text/html; charset=utf-8", PAGE);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn json_answer(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    with_type(status, "application/json", format!("{value}\n"))
}

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    with_type(status, "text/plain; charset=utf-8", text)
}

fn with_type(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
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
}
