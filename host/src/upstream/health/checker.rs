//! Active checks: one thread for the process, a GET or a connection to every server of every upstream that asks for them.
//!
//! The checks go over a connection of their own, in the protocol and through TLS as traffic does, so that they also find a server that
//! no longer accepts connections while old ones still work.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time;
use tokio_rustls::TlsConnector;

use super::super::connect::dial;
use super::http2::{self, Get};
use super::{NO_STATUS, Server, Servers, now};
use crate::config::{CheckKind, HealthCheck, Protocol, authority};
use crate::proxy_protocol::{self, Announced};
use crate::telemetry::{Probe, Registry};

/// The thread that checks. Dropping it ends the checks.
#[derive(Debug)]
pub struct Checker {
    watched: watch::Sender<Vec<Arc<Servers>>>,
    metrics: Arc<Registry>,
    shown: Mutex<Vec<Probe>>,
}

impl Checker {
    /// Starts the thread, with nothing to check yet.
    ///
    /// # Errors
    /// When the system gives no thread or no event loop.
    pub fn start(metrics: Arc<Registry>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (watched, changes) = watch::channel(Vec::new());
        std::thread::Builder::new()
            .name("weir-health".to_owned())
            .spawn(move || runtime.block_on(check_current(changes)))?;
        Ok(Self {
            watched,
            metrics,
            shown: Mutex::default(),
        })
    }

    /// Checks these upstreams from now on and no others, and shows their health as metrics. Called with every new snapshot; servers that were checked before
    /// keep their rhythm.
    pub fn watch(&self, upstreams: Vec<Arc<Servers>>) {
        let mut shown = self.shown.lock();
        // First those of before: a server of both would be counted twice.
        shown.clear();
        shown.extend(upstreams.iter().flat_map(|servers| servers.expose(&self.metrics)));
        self.watched.send_replace(upstreams);
    }
}

/// Runs one task a server for as long as a list of upstreams is current.
async fn check_current(mut changes: watch::Receiver<Vec<Arc<Servers>>>) {
    loop {
        let mut tasks = JoinSet::new();
        for upstream in changes
            .borrow_and_update()
            .iter()
            .filter(|upstream| upstream.check.is_some())
        {
            for server in 0..upstream.servers.len() {
                tasks.spawn(check_server(Arc::clone(upstream), server));
            }
        }
        // The tasks never end by themselves; dropping the set stops them.
        if changes.changed().await.is_err() {
            return;
        }
    }
}

async fn check_server(upstream: Arc<Servers>, index: usize) {
    let (Some(server), Some(check)) = (upstream.servers.get(index), upstream.check.as_ref()) else {
        return;
    };
    let mut jitter = Jitter::new(server);
    let last = server.state.history.lock().last.as_ref().map(|last| last.at);
    let wait = match last {
        Some(at) => jitter
            .around(check.interval)
            .saturating_sub(Duration::from_millis(now().saturating_sub(at))),
        None => jitter.up_to(check.interval.min(Duration::from_millis(100))),
    };
    time::sleep(wait).await;
    loop {
        let result = match time::timeout(check.timeout, probe(&upstream, server, check)).await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} ms", check.timeout.as_millis())),
        };
        upstream.probed(index, result);
        time::sleep(jitter.around(check.interval)).await;
    }
}

/// One check: the status, if it is one of those that count as healthy.
async fn probe(upstream: &Servers, server: &Server, check: &HealthCheck) -> io::Result<u16> {
    let mut stream = dial(&server.address).await?;
    if let Some(version) = upstream.proxy_protocol {
        // No client stands behind a check.
        let hello = proxy_protocol::header(version, Announced::Nothing);
        stream.write_all(&hello).await?;
    }
    let status = match (&upstream.client, &upstream.tls) {
        (Some(client), Some(tls)) => {
            let name = server_name(tls.server_name.as_deref(), server)?;
            let mut client = rustls::ClientConfig::clone(client);
            if check.kind == CheckKind::Http {
                client.alpn_protocols = vec![alpn(upstream.protocol).to_vec()];
            }
            let stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await?;
            if stream.get_ref().1.alpn_protocol().is_none() && upstream.protocol == Protocol::Http2 {
                return Err(io::Error::other("the server does not speak HTTP/2 (ALPN)"));
            }
            ask(stream, upstream, server, check).await?
        }
        _ => ask(stream, upstream, server, check).await?,
    };
    let connected = check.kind == CheckKind::Tcp;
    match connected
        || check
            .statuses
            .iter()
            .any(|(low, high)| (*low..=*high).contains(&status))
    {
        true => Ok(status),
        false => Err(io::Error::other(format!("status {status}"))),
    }
}

fn alpn(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Http1 => b"http/1.1",
        Protocol::Http2 => b"h2",
    }
}

async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    upstream: &Servers,
    server: &Server,
    check: &HealthCheck,
) -> io::Result<u16> {
    let host = check.host.as_ref().and_then(|host| host.to_str().ok());
    let authority = host.unwrap_or(authority(&server.name, &server.address));
    match (check.kind, upstream.protocol) {
        (CheckKind::Tcp, _) => Ok(NO_STATUS),
        (CheckKind::Http, Protocol::Http1) => ask_http1(stream, authority, &check.path).await,
        (CheckKind::Http, Protocol::Http2) => {
            let scheme = if upstream.tls.is_some() { "https" } else { "http" };
            let path = &check.path;
            http2::ask(
                stream,
                &Get {
                    scheme,
                    authority,
                    path,
                },
            )
            .await
        }
    }
}

