//! A socket, in clear or through TLS, towards either side.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::buffer::FilePart;

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

fn send_file(socket: BorrowedFd<'_>, part: &FilePart) -> io::Result<usize> {
    let mut offset = libc::off_t::try_from(part.offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: both descriptors are open for the call, and `offset` is a valid `off_t` that outlives it; no other memory is
    // touched.
    let sent = unsafe { libc::sendfile(socket.as_raw_fd(), part.file.as_raw_fd(), &raw mut offset, part.length) };
    // Less than zero is the only value that does not fit.
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

delegate!(Socket, each_socket);
delegate!(Stream, each);

impl Stream {
    /// Sends some of a file's bytes; ready with their number, which is 0 where the file ends before the part does. A stream
    /// that is not in clear has no way to.
    pub fn poll_send_file(&self, cx: &mut Context<'_>, part: &FilePart) -> Poll<io::Result<usize>> {
        let Self::Plain(socket) = self else {
            return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
        };
        loop {
            each_socket!(socket, stream => ready!(stream.poll_write_ready(cx)))?;
            let mut some = 0;
            let send = || match send_file(socket.as_fd(), part)? {
                // The socket is full: said so, its readiness is waited for without asking it once more.
                sent if sent > 0 && sent < part.length => {
                    some = sent;
                    Err(io::ErrorKind::WouldBlock.into())
                }
                sent => Ok(sent),
            };
            let sent = each_socket!(socket, stream => stream.try_io(Interest::WRITABLE, send));
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && some > 0 => return Poll::Ready(Ok(some)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
        }
    }

    /// Sends bytes that a part of a file follows at once: the system is told, so that a head does not go out in a packet of its own,
    /// which would wake the client for nothing. A stream that is not in clear has no way to.
    pub fn poll_send_more(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let Self::Plain(socket) = self else {
            return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
        };
        loop {
            each_socket!(socket, stream => ready!(stream.poll_write_ready(cx)))?;
            let send = || SockRef::from(socket).send_with_flags(data, libc::MSG_MORE | libc::MSG_NOSIGNAL);
            match each_socket!(socket, stream => stream.try_io(Interest::WRITABLE, send)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
        }
    }

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
