//! The origin behind the proxy: reads messages by the letter of RFC 9112, without a single leniency, and writes everything down.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use weir_tests::message::Response;
use weir_tests::origin::{Connection, Origin};

use super::Shared;
use super::payloads::{Payload, Verdict};

/// What arrived.
#[derive(Debug, Default)]
struct Log {
    /// Whole requests: how often each target came, and the content of the first one.
    requests: HashMap<String, (usize, Vec<u8>)>,
    /// What no proxy may forward.
    faults: Vec<String>,
}

/// A strict origin that answers each request with its path.
#[derive(Debug)]
pub(super) struct Recorder {
    origin: Origin,
    log: Shared<Log>,
}

impl Recorder {
    pub(super) fn start() -> Self {
        let log = Shared::<Log>::default();
        let shared = log.clone();
        let origin = Origin::scripted(move |connection| serve(connection, &shared));
        Self { origin, log }
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What is wrong with what arrived, once all payloads have been sent.
    pub(super) fn faults(&self, payloads: &[Payload]) -> Vec<String> {
        let mut log = self.log.lock().unwrap();
        let mut faults = std::mem::take(&mut log.faults);
        let mut expect = |target: String, content: &[u8], count: usize, payload: &Payload| {
            let (times, seen) = log.requests.remove(&target).unwrap_or_default();
            if times != count {
                faults.push(format!(
                    "{target} arrived {times} times instead of {count}: {payload:?}"
                ));
            } else if seen != content {
                faults.push(format!("{target} arrived with {seen:?}: {payload:?}"));
            }
        };
        for (id, payload) in payloads.iter().enumerate() {
            let (content, count): (&[u8], _) = match &payload.verdict {
                Verdict::Refused => (b"", 0),
                Verdict::Forwarded { content } => (content, 1),
            };
            expect(format!("/payload/{id}"), content, count, payload);
            expect(format!("/behind/{id}"), b"", count, payload);
            expect(format!("/plain/{id}"), b"", 1, payload);
        }
        faults.extend(log.requests.keys().map(|target| format!("nobody sent {target}")));
        faults
    }
}

fn serve(connection: &mut Connection, log: &Arc<Mutex<Log>>) -> io::Result<()> {
    let mut reader = Reader {
        connection,
        bytes: Vec::new(),
    };
    loop {
        match reader.request() {
            Ok(Some((target, content))) => {
                let mut log = log.lock().unwrap();
                let entry = log.requests.entry(target.clone()).or_default();
                entry.0 += 1;
                entry.1 = content;
                drop(log);
                reader.connection.send(&Response::text(target).to_bytes())?;
            }
            // The end, or a message that was never finished: no request.
            Ok(None) | Err(Unread::Ended) => return Ok(()),
            Err(Unread::Fault(fault)) => {
                log.lock().unwrap().faults.push(format!("forwarded: {fault}"));
                return Ok(());
            }
        }
    }
}

/// Why no request could be read.
enum Unread {
    /// The connection ended inside a message.
    Ended,
    /// Two servers could disagree about it.
    Fault(String),
}

impl From<io::Error> for Unread {
    fn from(_: io::Error) -> Self {
        Self::Ended
    }
}

fn fault<T>(what: &str, bytes: &[u8]) -> Result<T, Unread> {
    Err(Unread::Fault(format!("{what}: {:?}", String::from_utf8_lossy(bytes))))
}

struct Reader<'a> {
    connection: &'a mut Connection,
    bytes: Vec<u8>,
}

