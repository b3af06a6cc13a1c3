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
mod tests;
