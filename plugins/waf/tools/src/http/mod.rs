//! A request as it travels, to what the engine is given.
//!
//! [`wire`] reads leniently: what a proxy refuses with 400 is judged all the same as far as it could be read, because rules for
//! broken requests are part of rule sets. [`edge`] says what the proxy would have refused, and why. [`curl`] reads a command line,
//! [`event`] an audit log.

pub mod curl;
pub mod edge;
pub mod event;
pub mod wire;

use std::path::{Path, PathBuf};

use weir_waf::evaluate::RequestHead;

use crate::Error;

pub use edge::Refusal;

/// A request, as far as it could be read.
#[derive(Debug, Clone)]
pub struct Request {
    /// The head.
    pub head: RequestHead,
    /// The body, without its framing.
    pub body: Vec<u8>,
    /// How it was written.
    pub framing: Framing,
}

/// How a request was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// With a version in its first line.
    Versioned,
    /// Without, as before HTTP/1.0.
    Bare,
}

/// What arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// Nothing where it is no HTTP message.
    pub request: Option<Request>,
    /// Why the proxy refuses it; nothing where it does not.
    pub refusal: Option<Refusal>,
}

/// Where a request comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file that holds it as it travels.
    File(PathBuf),
    /// A command line of curl.
    Curl(String),
    /// An event of an audit log: its request's id, and the file.
    Event {
        /// The id.
        id: String,
        /// The log.
        log: PathBuf,
    },
}

impl Source {
    /// Reads it.
    ///
    /// # Errors
    /// What cannot be read, and why.
    pub fn read(&self) -> Result<Received, Error> {
        match self {
            Self::File(path) => Ok(wire::read(&message(path)?)),
            Self::Curl(line) => Ok(wire::read(&curl::message(line)?)),
            Self::Event { id, log } => event::find(log, id),
        }
    }
}

/// A request in a file. Written by hand, its lines may end with a line feed alone, and the length of its body be left out.
fn message(path: &Path) -> Result<Vec<u8>, Error> {
    let text = std::fs::read(path).map_err(|error| Error::new(format!("{}: {error}", path.display())))?;
    let end = text
        .windows(2)
        .position(|pair| pair == b"\n\n")
        .map(|at| (at, at + 2))
        .or_else(|| {
            text.windows(4)
                .position(|four| four == b"\r\n\r\n")
                .map(|at| (at, at + 4))
        });
    let Some((head_end, body_start)) = end else {
        return Ok(text);
    };
    let (head, body) = (
        text.get(..head_end).unwrap_or_default(),
        text.get(body_start..).unwrap_or_default(),
    );
    let lower = head.to_ascii_lowercase();
    let framed = [&b"\ncontent-length:"[..], b"\ntransfer-encoding:"]
        .iter()
        .any(|name| lower.windows(name.len()).any(|window| window == *name));
    if framed || body.is_empty() {
        return Ok(text);
    }
    let mut message = head.to_vec();
    message.extend_from_slice(format!("\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes());
    message.extend_from_slice(body);
    Ok(message)
}
