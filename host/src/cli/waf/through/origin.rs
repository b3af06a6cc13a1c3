//! The origin behind the proxy: a socket in front of [`weir_waf_tools::origin::answer`].

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use weir_waf_tools::Error;
use weir_waf_tools::http::wire;
use weir_waf_tools::origin::{Response, answer};

/// Listens until it is dropped.
#[derive(Debug)]
pub(super) struct Origin {
    address: SocketAddr,
    over: Arc<AtomicBool>,
}

impl Origin {
    pub(super) fn start() -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        std::thread::Builder::new().name("origin".to_owned()).spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                // Without a thread for it the connection closes, and the proxy says so to its client.
                let _ = std::thread::Builder::new().spawn(move || serve(stream));
            }
        })?;
        Ok(Self { address, over })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // It looks when the next connection comes.
        let _ = TcpStream::connect(self.address);
    }
}

/// Answers request after request, until the proxy closes the connection or it breaks.
fn serve(mut stream: TcpStream) -> Option<()> {
    let _ = stream.set_nodelay(true);
    let mut received = Vec::new();
    let mut buffer = vec![0; 16 << 10];
    loop {
        let length = loop {
            if let Some(length) = length(&received) {
                break length;
            }
            match stream.read(&mut buffer).ok()? {
                0 => return None,
                read => received.extend_from_slice(buffer.get(..read)?),
            }
        };
        let message: Vec<u8> = received.drain(..length).collect();
        let request = wire::read(&message).request?;
        stream
            .write_all(&written(&answer(&request), &request.head.method))
            .ok()?;
    }
}

/// The length of the first message, where all of it is there.
fn length(received: &[u8]) -> Option<usize> {
    let mut headers = [httparse::EMPTY_HEADER; 1024];
    let mut head = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(mut at)) = head.parse(received) else {
        return None;
    };
    let field = |name: &str| {
        head.headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))
    };
    if field("transfer-encoding").is_none() {
        let length = field("content-length").and_then(|length| std::str::from_utf8(length.value).ok()?.parse().ok());
        let end = at.checked_add(length.unwrap_or(0))?;
        return (received.len() >= end).then_some(end);
    }
    loop {
        let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(received.get(at..)?) else {
            return None;
        };
        at = at
            .checked_add(start)?
            .checked_add(usize::try_from(size).ok()?)?
            .checked_add(2)?;
        if size == 0 {
            return (received.len() >= at).then_some(at);
        }
    }
}

fn written(response: &Response, method: &str) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {} -\r\n", response.status).into_bytes();
    for (name, value) in &response.headers {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    if method != "HEAD" && !matches!(response.status, 204 | 304) {
        out.extend_from_slice(&response.body);
    }
    out
}