impl Reader<'_> {
    /// Path and content of the next request.
    fn request(&mut self) -> Result<Option<(String, Vec<u8>)>, Unread> {
        while self.bytes.is_empty() {
            if !self.fill()? {
                return Ok(None);
            }
        }
        let line = self.line()?;
        let text = String::from_utf8_lossy(&line).into_owned();
        let [method, target, "HTTP/1.1"] = text.split(' ').collect::<Vec<_>>()[..] else {
            return fault("a request line", &line);
        };
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_token(method.as_bytes()) || !plain(target) || !(target.starts_with('/') || target == "*") {
            return fault("a request line", &line);
        }
        let fields = self.fields()?;
        let all = |name: &'static str| fields.iter().filter(move |field| field.0 == name).map(|field| &field.1);
        if all("host").count() != 1 {
            return fault("hosts", text.as_bytes());
        }
        let mimics = |name: &str| {
            let other = name.replace('_', "-");
            other != name
                && (other.starts_with("x-forwarded-") || other.contains("-encoding") || other.contains("-length"))
        };
        if fields.iter().any(|(name, _)| mimics(name)) {
            return fault("a name that looks like another", text.as_bytes());
        }
        let lengths: Vec<_> = all("content-length").collect();
        let codings: Vec<_> = all("transfer-encoding").collect();
        let content = match (&lengths[..], &codings[..]) {
            ([], []) => Vec::new(),
            ([length], []) => {
                let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
                match std::str::from_utf8(length).ok().and_then(|length| length.parse().ok()) {
                    Some(length) if digits => self.take(length)?,
                    _ => return fault("a length", length),
                }
            }
            ([], [coding]) if coding.as_slice() == b"chunked" => self.chunks()?,
            _ => return fault("framing", text.as_bytes()),
        };
        let path = target.split('?').next().unwrap_or_default();
        Ok(Some((path.to_owned(), content)))
    }

    /// Names in lower case and values, up to the empty line.
    fn fields(&mut self) -> Result<Vec<(String, Vec<u8>)>, Unread> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            let Some(colon) = line.iter().position(|&byte| byte == b':') else {
                return fault("a field without a colon", &line);
            };
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            let valid = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
            if !is_token(name) || !value.iter().all(valid) {
                return fault("a field", &line);
            }
            fields.push((String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec()));
        }
    }

    fn chunks(&mut self) -> Result<Vec<u8>, Unread> {
        let mut content = Vec::new();
        loop {
            let line = self.line()?;
            let digits = !line.is_empty() && line.iter().all(u8::is_ascii_hexdigit);
            let size = std::str::from_utf8(&line)
                .ok()
                .and_then(|line| usize::from_str_radix(line, 16).ok());
            match size {
                Some(0) if digits => {
                    let trailers = self.fields()?;
                    let never = ["content-length", "transfer-encoding", "host", "x-forwarded-for"];
                    return match trailers.iter().find(|(name, _)| never.contains(&name.as_str())) {
                        Some((name, _)) => fault("a trailer", name.as_bytes()),
                        None => Ok(content),
                    };
                }
                Some(size) if digits => {
                    content.extend(self.take(size)?);
                    if self.take(2)? != b"\r\n" {
                        return fault("the end of a chunk", &line);
                    }
                }
                _ => return fault("a chunk's size", &line),
            }
        }
    }

    /// A line without its CRLF.
    fn line(&mut self) -> Result<Vec<u8>, Unread> {
        loop {
            if let Some(end) = self.bytes.iter().position(|&byte| matches!(byte, b'\r' | b'\n')) {
                match self.bytes.get(end..end + 2) {
                    Some(b"\r\n") => {
                        let line = self.bytes[..end].to_vec();
                        self.bytes.drain(..end + 2);
                        return Ok(line);
                    }
                    Some(_) => return fault("a bare CR or LF", &self.bytes),
                    None if self.bytes[end] == b'\n' => return fault("a bare LF", &self.bytes),
                    None => {}
                }
            }
            self.more()?;
        }
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, Unread> {
        while self.bytes.len() < length {
            self.more()?;
        }
        Ok(self.bytes.drain(..length).collect())
    }

    fn more(&mut self) -> Result<(), Unread> {
        if self.fill()? { Ok(()) } else { Err(Unread::Ended) }
    }

    fn fill(&mut self) -> io::Result<bool> {
        let bytes = self.connection.read(16 * 1024)?;
        self.bytes.extend(&bytes);
        Ok(!bytes.is_empty())
    }
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}
