//! What comes between a connection and its first request: the PROXY header, where the peer sends one, and TLS.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;

use super::tls::ListenerTls;
use super::tls::client::Identity;
use super::worker::Worker;
use crate::config::Listener;
use crate::exchange::admit::is_trusted;
use crate::http1::stream::{Socket, Stream};
use crate::proxy_protocol::{self, Announced};

/// A connection that is ready for its first request.
#[derive(Debug)]
pub struct Opened {
    /// The bytes that follow.
    pub stream: Stream,
    /// The client's address: the PROXY header's, or the peer's.
    pub peer: SocketAddr,
    /// Whether a PROXY header named the client.
    pub named: bool,
    /// Where the client connected to, where servers are told.
    pub destination: Option<SocketAddr>,
    /// The certificate that the client has shown.
    pub identity: Option<Identity>,
}

/// Why a connection was given up before its first request.
#[derive(Debug)]
pub enum Failed {
    /// The PROXY header is missing or malformed.
    ProxyHeader(io::Error),
    /// The TLS handshake failed.
    Tls(io::Error),
    /// It took too long.
    Late,
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ProxyHeader(error) => write!(f, "PROXY header: {error}"),
            Self::Tls(error) => write!(f, "TLS: {error}"),
            Self::Late => f.write_str("it took too long"),
        }
    }
}

/// Reads what the listener asks for, within `timeouts.handshake`.
///
/// # Errors
/// When it does not come, or is not what it should be.
pub async fn open(
    worker: &Rc<Worker>,
    listener: &Listener,
    tls: Option<&Arc<ListenerTls>>,
    socket: Socket,
    peer: SocketAddr,
) -> Result<Opened, Failed> {
    if tls.is_none() && listener.proxy_protocol.is_empty() {
        return Ok(Opened {
            destination: destination(worker, &socket),
            stream: Stream::Plain(socket),
            peer,
            named: false,
            identity: None,
        });
    }
    let deadline = worker.timer.deadline();
    let limit = worker.state().snapshot.config.timeouts.handshake;
    let opening = converse(worker, listener, tls, socket, peer);
    deadline.within(limit, opening).await.map_err(|_| Failed::Late)?
}

async fn converse(
    worker: &Rc<Worker>,
    listener: &Listener,
    tls: Option<&Arc<ListenerTls>>,
    mut socket: Socket,
    mut peer: SocketAddr,
) -> Result<Opened, Failed> {
    let mut destination = destination(worker, &socket);
    let mut named = false;
    if expects_header(listener, peer) {
        let announced = proxy_protocol::read(&mut socket).await.map_err(Failed::ProxyHeader)?;
        if let Announced::Client(addresses) = announced {
            named = true;
            peer = addresses.source;
            destination = Some(addresses.destination);
        }
    }
    let Some(tls) = tls else {
        return Ok(Opened {
            stream: Stream::Plain(socket),
            peer,
            named,
            destination,
            identity: None,
        });
    };
    let stream = TlsAcceptor::from(tls.config())
        .accept(socket)
        .await
        .map_err(Failed::Tls)?;
    Ok(Opened {
        identity: tls.identity(stream.get_ref().1),
        stream: Stream::TlsServer(Box::new(stream)),
        peer,
        named,
        destination,
    })
}

/// Whether a peer begins its connections with a PROXY header.
#[must_use]
pub fn expects_header(listener: &Listener, peer: SocketAddr) -> bool {
    is_trusted(peer.ip().to_canonical(), &listener.proxy_protocol)
}

/// Only where a server is told, since it costs a system call.
fn destination(worker: &Worker, socket: &Socket) -> Option<SocketAddr> {
    if worker.state().announces_clients() {
        socket.local_address()
    } else {
        None
    }
}
