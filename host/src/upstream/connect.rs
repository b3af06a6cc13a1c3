//! New connections to a server.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rustls_pki_types::ServerName;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::Fault;
use super::pool::Connection;
use crate::config::Endpoint;
use crate::http1::buffer::Buffered;
use crate::http1::stream::{Socket, Stream};
use crate::server::descriptors;
use crate::server::timer::Timer;

/// How TLS is spoken to a server.
#[derive(Debug, Clone)]
pub struct ClientTls {
    /// Roots, versions, resumption.
    pub config: Arc<rustls::ClientConfig>,
    /// The name that is sent and verified.
    pub name: ServerName<'static>,
}

/// A connection within `limit`, with TLS where the server wants it. `hello` goes before everything else: a PROXY header.
///
/// # Errors
/// [`Fault::Connect`], [`Fault::ConnectTimeout`] or [`Fault::Tls`].
pub async fn connect(
    address: &Endpoint,
    tls: Option<&ClientTls>,
    hello: Option<&[u8]>,
    limit: Duration,
    timer: &Timer,
) -> Result<Connection, Fault> {
    let deadline = timer.deadline();
    let stream = deadline
        .within(limit, open(address, tls, hello))
        .await
        .map_err(|_| Fault::ConnectTimeout)??;
    Ok(Connection {
        io: Buffered::new(stream, BytesMut::new()),
        deadline,
    })
}

async fn open(address: &Endpoint, tls: Option<&ClientTls>, hello: Option<&[u8]>) -> Result<Stream, Fault> {
    let mut socket = dial(address).await.map_err(Fault::Connect)?;
    if let Some(hello) = hello {
        socket.write_all(hello).await.map_err(Fault::Connect)?;
    }
    let Some(tls) = tls else {
        return Ok(Stream::Plain(socket));
    };
    let stream = TlsConnector::from(tls.config.clone())
        .connect(tls.name.clone(), socket)
        .await;
    stream
        .map(|stream| Stream::TlsClient(Box::new(stream)))
        .map_err(|error| Fault::Tls(error.to_string()))
}

/// A connection in clear.
///
/// # Errors
/// When none can be made.
pub async fn dial(address: &Endpoint) -> io::Result<Socket> {
    let socket = match address {
        Endpoint::Tcp(address) => Socket::Tcp(TcpStream::connect(address).await?),
        Endpoint::Unix(path) => Socket::Unix(UnixStream::connect(path).await?),
    };
    if !descriptors::have_room_for_server(socket.as_fd().as_raw_fd()) {
        return Err(io::Error::from_raw_os_error(libc::EMFILE));
    }
    socket.set_nodelay();
    Ok(socket)
}
