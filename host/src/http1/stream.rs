//! A socket, in clear or through TLS, towards either side.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connected stream socket of the system.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Socket {
    /// Sends small writes at once. A socket that cannot be told so still works.
    pub fn set_nodelay(&self) {
        if let Self::Tcp(stream) = self {
            let _ = stream.set_nodelay(true);
        }
    }

    /// Weir's own end; a Unix socket has none.
    #[must_use]
    pub fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    /// What has arrived, left where it is; 0 is the end. Waits for the first byte.
    ///
    /// # Errors
    /// When the connection broke.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        // SAFETY: both have the same layout, and `recv` with `MSG_PEEK` writes only bytes that are initialised.
        let buffer = unsafe { &mut *(std::ptr::from_mut(buffer) as *mut [MaybeUninit<u8>]) };
        match self {
            Self::Tcp(stream) => {
                let peek = || SockRef::from(stream).peek(buffer);
                stream.async_io(Interest::READABLE, peek).await
            }
            Self::Unix(stream) => {
                let peek = || SockRef::from(stream).peek(buffer);
                stream.async_io(Interest::READABLE, peek).await
            }
        }
    }
}

/// A byte stream to a client or a server.
#[derive(Debug)]
pub enum Stream {
    /// In clear.
    Plain(Socket),
    /// TLS that Weir terminates.
    TlsServer(Box<tokio_rustls::server::TlsStream<Socket>>),
    /// TLS that Weir started.
    TlsClient(Box<tokio_rustls::client::TlsStream<Socket>>),
}

macro_rules! each_socket {
    ($socket:expr, $inner:ident => $call:expr) => {
        match $socket {
            Socket::Tcp($inner) => $call,
            Socket::Unix($inner) => $call,
        }
    };
}

macro_rules! each {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Plain($inner) => $call,
            Stream::TlsServer($inner) => $call,
            Stream::TlsClient($inner) => $call,
        }
    };
}

macro_rules! delegate {
    ($type:ty, $each:ident) => {
        impl AsyncRead for $type {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
                $each!(self.get_mut(), inner => Pin::new(inner).poll_read(cx, buf))
            }
        }

        impl AsyncWrite for $type {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                $each!(self.get_mut(), inner => Pin::new(inner).poll_write(cx, buf))
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                $each!(self.get_mut(), inner => Pin::new(inner).poll_write_vectored(cx, bufs))
            }

            fn is_write_vectored(&self) -> bool {
                $each!(self, inner => inner.is_write_vectored())
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                $each!(self.get_mut(), inner => Pin::new(inner).poll_flush(cx))
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                $each!(self.get_mut(), inner => Pin::new(inner).poll_shutdown(cx))
            }
        }
    };
}

delegate!(Socket, each_socket);
delegate!(Stream, each);

impl Stream {
    /// Makes the coming close a reset. A socket that cannot be told so is closed as usual.
    pub fn reset_on_close(&self) {
        let socket = match self {
            Self::Plain(socket) => socket,
            Self::TlsServer(stream) => stream.get_ref().0,
            Self::TlsClient(stream) => stream.get_ref().0,
        };
        if let Socket::Tcp(socket) = socket {
            let _ = SockRef::from(socket).set_linger(Some(std::time::Duration::ZERO));
        }
    }
}
