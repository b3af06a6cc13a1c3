//! One request over a socket, as it is, and the answer.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use weir_waf_tools::Error;
use weir_waf_tools::origin::Response;

/// Longer than the proxy waits for a request.
const PATIENCE: Duration = Duration::from_secs(20);
/// Far more than any test's answer.
const MOST_BYTES: usize = 64 << 20;
const MOST_HEADERS: usize = 256;

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    /// Nothing where no response could be read.
    pub(super) response: Option<Response>,
}

pub(super) fn send(server: SocketAddr, from: Ipv4Addr, message: &[u8]) -> Result<Answer, Error> {
    let mut stream = connect(server, from)?;
    // A proxy that refuses a request may close before it has read all of it; its answer counts.
    let _ = stream.write_all(message);
    let head_only = message.starts_with(b"HEAD ");
    let mut received = Vec::new();
    let mut buffer = vec![0; 16 << 10];
    loop {
        if let Some(response) = whole(&received, head_only, End::Open) {
            return Ok(Answer {
                response: Some(response),
            });
        }
        match stream.read(&mut buffer) {
            Ok(length @ 1..) if received.len() < MOST_BYTES => {
                received.extend_from_slice(buffer.get(..length).unwrap_or_default());
            }
            _ => {
                let response = whole(&received, head_only, End::Closed);
                return Ok(Answer { response });
            }
        }
    }
}

fn connect(server: SocketAddr, from: Ipv4Addr) -> Result<TcpStream, Error> {
    let connected = || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddrV4::new(from, 0).into())?;
        socket.connect(&server.into())?;
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    connected().map_err(|error: std::io::Error| Error::new(format!("cannot connect from {from} to {server}: {error}")))
}

/// Whether more can come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Closed,
}

/// The response, where all of it is there.
fn whole(received: &[u8], head_only: bool, end: End) -> Option<Response> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(received).ok()? else {
        return None;
    };
    let rest = received.get(length..).unwrap_or_default();
    let status = head.code?;
    if status < 200 {
        return whole(rest, head_only, end);
    }
    let field = |name: &str| {
        head.headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))
    };
    let body = if head_only || matches!(status, 204 | 304) {
        Some(Vec::new())
    } else if field("transfer-encoding").is_some() {
        dechunked(rest)
    } else {
        let length = field("content-length").and_then(|length| std::str::from_utf8(length.value).ok()?.parse().ok());
        match length {
            Some(length) => rest.get(..length).map(<[u8]>::to_vec),
            None => (end == End::Closed).then(|| rest.to_vec()),
        }
    };
    // What broke off is a response all the same: its head has been seen.
    let body = body.or_else(|| (end == End::Closed).then(|| rest.to_vec()))?;
    Some(Response {
        status,
        headers: head
            .headers
            .iter()
            .map(|header| (header.name.to_owned(), header.value.to_vec()))
            .collect(),
        body,
    })
}

fn dechunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(rest) else {
            return None;
        };
        if size == 0 {
            return Some(body);
        }
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        body.extend_from_slice(rest.get(start..end)?);
        rest = rest.get(end + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_response_is_whole_by_its_framing() {
        let body = |text: &str, end| whole(text.as_bytes(), false, end).map(|response| response.body);
        let length = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
        assert_eq!(body(&format!("{length}a"), End::Open), None);
        assert_eq!(body(&format!("{length}ab"), End::Open).unwrap(), b"ab");
        let chunked = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n";
        assert_eq!(body(chunked, End::Open), None);
        assert_eq!(body(&format!("{chunked}0\r\n\r\n"), End::Open).unwrap(), b"ab");
        assert_eq!(body("HTTP/1.1 200 OK\r\n\r\nab", End::Open), None);
        assert_eq!(body("HTTP/1.1 200 OK\r\n\r\nab", End::Closed).unwrap(), b"ab");
        assert!(whole(length.as_bytes(), true, End::Open).is_some());
        assert_eq!(body("SSH-2.0\r\n", End::Closed), None);
    }
}
