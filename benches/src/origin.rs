//! An origin inside this process, for runs that need one which counts, takes its time or dies.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// What is answered to a GET.
pub(crate) struct Answer {
    /// Before its first byte.
    pub(crate) after: Duration,
    /// Lines of its head besides `Content-Length`, each ended by CR LF.
    pub(crate) fields: String,
    pub(crate) body: Vec<u8>,
}

/// Listens on a thread of its own. Dropped, it is dead: its connections are closed and nobody listens any more.
pub(crate) struct Origin {
    address: SocketAddr,
    asked: Arc<AtomicU64>,
    _alive: oneshot::Sender<()>,
}

impl Origin {
    /// An origin that answers each request's path, without limit and in parallel.
    pub(crate) fn start(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (alive, died) = oneshot::channel();
        let asked = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&asked);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("origin".to_owned()).spawn(move || {
            // Whichever ends first ends the runtime, and every connection with it.
            runtime.block_on(async {
                tokio::select! {
                    _ = serve(listener, Arc::new(answer), counted) => (),
                    _ = died => (),
                }
            });
        })?;
        Ok(Self {
            address,
            asked,
            _alive: alive,
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Requests so far.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

async fn serve(
    listener: std::net::TcpListener,
    answer: Arc<impl Fn(&str) -> Answer + Send + Sync + 'static>,
    asked: Arc<AtomicU64>,
) -> std::io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(connection(stream, Arc::clone(&answer), Arc::clone(&asked)));
    }
}

async fn connection(
    mut stream: TcpStream,
    answer: Arc<impl Fn(&str) -> Answer>,
    asked: Arc<AtomicU64>,
) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let end = loop {
            match buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None if stream.read_buf(&mut buffer).await? == 0 => return Ok(()),
                None => {}
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        buffer.drain(..end);
        asked.fetch_add(1, Ordering::Relaxed);
        let path = head.split(' ').nth(1).context("a request line")?;
        let Answer { after, fields, body } = answer(path);
        // The clock's step is a millisecond, which is waited for even where nothing is left to wait.
        if !after.is_zero() {
            tokio::time::sleep(after).await;
        }
        let mut response = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
        response.extend_from_slice(&body);
        stream.write_all(&response).await?;
    }
}