/// Sends the request and reads no further than the status line and headers need.
async fn ask_http1(mut stream: impl AsyncRead + AsyncWrite + Unpin, authority: &str, path: &str) -> io::Result<u16> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: weir-health-check\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;

    let mut head = Vec::with_capacity(1024);
    loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "connection closed before a response head",
            ));
        }
        while let Some((status, length)) = parse(&head)? {
            // An interim response says nothing yet.
            if status >= 200 {
                return Ok(status);
            }
            head.drain(..length);
        }
        if head.len() > LARGEST_HEAD {
            return Err(io::Error::other(format!(
                "response head of more than {LARGEST_HEAD} bytes"
            )));
        }
    }
}

/// Bytes of a response head.
pub(super) const LARGEST_HEAD: usize = 64 * 1024;

/// The status and the length of a complete response head.
fn parse(head: &[u8]) -> io::Result<Option<(u16, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(head) {
        Ok(httparse::Status::Complete(length)) => Ok(response.code.map(|code| (code, length))),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(error) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("malformed response: {error}"),
        )),
    }
}

/// The name to verify: what is configured, else the host in the server's address.
fn server_name(configured: Option<&str>, server: &Server) -> io::Result<ServerName<'static>> {
    let name = configured.unwrap_or_else(|| {
        let authority = authority(&server.name, &server.address);
        let host = authority.rsplit_once(':').map_or(authority, |(host, _port)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    });
    ServerName::try_from(name.to_owned()).map_err(|_| {
        io::Error::other(format!(
            "`{name}` is neither a DNS name nor an address: no certificate fits it"
        ))
    })
}

/// Keeps the checks of many servers, and of many Weirs, from falling on the same instant.
struct Jitter(u64);

impl Jitter {
    fn new(server: &Server) -> Self {
        Self(ahash::RandomState::new().hash_one(&server.address))
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        most.mul_f64(self.draw())
    }

    /// Within a tenth of this.
    fn around(&mut self, middle: Duration) -> Duration {
        middle.mul_f64(0.9 + 0.2 * self.draw())
    }

    /// 0 to 1.
    fn draw(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1_u64 << 31) as f64
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};

    use super::super::Condition;
    use super::super::tests::{check, upstream};
    use super::*;

    /// An origin that answers every connection with these bytes.
    fn origin(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(answer);
            }
        });
        address
    }

    fn servers(addresses: &[SocketAddr]) -> Arc<Servers> {
        let mut config = upstream(addresses.len());
        for (server, address) in config.servers.iter_mut().zip(addresses) {
            server.address = (*address).into();
        }
        config.health = Some(HealthCheck {
            interval: Duration::from_millis(5),
            ..check()
        });
        Servers::new(&config, None, None)
    }

    async fn probe_answer(answer: &'static [u8]) -> Result<u16, String> {
        let servers = servers(&[origin(answer)]);
        let result = probe(&servers, &servers.servers[0], servers.check.as_ref().unwrap()).await;
        result.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_check_reads_the_status() {
        assert_eq!(probe_answer(b"HTTP/1.1 204 No Content\r\n\r\n").await, Ok(204));
        assert_eq!(
            probe_answer(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n").await,
            Ok(200)
        );
        assert_eq!(
            probe_answer(b"HTTP/1.1 503 No\r\n\r\n").await,
            Err("status 503".to_owned())
        );
        assert!(
            probe_answer(b"SSH-2.0-x\r\n")
                .await
                .unwrap_err()
                .starts_with("malformed response")
        );
        assert!(
            probe_answer(b"HTTP/1.1 200 OK\r\n")
                .await
                .unwrap_err()
                .contains("closed before")
        );
    }

    #[test]
    fn the_thread_takes_a_dead_server_out_and_leaves_a_living_one_in() {
        let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let servers = servers(&[origin(b"HTTP/1.1 200 OK\r\n\r\n"), dead]);
        let checker = Checker::start(Registry::new()).unwrap();
        checker.watch(vec![Arc::clone(&servers)]);
        let states = || {
            servers
                .status()
                .servers
                .iter()
                .map(|server| server.state)
                .collect::<Vec<_>>()
        };
        while states().contains(&Condition::Unchecked) {
            std::thread::yield_now();
        }
        assert_eq!(states(), [Condition::Healthy, Condition::Unhealthy]);
    }

    #[test]
    fn names_to_verify() {
        let servers = |name: &str| {
            let mut config = upstream(1);
            config.servers[0].name = name.into();
            Servers::new(&config, None, None)
        };
        let name = |configured, written: &str| {
            server_name(configured, &servers(written).servers[0]).map(|name| name.to_str().into_owned())
        };
        assert_eq!(name(None, "origin.example:443").unwrap(), "origin.example");
        assert_eq!(name(None, "[::1]:443").unwrap(), "::1");
        assert_eq!(
            name(Some("other.example"), "origin.example:443").unwrap(),
            "other.example"
        );
        assert!(
            name(Some("not a name"), "origin.example:443")
                .unwrap_err()
                .to_string()
                .contains("not a name")
        );
    }
}
