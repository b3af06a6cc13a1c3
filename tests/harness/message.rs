//! HTTP/1.1 messages as tests see them, read by a parser that has nothing in common with the proxy's.
//!
//! Header values are text in which every character stands for one byte (Latin-1), so that nothing is lost and expectations
//! stay readable.

use std::io::{self, BufRead, Read, Write};

/// A request as an origin got it, or as a client sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`.
    pub method: String,
    /// As on the request line.
    pub target: String,
    /// `HTTP/1.1`.
    pub version: String,
    /// In order.
    pub headers: Headers,
    /// Without its framing.
    pub body: Vec<u8>,
}

impl Request {
    /// A request of this method, for the host `weir.test`.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.into(),
            target: target.into(),
            version: "HTTP/1.1".into(),
            headers: Headers(vec![("Host".into(), "weir.test".into())]),
            body: Vec::new(),
        }
    }

    /// A GET.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A POST with `Content-Length`.
    pub fn post(target: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut request = Self::new("POST", target);
        request.body = body.into();
        let length = request.body.len().to_string();
        request.header("Content-Length", &length)
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.0.push((name.into(), value.into()));
        self
    }

    /// Replaces the Host header.
    pub fn host(mut self, host: &str) -> Self {
        self.headers.0.retain(|(name, _)| !name.eq_ignore_ascii_case("host"));
        self.header("Host", host)
    }

    /// Head and body as they stand on the wire; the body goes as it is, framed by the headers that the test chose.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = latin1_bytes(&format!("{} {} {}\r\n", self.method, self.target, self.version));
        bytes.extend(self.headers.to_bytes());
        bytes.extend(&self.body);
        bytes
    }

    /// Reads one request; nothing at a clean end of the connection.
    pub fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some(request) = Self::read_head(from)? else {
            return Ok(None);
        };
        let body = match Framing::of_request(&request.headers) {
            Framing::Length(length) => read_exactly(from, length)?,
            Framing::Chunked => read_chunked(from)?,
            Framing::Close | Framing::None => Vec::new(),
        };
        Ok(Some(Self { body, ..request }))
    }

    /// Reads a request's head and leaves its body unread.
    pub fn read_head(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some(line) = read_line(from)? else { return Ok(None) };
        let mut words = line.split(' ').map(str::to_owned);
        let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else {
            return Err(malformed(&line));
        };
        Ok(Some(Self {
            method,
            target,
            version,
            headers: Headers::read(from)?,
            body: Vec::new(),
        }))
    }
}

/// A response as a client got it, or as an origin sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// 200.
    pub status: u16,
    /// In order.
    pub headers: Headers,
    /// Without its framing.
    pub body: Vec<u8>,
}

