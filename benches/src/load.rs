//! Load: `wrk` and `h2load` for how much a proxy can do, and an open loop for how long requests take at a given rate.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::scenarios::{HTTP2_CONNECTIONS, STREAMS};

/// What a run of `wrk` or `h2load` gave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closed {
    pub(crate) requests: u64,
    pub(crate) per_second: f64,
    /// Other statuses than 2xx and 3xx, and socket errors.
    pub(crate) unexpected: u64,
}

/// As many requests as `connections` give, each sent when the one before is answered.
pub(crate) fn closed(url: &str, connections: usize, span: Duration) -> anyhow::Result<Closed> {
    let output = Command::new("wrk")
        .args([
            "-t1",
            // Large answers on a busy machine take longer than the two seconds that wrk allows.
            "--timeout=20s",
            &format!("-c{connections}"),
            &format!("-d{}s", span.as_secs()),
            url,
        ])
        .output()
        .context("cannot run wrk (Debian package wrk)")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("wrk failed: {text}{}", String::from_utf8_lossy(&output.stderr));
    }
    parse(&text).with_context(|| format!("wrk said: {text}"))
}

/// The same over HTTP/2, with [`STREAMS`] requests at once on each connection.
pub(crate) fn closed_http2(url: &str, span: Duration) -> anyhow::Result<Closed> {
    let output = Command::new("h2load")
        .args([
            "-t1",
            &format!("-c{HTTP2_CONNECTIONS}"),
            &format!("-m{STREAMS}"),
            &format!("-D{}", span.as_secs()),
            url,
        ])
        .output()
        .context("cannot run h2load (Debian package nghttp2-client)")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("h2load failed: {text}{}", String::from_utf8_lossy(&output.stderr));
    }
    parse_http2(&text).with_context(|| format!("h2load said: {text}"))
}

/// What was under way when the time was over is counted nowhere.
fn parse_http2(text: &str) -> anyhow::Result<Closed> {
    // Numbers stand before their words: `finished in 4.00s, 123.45 req/s`, `status codes: 12 2xx, 0 3xx, ...`.
    let before = |line: &str, word: &str| {
        let words: Vec<_> = line.split_whitespace().map(|word| word.trim_end_matches(',')).collect();
        let at = words.iter().position(|candidate| *candidate == word)?;
        words.get(at.checked_sub(1)?)?.parse::<f64>().ok()
    };
    let line = |start: &str| text.lines().find(|line| line.starts_with(start));
    let finished = line("finished in").context("no rate")?;
    let requests = line("requests:").context("no number of requests")?;
    let statuses = line("status codes:").context("no statuses")?;
    let count = |line, word| before(line, word).with_context(|| format!("no number of {word}"));
    let answered = count(statuses, "2xx")? + count(statuses, "3xx")?;
    anyhow::ensure!(answered > 0.0, "no request was answered");
    let errors = count(requests, "errored")? + count(requests, "timeout")?;
    Ok(Closed {
        requests: answered as u64,
        per_second: count(finished, "req/s")?,
        unexpected: (count(statuses, "4xx")? + count(statuses, "5xx")? + errors) as u64,
    })
}

fn parse(text: &str) -> anyhow::Result<Closed> {
    let number = |word: Option<&str>| word.and_then(|word| word.trim_end_matches(',').parse::<f64>().ok());
    let mut closed = Closed {
        requests: 0,
        per_second: 0.0,
        unexpected: 0,
    };
    for line in text.lines().map(str::trim) {
        let words: Vec<_> = line.split_whitespace().collect();
        if line.contains("requests in") {
            closed.requests = number(words.first().copied()).context("no number of requests")? as u64;
        } else if line.starts_with("Requests/sec:") {
            closed.per_second = number(words.last().copied()).context("no rate")?;
        } else if line.starts_with("Non-2xx or 3xx responses:") {
            closed.unexpected += number(words.last().copied()).unwrap_or(1.0) as u64;
        } else if line.starts_with("Socket errors:") {
            closed.unexpected += words.iter().filter_map(|word| number(Some(word))).sum::<f64>() as u64;
        }
    }
    anyhow::ensure!(closed.requests > 0, "no request was answered");
    Ok(closed)
}

