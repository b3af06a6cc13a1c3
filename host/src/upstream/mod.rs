//! Servers: connections kept to them, one request and response on one connection, and which server gets the next one.
//!
//! Everything here belongs to one worker, except for what is known about a server's health.

pub mod balance;
pub mod call;
pub mod connect;
pub mod conversation;
pub mod far;
pub mod gate;
pub mod group;
pub mod health;
pub mod http2;
pub mod pool;

use std::fmt;
use std::io;

use crate::http1::decode::BodyError;
use crate::http1::head::Malformed;

/// Why a server did not answer.
#[derive(Debug)]
pub enum Fault {
    /// No connection could be made.
    Connect(io::Error),
    /// No connection in time.
    ConnectTimeout,
    /// TLS towards the server failed.
    Tls(String),
    /// A kept connection had been closed before the request reached the server.
    Stale,
    /// The server will not look at this request, and says so (HTTP/2: REFUSED_STREAM, or GOAWAY before it).
    Refused,
    /// The connection ended before a response head was complete.
    Closed,
    /// The connection broke.
    Io(io::Error),
    /// What the server sent is not HTTP.
    Malformed(Malformed),
    /// A server with `http2` takes WebSocket neither on a stream (RFC 8441) nor by an upgrade.
    NoUpgrade,
    /// No response head in time, or no further byte of the body.
    Timeout,
    /// Not the server's fault: the client's request body could not be read.
    Client(ClientFault),
    /// No server is left to be tried.
    NoServer,
    /// The upstream has as many requests as it may, and its queue is full.
    QueueFull,
    /// The upstream has as many requests as it may, and none of them ended in time.
    QueueTimeout,
    /// Nothing could be held any more: not the server's fault.
    Memory,
}

/// Why a client's body could not be read.
#[derive(Debug)]
pub enum ClientFault {
    /// It is not what its framing says.
    Malformed(Malformed),
    /// More than the limit.
    TooLarge,
    /// Too slow.
    Timeout,
    /// The connection broke.
    Gone,
    /// Not the client's fault: nothing could be held any more.
    Memory,
}

/// Whether the same request may be sent to another server after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The server cannot have seen the request: safe for every method.
    Safe,
    /// It may have: safe for idempotent methods only (RFC 9110 §9.2.2).
    IfIdempotent,
    /// Another server would not do better.
    Never,
}

impl Fault {
    /// Whether another server may be tried.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Connect(_) | Self::ConnectTimeout | Self::Tls(_) | Self::Refused => Retry::Safe,
            Self::Stale | Self::Closed | Self::Io(_) => Retry::IfIdempotent,
            Self::Malformed(_)
            | Self::NoUpgrade
            | Self::Timeout
            | Self::Client(_)
            | Self::NoServer
            | Self::QueueFull
            | Self::QueueTimeout
            | Self::Memory => Retry::Never,
        }
    }

    /// Whether the server is to blame, for its health.
    #[must_use]
    pub fn blames_server(&self) -> bool {
        match self {
            Self::Client(_)
            | Self::NoServer
            | Self::NoUpgrade
            | Self::QueueFull
            | Self::QueueTimeout
            | Self::Memory
            | Self::Stale => false,
            Self::Connect(error) => !is_ours(error),
            _ => true,
        }
    }

    /// The reason as a word, for logs and metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls(_) => "tls",
            Self::Stale => "stale_connection",
            Self::Refused => "refused",
            Self::Closed => "closed",
            Self::Io(_) => "io",
            Self::Malformed(_) => "malformed",
            Self::NoUpgrade => "no_upgrade",
            Self::Timeout => "timeout",
            Self::Client(_) => "client_body",
            Self::NoServer => "no_server",
            Self::QueueFull => "queue_full",
            Self::QueueTimeout => "queue_timeout",
            Self::Memory => "held_bodies",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::ConnectTimeout => f.write_str("no connection in time"),
            Self::Tls(error) => write!(f, "TLS: {error}"),
            Self::Stale => f.write_str("a kept connection had been closed"),
            Self::Refused => f.write_str("the server took no more requests on the connection"),
            Self::Closed => f.write_str("the connection was closed before the response was complete"),
            Self::Io(error) => write!(f, "the connection broke: {error}"),
            Self::Malformed(fault) => write!(f, "malformed response: {fault}"),
            Self::NoUpgrade => f.write_str("the server takes no WebSocket"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Client(_) => f.write_str("the request body could not be read"),
            Self::NoServer => f.write_str("no server is left to be tried"),
            Self::QueueFull => f.write_str("too many requests wait for the upstream"),
            Self::QueueTimeout => f.write_str("the upstream had no room in time"),
            Self::Memory => f.write_str("too much is held"),
        }
    }
}

/// Whether a connection failed for want of descriptors or ports of our own.
fn is_ours(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::EADDRNOTAVAIL | libc::ENOBUFS | libc::ENOMEM)
    )
}

impl std::error::Error for Fault {}

impl From<BodyError> for Fault {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Malformed(Malformed::Truncated) => Self::Closed,
            BodyError::Malformed(fault) => Self::Malformed(fault),
            BodyError::Io(error) => Self::Io(error),
        }
    }
}

impl From<BodyError> for ClientFault {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Malformed(Malformed::Truncated) | BodyError::Io(_) => Self::Gone,
            BodyError::Malformed(fault) => Self::Malformed(fault),
        }
    }
}