impl Response {
    /// An empty response.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Headers::default(),
            body: Vec::new(),
        }
    }

    /// 200 with a text.
    pub fn text(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200).header("Content-Type", "text/plain").body(body)
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.0.push((name.into(), value.into()));
        self
    }

    /// Sets the content.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The content as text.
    pub fn text_body(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The content as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// The parts of a `multipart/byteranges` content (RFC 9110 §14.6): the `Content-Range` of each, and its bytes.
    pub fn byteranges(&self) -> Vec<(String, Vec<u8>)> {
        let kind = self.headers.get("content-type").unwrap_or_default();
        let boundary = kind.strip_prefix("multipart/byteranges; boundary=");
        let delimiter = format!("\r\n--{}", boundary.unwrap_or_else(|| panic!("no parts, but {kind}")));
        let (mut parts, mut rest) = (Vec::new(), self.body.as_slice());
        while let Some(at) = rest
            .windows(delimiter.len())
            .position(|bytes| bytes == delimiter.as_bytes())
        {
            parts.push(&rest[..at]);
            rest = &rest[at + delimiter.len()..];
        }
        assert_eq!(
            (parts.first(), rest),
            (Some(&&b""[..]), &b"--\r\n"[..]),
            "what stands around the parts"
        );
        let part = |mut bytes: &[u8]| {
            let empty = read_line(&mut bytes).expect("a line behind the delimiter");
            assert_eq!(empty.as_deref(), Some(""));
            let headers = Headers::read(&mut bytes).expect("the head of a part");
            (
                headers.get("content-range").unwrap_or_default().to_owned(),
                bytes.to_vec(),
            )
        };
        parts.into_iter().skip(1).map(part).collect()
    }

    /// The response on the wire, with `Content-Length` unless its headers frame it already.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = format!("HTTP/1.1 {} Status\r\n", self.status).into_bytes();
        let framed = self.headers.get("content-length").is_some() || self.headers.get("transfer-encoding").is_some();
        let bodiless = self.status < 200 || self.status == 204 || self.status == 304;
        if !framed && !bodiless {
            bytes.extend(format!("Content-Length: {}\r\n", self.body.len()).into_bytes());
        }
        bytes.extend(self.headers.to_bytes());
        bytes.extend(&self.body);
        bytes
    }

    /// Reads one response to a request of this method, content included.
    pub fn read(from: &mut impl BufRead, method: &str) -> io::Result<Self> {
        let response = Self::read_head(from)?;
        let bodiless = method == "HEAD" || response.status < 200 || matches!(response.status, 204 | 304);
        let body = match Framing::of_response(&response.headers) {
            _ if bodiless => Vec::new(),
            Framing::Length(length) => read_exactly(from, length)?,
            Framing::Chunked => read_chunked(from)?,
            Framing::Close | Framing::None => {
                let mut body = Vec::new();
                from.read_to_end(&mut body)?;
                body
            }
        };
        Ok(Self { body, ..response })
    }

    /// Reads a response's head and leaves its content unread.
    pub fn read_head(from: &mut impl BufRead) -> io::Result<Self> {
        let line = read_line(from)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok());
        Ok(Self {
            status: status.ok_or_else(|| malformed(&line))?,
            headers: Headers::read(from)?,
            body: Vec::new(),
        })
    }
}

/// Header lines in order; names compare without case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// The first value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter(name).next()
    }

    /// All values, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.iter(name).collect()
    }

    fn iter(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut text: String = self
            .0
            .iter()
            .flat_map(|(name, value)| [name, ": ", value, "\r\n"])
            .collect();
        text.push_str("\r\n");
        latin1_bytes(&text)
    }

    fn read(from: &mut impl BufRead) -> io::Result<Self> {
        let mut headers = Self::default();
        loop {
            let line = read_line(from)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if line.is_empty() {
                return Ok(headers);
            }
            let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
            headers.0.push((name.to_owned(), value.trim().to_owned()));
        }
    }
}

/// How long a message's content is.
enum Framing {
    None,
    Length(usize),
    Chunked,
    Close,
}

impl Framing {
    fn of_request(headers: &Headers) -> Self {
        match Self::of_response(headers) {
            Self::Close => Self::None,
            framing => framing,
        }
    }

    fn of_response(headers: &Headers) -> Self {
        if headers
            .all("transfer-encoding")
            .iter()
            .any(|value| value.to_ascii_lowercase().ends_with("chunked"))
        {
            return Self::Chunked;
        }
        headers
            .get("content-length")
            .and_then(|length| length.parse().ok())
            .map_or(Self::Close, Self::Length)
    }
}

/// Reads chunks to the last one, strictly as RFC 9112 §7.1 writes them; trailers are dropped.
fn read_chunked(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(from)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let digits = line.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(digits, 16).map_err(|_| malformed(&line))?;
        if size == 0 {
            Headers::read(from)?;
            return Ok(body);
        }
        body.extend(read_exactly(from, size)?);
        if !read_line(from)?.ok_or(io::ErrorKind::UnexpectedEof)?.is_empty() {
            return Err(malformed("a chunk that is longer than its size"));
        }
    }
}

fn read_exactly(from: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_line(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if from.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    match line.strip_suffix(b"\r\n") {
        Some(line) => Ok(Some(line.iter().copied().map(char::from).collect())),
        None => Err(malformed(&String::from_utf8_lossy(&line))),
    }
}

fn malformed(line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed message at {line:?}"))
}

fn latin1_bytes(text: &str) -> Vec<u8> {
    text.chars()
        .map(|character| u8::try_from(u32::from(character)).expect("a header value of bytes"))
        .collect()
}

/// Frames bytes as one chunk.
pub fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
    framed
        .write_all(bytes)
        .and_then(|()| framed.write_all(b"\r\n"))
        .expect("memory takes every byte");
    framed
}
