//! What a cache's memory really holds: resident bytes for each byte of content, and how well a limit is kept.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::LocalSet;

use crate::bundles::Plugins;
use crate::cpu;
use crate::peers::{Bench, Peer, Proxy};
use crate::scenarios::{Client, Scenario};

pub(crate) const NAME: &str = "cache-memory";
pub(crate) const TITLE: &str = "memory of 100,000 cached objects of 4 KiB, with room for all and for half of them";

const PEERS: [Peer; 2] = [Peer::Weir(Plugins::None), Peer::Varnish];
const OBJECTS: usize = 100_000;
/// Bytes of an object's content.
const CONTENT: usize = 4096;
/// Asked for before anything is counted, so that buffers and tables for the traffic itself are there.
const WARM_UP: usize = 2000;
const CONNECTIONS: usize = 16;

const SCENARIO: Scenario = Scenario {
    name: NAME,
    title: TITLE,
    peers: &PEERS,
    path: "/cached/object/0",
    scheme: "http",
    client: Client::Http1,
};

/// Measures it, and tells it as a table.
pub(crate) fn run(bench: &Bench) -> anyhow::Result<String> {
    let mut text = format!(
        "**Memory of the cache**: {OBJECTS} objects of {CONTENT} bytes; growth of the process's anonymous memory, and what it says \
         itself that it uses (Weir: `weir_cache_bytes`).\n\n\
         | | limit | grew by | by content | said | by content |\n|---|---:|---:|---:|---:|---:|\n"
    );
    for (peer, limit) in [(PEERS[0], "1GiB"), (PEERS[0], "256MiB"), (PEERS[1], "1GiB")] {
        eprintln!("{NAME}: {} with {limit}", peer.name());
        let proxy = bench.start_with(peer, &SCENARIO, limit)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let address = proxy.address(&SCENARIO);
        LocalSet::new().block_on(&runtime, ask(address, "warm", WARM_UP))?;
        let (before, said_before) = (cpu::memory_of_tree(proxy.pid())?, said(peer, &proxy)?);
        LocalSet::new().block_on(&runtime, ask(address, "cold", OBJECTS))?;
        let grew = cpu::memory_of_tree(proxy.pid())?.saturating_sub(before);
        let said = said(peer, &proxy)?
            .zip(said_before)
            .map(|(after, before)| after - before);
        let by_content = |bytes: f64| bytes / (OBJECTS * CONTENT) as f64;
        let mebibytes = |bytes: f64| bytes / f64::from(1 << 20);
        let said = said.map_or_else(
            || "– | –".to_owned(),
            |said| format!("{:.1} MiB | {:.3}", mebibytes(said), by_content(said)),
        );
        let row = format!(
            "| {} | {limit} | {:.1} MiB | **{:.3}** | {said} |\n",
            peer.name(),
            mebibytes(grew as f64),
            by_content(grew as f64),
        );
        // What has been measured is not lost when a later row fails.
        eprint!("{row}");
        text.push_str(&row);
    }
    Ok(text)
}

/// Asks for so many objects of a kind, each once.
async fn ask(address: SocketAddr, kind: &'static str, count: usize) -> anyhow::Result<()> {
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|first| tokio::task::spawn_local(client(address, kind, (first..count).step_by(CONNECTIONS))))
        .collect();
    for client in clients {
        client.await??;
    }
    Ok(())
}

async fn client(address: SocketAddr, kind: &'static str, numbers: impl Iterator<Item = usize>) -> anyhow::Result<()> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut answer = Vec::with_capacity(2 * CONTENT);
    for number in numbers {
        let request = format!("GET /cached/object/{kind}-{number:08} HTTP/1.1\r\nHost: bench\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        answer.clear();
        loop {
            ensure!(
                stream.read_buf(&mut answer).await? > 0,
                "closed in the middle of a response"
            );
            let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
            if end.is_some_and(|end| answer.len() >= end + 4 + CONTENT) {
                break;
            }
        }
        ensure!(answer.starts_with(b"HTTP/1.1 200"), "an unexpected answer");
    }
    Ok(())
}

/// Bytes that the proxy itself says that its cache uses.
fn said(peer: Peer, proxy: &Proxy) -> anyhow::Result<Option<f64>> {
    let Peer::Weir(_) = peer else { return Ok(None) };
    let mut stream = TcpStream::connect(proxy.admin())?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let line = text.lines().find_map(|line| line.strip_prefix("weir_cache_bytes "));
    let bytes = line.and_then(|bytes| bytes.trim().parse().ok());
    Ok(Some(bytes.context("no weir_cache_bytes")?))
}
