//! Listening sockets: one a worker for each address (`SO_REUSEPORT`), so that the kernel spreads connections and no worker
//! waits for another.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};

use super::tls::ListenerTls;
use crate::config::Listener;

/// Connections that the kernel holds for a worker that is busy.
const BACKLOG: i32 = 4096;

/// A listener with its sockets.
#[derive(Debug)]
pub struct Bound {
    /// What was asked for.
    pub listener: Listener,
    /// What was got: the port, where 0 was asked for.
    pub address: SocketAddr,
    /// Certificates, where it speaks TLS.
    pub tls: Option<Arc<ListenerTls>>,
    /// One a worker.
    pub sockets: Vec<TcpListener>,
}

/// Binds a listener for so many workers.
///
/// # Errors
/// With the address, when it cannot be bound, or its certificates not be read.
pub fn bind(listener: &Listener, workers: usize) -> anyhow::Result<Bound> {
    let tls = listener
        .tls
        .as_ref()
        .map(|tls| ListenerTls::load(tls, listener.http2))
        .transpose()?
        .map(Arc::new);
    let explain = |error| {
        anyhow::anyhow!(
            "listener {}: cannot listen on {}: {error}",
            listener.name,
            listener.address
        )
    };
    if listener.address.port() != 0 {
        refuse_if_taken(listener.address).map_err(explain)?;
    }
    let first = open(listener.address).map_err(explain)?;
    let address = first.local_addr().map_err(explain)?;
    let mut sockets = vec![first];
    while sockets.len() < workers.max(1) {
        sockets.push(open(address).map_err(explain)?);
    }
    Ok(Bound {
        listener: listener.clone(),
        address,
        tls,
        sockets,
    })
}

/// With `SO_REUSEPORT` two processes of one user can share a port without noticing, and each gets half of the
/// connections. An address on which another process listens is refused by trying it without.
fn refuse_if_taken(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
