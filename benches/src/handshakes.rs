//! TLS: what a handshake costs, full and resumed, and what an idle connection holds.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, HandshakeKind, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::bundles::Plugins;
use crate::cpu;
use crate::peers::{Bench, Peer};
use crate::scenarios::{Client, Scenario};

pub(crate) const NAME: &str = "handshakes";
pub(crate) const TITLE: &str = "TLS 1.3 handshakes, full and resumed, and memory of idle TLS connections";

const PEERS: [Peer; 3] = [Peer::Weir(Plugins::None), Peer::Nginx, Peer::Haproxy];
/// Handshakes under way at once.
const CONCURRENT: usize = 16;
/// Idle connections, each of which has had one request answered.
const IDLE: usize = 4000;

const SCENARIO: Scenario = Scenario {
    name: NAME,
    title: TITLE,
    peers: &PEERS,
    path: "/",
    scheme: "https",
    client: Client::Http1,
};

/// Measures all of it, and tells it as a table.
pub(crate) fn run(bench: &Bench, rounds: usize, span: Duration) -> anyhow::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut text = format!(
        "**TLS 1.3**, ECDSA P-256, X25519: CPU of a handshake, and memory of one of {IDLE} idle connections.\n\n\
         | | Weir | nginx | HAProxy | Weir / nginx | Weir / HAProxy |\n|---|---:|---:|---:|---:|---:|\n"
    );
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut samples = PEERS.map(|_| Vec::new());
        for round in 1..=rounds {
            for (peer, samples) in PEERS.iter().zip(&mut samples) {
                eprintln!("{NAME}: {kind:?}: round {round} of {rounds}: {}", peer.name());
                let proxy = bench.start(*peer, &SCENARIO)?;
                let address = proxy.address(&SCENARIO);
                let local = LocalSet::new();
                local.block_on(&runtime, shake(address, kind, Duration::from_millis(500)))?;
                let before = cpu::of_tree(proxy.pid())?;
                let shaken = local.block_on(&runtime, shake(address, kind, span))?;
                let used = cpu::of_tree(proxy.pid())? - before;
                samples.push(used.as_secs_f64() * 1e6 / shaken as f64);
            }
        }
        let what = match kind {
            HandshakeKind::Full => "full handshake",
            _ => "resumed handshake",
        };
        text.push_str(&row(what, "µs", samples.map(median)));
    }
    let mut held = [0.0; PEERS.len()];
    for (peer, held) in PEERS.iter().zip(&mut held) {
        eprintln!("{NAME}: idle connections: {}", peer.name());
        let proxy = bench.start(*peer, &SCENARIO)?;
        let address = proxy.address(&SCENARIO);
        let before = memory(proxy.pid())?;
        let kept = LocalSet::new().block_on(&runtime, idle(address, IDLE))?;
        // What is let go a while after the last byte is not held.
        std::thread::sleep(Duration::from_secs(3));
        *held = memory(proxy.pid())?.saturating_sub(before) as f64 / 1024.0 / kept.len() as f64;
    }
    text.push_str(&row("idle connection", "KiB", held));
    Ok(text)
}

fn row(what: &str, unit: &str, [weir, nginx, haproxy]: [f64; 3]) -> String {
    format!(
        "| {what} | {weir:.1} {unit} | {nginx:.1} {unit} | {haproxy:.1} {unit} | {:.2} | {:.2} |\n",
        weir / nginx,
        weir / haproxy
    )
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Handshakes without a request for this long; how many there were.
async fn shake(address: SocketAddr, kind: HandshakeKind, span: Duration) -> anyhow::Result<u64> {
    let end = Instant::now() + span;
    let mut clients = Vec::new();
    for _ in 0..CONCURRENT {
        // A ticket is used once and few are kept for a server, so each client has tickets of its own.
        let connector = TlsConnector::from(client_config(kind));
        clients.push(tokio::task::spawn_local(async move {
            let mut count = 0;
            // The first session of each client is made here, and not counted.
            one(&connector, address).await?;
            while Instant::now() < end {
                let was = one(&connector, address).await?;
                ensure!(was == kind, "{was:?} where {kind:?} was expected: the run is void");
                count += 1;
            }
            anyhow::Ok(count)
        }));
    }
    let mut total = 0;
    for client in clients {
        total += client.await??;
    }
    Ok(total)
}

/// One connection from SYN to FIN. The server's tickets come behind its handshake, so its end is waited for.
async fn one(connector: &TlsConnector, address: SocketAddr) -> anyhow::Result<HandshakeKind> {
    let mut stream = connect(connector, address).await?;
    stream.shutdown().await?;
    let mut rest = [0; 512];
    // nginx and HAProxy may end without close_notify.
    while matches!(stream.read(&mut rest).await, Ok(1..)) {}
    stream.get_ref().1.handshake_kind().context("no handshake")
}

async fn connect(connector: &TlsConnector, address: SocketAddr) -> anyhow::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    Ok(connector.connect(ServerName::try_from("localhost")?, socket).await?)
}

/// Connections on which one request was answered, and that now say nothing.
async fn idle(address: SocketAddr, count: usize) -> anyhow::Result<Vec<TlsStream<TcpStream>>> {
    let connector = Rc::new(TlsConnector::from(client_config(HandshakeKind::Full)));
    let mut kept = Vec::new();
    while kept.len() < count {
        let batch: Vec<_> = (0..CONCURRENT)
            .map(|_| tokio::task::spawn_local(answered(connector.clone(), address)))
            .collect();
        for connection in batch {
            kept.push(connection.await??);
        }
    }
    Ok(kept)
}

async fn answered(connector: Rc<TlsConnector>, address: SocketAddr) -> anyhow::Result<TlsStream<TcpStream>> {
    let mut stream = connect(&connector, address).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n").await?;
    let mut answer = Vec::new();
    // The origin's answer is a head and 1 KiB.
    while answer.len() < 1024 || !answer.windows(4).any(|window| window == b"\r\n\r\n") {
        if stream.read_buf(&mut answer).await? == 0 {
            bail!("closed instead of answering");
        }
    }
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "an unexpected answer");
    Ok(stream)
}

/// Resident memory of a process and its children in bytes.
fn memory(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    let mut total = kibibytes.context("no VmRSS")? * 1024;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
            total += memory(child)?;
        }
    }
    Ok(total)
}

fn client_config(kind: HandshakeKind) -> Arc<ClientConfig> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.kx_groups = vec![rustls::crypto::aws_lc_rs::kx_group::X25519];
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]);
    // The provider has the version, which is all that can fail.
    let Ok(builder) = builder else { unreachable!("TLS 1.3") };
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    config.resumption = match kind {
        HandshakeKind::Resumed => Resumption::in_memory_sessions(256),
        _ => Resumption::disabled(),
    };
    Arc::new(config)
}

/// The generator shares the machine: it verifies nothing.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
