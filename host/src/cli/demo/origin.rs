//! The demo's origin: three servers on loopback, each of which says its name.
//!
//! | path | answers |
//! |---|---|
//! | `/` | a page |
//! | `/api/...` | JSON: who answers, and what arrived |
//! | `/assets/weir.svg` | a picture that may be cached for a minute |
//! | `/slow?ms=N` | text after N milliseconds, at most 10,000; 1,000 where nothing is said |
//! | `/upload` | counts the bytes of the request's body |
//! | `/ws` | sends back every WebSocket message |
//! | `/healthz` | 200 |

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;

use super::websocket;

/// What the servers call themselves.
const NAMES: [&str; 3] = ["alder", "birch", "cedar"];

/// The longest that `/slow` takes, in milliseconds.
const SLOWEST: u64 = 10_000;

/// The running servers. They end with the process.
#[derive(Debug)]
pub(super) struct Origin {
    addresses: Vec<SocketAddr>,
}

impl Origin {
    /// Binds three ports of the system's choice and serves them on a thread of their own.
    pub(super) fn start() -> io::Result<Self> {
        let mut addresses = Vec::new();
        let mut listeners = Vec::new();
        for name in NAMES {
            let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true)?;
            addresses.push(listener.local_addr()?);
            listeners.push((name, listener));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("origin".to_owned()).spawn(move || {
            let servers = listeners.into_iter().map(|(name, listener)| serve(name, listener));
            if let Err(error) = runtime.block_on(futures_util::future::try_join_all(servers)) {
                tracing::error!(%error, "the demo's origin has stopped");
            }
        })?;
        Ok(Self { addresses })
    }

    /// Where the servers listen.
    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

async fn serve(name: &'static str, listener: std::net::TcpListener) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: they come back.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        tokio::spawn(async move {
            let answer = service_fn(move |request| async move { Ok::<_, Infallible>(answer(name, request).await) });
            let connection = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .with_upgrades();
            if let Err(error) = connection.await {
                tracing::debug!(%error, server = name, "a connection to the demo's origin ended");
            }
        });
    }
}

async fn answer(name: &'static str, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let mut response = match request.uri().path() {
        "/" => text(StatusCode::OK, "text/html; charset=utf-8", page(name)),
        "/assets/weir.svg" => picture(&request),
        "/healthz" => text(StatusCode::OK, "text/plain", "ok\n"),
        "/slow" => slow(&request).await,
        "/upload" => upload(request).await,
        "/ws" => upgrade(request),
        path if path == "/api" || path.starts_with("/api/") => api(name, &request),
        path => text(
            StatusCode::NOT_FOUND,
            "text/plain; charset=utf-8",
            format!("{name} has no {path}\n"),
        ),
    };
    response
        .headers_mut()
        .insert(HeaderName::from_static("x-served-by"), HeaderValue::from_static(name));
    response
}

fn page(name: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<title>Behind Weir</title>\n<h1>Behind Weir</h1>\n\
         <p>This page comes from the server <b>{name}</b>. Ask again, and another one may answer.</p>\n\
         <p><img src=\"/assets/weir.svg\" alt=\"Water over a weir\" width=\"240\"></p>\n</html>\n"
    )
}

/// What arrived, so that one can see what Weir and its plugins made of a request.
fn api(name: &str, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let headers: serde_json::Map<String, serde_json::Value> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let seen = json!({
        "server": name,
        "method": request.method().as_str(),
        "target": request.uri().path_and_query().map(http::uri::PathAndQuery::as_str),
        "headers": headers,
    });
    text(StatusCode::OK, "application/json", format!("{seen:#}\n"))
}

fn picture(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    const ETAG: HeaderValue = HeaderValue::from_static("\"weir-1\"");
    let mut response = match request.headers().get(header::IF_NONE_MATCH) {
        Some(known) if known == ETAG => text(StatusCode::NOT_MODIFIED, "image/svg+xml", ""),
        _ => text(StatusCode::OK, "image/svg+xml", include_str!("weir.svg")),
    };
    response.headers_mut().insert(header::ETAG, ETAG);
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
    response
}

async fn slow(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let asked = request
        .uri()
        .query()
        .and_then(|query| query.strip_prefix("ms="))
        .and_then(|millis| millis.parse().ok());
    let millis = asked.unwrap_or(1000).min(SLOWEST);
    tokio::time::sleep(Duration::from_millis(millis)).await;
    text(StatusCode::OK, "text/plain", format!("waited {millis} ms\n"))
}

async fn upload(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let mut body = request.into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes += frame.data_ref().map_or(0, Bytes::len),
            Err(error) => {
                return text(
                    StatusCode::BAD_REQUEST,
                    "text/plain",
                    format!("the body ended early: {error}\n"),
                );
            }
        }
    }
    text(
        StatusCode::OK,
        "application/json",
        format!("{}\n", json!({ "bytes": bytes })),
    )
}

/// The handshake of RFC 6455 §4.2.2, then every message back.
fn upgrade(mut request: Request<Incoming>) -> Response<Full<Bytes>> {
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) else {
        return text(StatusCode::UPGRADE_REQUIRED, "text/plain", "this speaks WebSocket\n");
    };
    let Ok(accept) = HeaderValue::from_str(&websocket::accept(key.as_bytes())) else {
        return text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "text/plain",
            "the key cannot be answered\n",
        );
    };
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(stream) = upgraded.await else { return };
        if let Err(error) = websocket::echo(TokioIo::new(stream)).await {
            tracing::debug!(%error, "a WebSocket of the demo's origin ended");
        }
    });
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    response
}

fn text(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn get(address: SocketAddr, target: &str) -> String {
        ask(
            address,
            &format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        )
    }

    #[test]
    fn every_server_says_its_name() {
        let origin = Origin::start().unwrap();
        for (address, name) in origin.addresses().iter().zip(NAMES) {
            let page = get(*address, "/");
            assert!(
                page.starts_with("HTTP/1.1 200") && page.contains(&format!("<b>{name}</b>")),
                "{page}"
            );
            assert!(page.contains(&format!("x-served-by: {name}\r\n")), "{page}");
        }
    }

    #[test]
    fn every_path_answers() {
        let origin = Origin::start().unwrap();
        let address = origin.addresses()[0];
        for (target, status, needle) in [
            ("/api/x?y=1", "200", "\"target\": \"/api/x?y=1\""),
            ("/assets/weir.svg", "200", "cache-control: public, max-age=60"),
            ("/slow?ms=1", "200", "waited 1 ms"),
            ("/healthz", "200", "ok"),
            ("/ws", "426", "WebSocket"),
            ("/absent", "404", "/absent"),
        ] {
            let answer = get(address, target);
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(needle),
                "{target}: {answer}"
            );
        }
        let upload = ask(
            address,
            "PUT /upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        );
        assert!(upload.ends_with("{\"bytes\":5}\n"), "{upload}");
        let known = ask(
            address,
            "GET /assets/weir.svg HTTP/1.1\r\nHost: x\r\nConnection: close\r\nIf-None-Match: \"weir-1\"\r\n\r\n",
        );
        assert!(known.starts_with("HTTP/1.1 304 "), "{known}");
    }

    #[test]
    fn a_websocket_is_upgraded_and_closed() {
        let origin = Origin::start().unwrap();
        let mut stream = TcpStream::connect(origin.addresses()[0]).unwrap();
        let handshake = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(handshake.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend_from_slice(&byte);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        // A close frame with the status 1000, masked with zeros.
        stream.write_all(&[0x88, 0x82, 0, 0, 0, 0, 3, 232]).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, [0x88, 2, 3, 232]);
    }
}
