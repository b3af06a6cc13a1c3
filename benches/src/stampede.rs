//! A stampede: thousands of clients ask for one expired key at the same moment, of an origin that takes its time and of one
//! that is dead.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::origin::{Answer, Origin};
use crate::peers::{self, Bench};

pub(crate) const NAME: &str = "stampede";
pub(crate) const TITLE: &str = "5,000 clients ask for one expired key: requests at the origin, first bytes";

const CLIENTS: usize = 5000;
/// From a request at the origin to its first byte.
const ORIGIN_TIME: Duration = Duration::from_secs(1);
/// Where the answer is fresh for this long, so that all who wait may have it.
const FRESH: Duration = Duration::from_secs(1);

const REQUEST: &[u8] = b"GET /key HTTP/1.1\r\nHost: bench\r\n\r\n";

/// Runs it and tells what happened.
pub(crate) fn run(bench: &Bench) -> anyhow::Result<String> {
    let count = AtomicU64::new(0);
    let origin = Origin::start(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 => answer(
            Duration::ZERO,
            "Cache-Control: max-age=60\r\nAge: 61\r\nETag: \"1\"\r\n",
            "old",
        ),
        _ => answer(
            ORIGIN_TIME,
            &format!("Cache-Control: max-age={}\r\nETag: \"2\"\r\n", FRESH.as_secs()),
            "new",
        ),
    })?;
    let port = peers::free_port()?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let config = bench.dir().join("stampede.toml");
    fs::write(
        &config,
        format!(
            "workers = 1\n[[listener]]\naddress = \"{address}\"\n[[upstream]]\nname = \"origin\"\nservers = [\"127.0.0.1:{}\"]\n\
             [[route]]\nname = \"all\"\nupstream = \"origin\"\ncache = true\n[access_log]\nformat = \"off\"\n",
            origin.port()
        ),
    )?;
    let _proxy = bench.run_weir(&config, address)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let first = ask(&mut TcpStream::connect(address).await?, Instant::now()).await?;
        ensure!(first.body == b"old", "the key could not be stored");
        let crowd = connect(address).await?;
        let (crowd, alive) = stampede(crowd, b"new").await?;
        let fetches = origin.asked() - 1;
        drop(origin);
        tokio::time::sleep(FRESH + Duration::from_secs(1)).await;
        let (_, dead) = stampede(crowd, b"new").await?;
        let times = |took: Duration| took.as_secs_f64() / ORIGIN_TIME.as_secs_f64();
        Ok(format!(
            "**Stampede**: {CLIENTS} clients asked for one expired key, and {fetches} request reached the origin, which took \
             {ORIGIN_TIME:?}. First bytes: median after {:.2} × that, the last after {:.2} × (goal 1.2). With the origin dead all \
             {CLIENTS} got the stale answer; the median waited {:.0} ms, the last {:.0} ms.",
            times(middle(&alive)),
            times(last(&alive)),
            middle(&dead).as_secs_f64() * 1e3,
            last(&dead).as_secs_f64() * 1e3,
        ))
    })
}

fn answer(after: Duration, fields: &str, body: &str) -> Answer {
    Answer {
        after,
        fields: fields.to_owned(),
        body: body.into(),
    }
}

async fn connect(address: SocketAddr) -> anyhow::Result<Vec<TcpStream>> {
    let mut crowd = Vec::with_capacity(CLIENTS);
    for _ in 0..CLIENTS {
        let stream = TcpStream::connect(address).await.context("of 5,000 connections")?;
        stream.set_nodelay(true)?;
        crowd.push(stream);
    }
    Ok(crowd)
}

/// All ask at once. Gives the connections back, and how long the first byte of each took since the first of them asked.
async fn stampede(crowd: Vec<TcpStream>, body: &'static [u8]) -> anyhow::Result<(Vec<TcpStream>, Vec<Duration>)> {
    let begun = Instant::now();
    let clients: Vec<_> = crowd
        .into_iter()
        .map(|mut stream| {
            tokio::task::spawn_local(async move {
                let answered = ask(&mut stream, begun).await?;
                ensure!(answered.body == body, "an unexpected body: the run is void");
                anyhow::Ok((stream, answered.first_byte))
            })
        })
        .collect();
    let (mut crowd, mut took) = (Vec::new(), Vec::new());
    for client in clients {
        let (stream, first_byte) = client.await??;
        crowd.push(stream);
        took.push(first_byte);
    }
    took.sort_unstable();
    Ok((crowd, took))
}

struct Answered {
    first_byte: Duration,
    body: Vec<u8>,
}

async fn ask(stream: &mut TcpStream, begun: Instant) -> anyhow::Result<Answered> {
    stream.write_all(REQUEST).await?;
    let mut buffer = Vec::with_capacity(1024);
    stream.read_buf(&mut buffer).await?;
    let first_byte = begun.elapsed();
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n")
            && buffer.len() >= end + 4 + b"new".len()
        {
            ensure!(
                buffer.starts_with(b"HTTP/1.1 200"),
                "an unexpected status: the run is void"
            );
            let body = buffer.split_off(end + 4);
            return Ok(Answered { first_byte, body });
        }
        ensure!(stream.read_buf(&mut buffer).await? > 0, "closed instead of answering");
    }
}

fn middle(sorted: &[Duration]) -> Duration {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn last(sorted: &[Duration]) -> Duration {
    sorted.last().copied().unwrap_or_default()
}