/// What an open loop gave.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    /// From the moment a request was due to its last byte, sorted.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) unexpected: u64,
    /// What `check` had against an answer.
    pub(crate) wrong: u64,
}

impl Open {
    /// The latency that this share of the requests did not exceed.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        self.latencies.get(at).copied().unwrap_or_default()
    }
}

/// Requests at a fixed rate, sent when they are due whether or not earlier ones have been answered: a proxy that stalls pays
/// for everything that was due meanwhile. Each connection carries one request at a time; one that is late catches up.
pub(crate) fn open(
    address: SocketAddr,
    path: &str,
    rate: f64,
    connections: usize,
    span: Duration,
) -> anyhow::Result<Open> {
    open_checked(address, path, rate, connections, span, |_| true)
}

/// The same, with a look at every response head.
pub(crate) fn open_checked(
    address: SocketAddr,
    path: &str,
    rate: f64,
    connections: usize,
    span: Duration,
    check: impl Fn(&str) -> bool + Clone + 'static,
) -> anyhow::Result<Open> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n");
    let gap = Duration::from_secs_f64(connections as f64 / rate.max(1.0));
    let start = Instant::now() + Duration::from_millis(50);
    local.block_on(&runtime, async move {
        let mut clients = Vec::new();
        for index in 0..connections {
            let due = start + gap.mul_f64(index as f64 / connections as f64);
            let client = client(address, request.clone(), due, start + span, gap, check.clone());
            clients.push(tokio::task::spawn_local(client));
        }
        let mut all = Open {
            latencies: Vec::new(),
            unexpected: 0,
            wrong: 0,
        };
        for client in clients {
            let one = client.await?;
            all.latencies.extend(one.latencies);
            all.unexpected += one.unexpected;
            all.wrong += one.wrong;
        }
        all.latencies.sort_unstable();
        Ok(all)
    })
}

async fn client(
    address: SocketAddr,
    request: String,
    mut due: Instant,
    end: Instant,
    gap: Duration,
    check: impl Fn(&str) -> bool,
) -> Open {
    let mut all = Open {
        latencies: Vec::new(),
        unexpected: 0,
        wrong: 0,
    };
    let mut stream = None;
    let mut buffer = Vec::with_capacity(16 * 1024);
    while due < end {
        tokio::time::sleep_until(due.into()).await;
        match exchange(&mut stream, address, &request, &mut buffer).await {
            Ok(head) if head.starts_with("HTTP/1.1 200") => {
                all.latencies.push(due.elapsed());
                all.wrong += u64::from(!check(&head));
            }
            _ => {
                all.unexpected += 1;
                stream = None;
            }
        }
        due += gap;
    }
    all
}

/// One request and its whole response; gives the head.
pub(crate) async fn exchange(
    stream: &mut Option<TcpStream>,
    address: SocketAddr,
    request: &str,
    buffer: &mut Vec<u8>,
) -> anyhow::Result<String> {
    let stream = match stream {
        Some(stream) => stream,
        None => {
            let fresh = TcpStream::connect(address).await?;
            fresh.set_nodelay(true)?;
            stream.insert(fresh)
        }
    };
    stream.write_all(request.as_bytes()).await?;
    buffer.clear();
    loop {
        anyhow::ensure!(
            stream.read_buf(buffer).await? > 0,
            "closed before the response was complete"
        );
        let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        let length = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length:")?
                    .trim()
                    .parse::<usize>()
                    .ok()
            })
            .context("a response without content-length")?;
        while buffer.len() < end + 4 + length {
            anyhow::ensure!(stream.read_buf(buffer).await? > 0, "closed in the middle of a response");
        }
        return Ok(head);
    }
}
