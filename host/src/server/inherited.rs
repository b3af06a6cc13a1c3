//! Listening sockets that somebody else has bound and passed to this process.
//!
//! systemd does so for a socket unit (sd_listen_fds_with_names(3)): `LISTEN_FDS` descriptors from 3 on, named in
//! `LISTEN_FDNAMES`, meant for the process `LISTEN_PID`. Connections that come while Weir starts or restarts wait in them.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use socket2::{SockRef, Type};

use super::handover::{Given, Sockets};
use crate::config::{Endpoint, Place};

/// The first descriptor that systemd passes (`SD_LISTEN_FDS_START`).
const FIRST: RawFd = 3;
/// More descriptors than any unit passes.
const MOST: RawFd = 4096;

/// What was passed. It stays here for the life of the process, so that a reload can still ask for it.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<(Arc<str>, Listening)>,
    /// What the process that this one replaces has given, each until it is used.
    handed: Mutex<Sockets>,
}

impl Inherited {
    /// Takes what systemd passed; nothing where it passed nothing. To be called once, before the process opens descriptors of
    /// its own: later calls find nothing.
    ///
    /// # Errors
    /// When a descriptor is no listening stream socket.
    pub fn from_systemd() -> io::Result<Self> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        let told = |name| std::env::var(name).unwrap_or_default();
        let ours = told("LISTEN_PID").parse() == Ok(std::process::id());
        if !ours || TAKEN.swap(true, Ordering::SeqCst) {
            return Ok(Self::default());
        }
        let count = told("LISTEN_FDS").parse::<RawFd>().unwrap_or(0).clamp(0, MOST);
        let names = told("LISTEN_FDNAMES");
        let mut names = names.split(':');
        let mut sockets = Vec::new();
        for descriptor in FIRST..FIRST + count {
            let name = names.next().unwrap_or("unknown");
            // SAFETY: the environment says that the parent opened this descriptor for this very process (`LISTEN_PID`), `TAKEN`
            // makes this the only owner, and a descriptor that is not open is caught by the checks that follow.
            let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
            let socket = Listening::from_descriptor(descriptor)
                .map_err(|error| io::Error::other(format!("the socket `{name}` passed by systemd: {error}")))?;
            sockets.push((name.into(), socket));
        }
        Ok(Self {
            sockets,
            handed: Mutex::default(),
        })
    }

    /// Adds what the process that this one replaces has given.
    #[must_use]
    pub fn with(mut self, handed: Sockets) -> Self {
        let (passed, handed_listeners) = handed
            .listeners
            .into_iter()
            .partition::<Vec<_>, _>(|given| given.place.starts_with(Self::SYSTEMD));
        for given in passed {
            let name = given.place.trim_start_matches(Self::SYSTEMD);
            self.sockets.push((name.into(), given.socket));
        }
        self.handed = Mutex::new(Sockets {
            listeners: handed_listeners,
            admin: handed.admin,
        });
        self
    }

    /// How a place of systemd's is written.
    const SYSTEMD: &str = "systemd:";

    /// The sockets that have been given for a place. A port that the system chose belongs to its listener.
    pub fn take_handed(&self, listener: &str, place: &Place) -> Vec<Listening> {
        let name = place.to_string();
        let chosen = matches!(place, Place::Bind(Endpoint::Tcp(address)) if address.port() == 0);
        let is_at = |given: &Given| match place {
            _ if chosen => given.place == name && given.listener == listener,
            Place::Bind(endpoint) => given.socket.endpoint().is_ok_and(|known| known == *endpoint),
            Place::Systemd(_) => false,
        };
        let mut handed = self.handed.lock();
        let (taken, left) = std::mem::take(&mut handed.listeners)
            .into_iter()
            .partition::<Vec<_>, _>(is_at);
        handed.listeners = left;
        taken.into_iter().map(|given| given.socket).collect()
    }

    /// The operator's socket, where one has been given.
    pub fn take_admin(&self) -> Option<TcpListener> {
        self.handed.lock().admin.take()
    }

    /// Handles of the sockets that were passed under this name.
    ///
    /// # Errors
    /// When the system gives no more descriptors.
    pub fn named(&self, name: &str) -> io::Result<Vec<Listening>> {
        let named = self.sockets.iter().filter(|(known, _)| **known == *name);
        named.map(|(_, socket)| socket.try_clone()).collect()
    }

    /// The names of everything that was passed.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sockets.iter().map(|(name, _)| &**name)
    }
}

/// A socket on which connections arrive.
#[derive(Debug)]
pub enum Listening {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

impl Listening {
    /// Checks what a descriptor is.
    ///
    /// # Errors
    /// When it is no socket that listens for streams, over TCP or a Unix socket with a path.
    pub fn from_descriptor(descriptor: OwnedFd) -> io::Result<Self> {
        let socket = SockRef::from(&descriptor);
        if socket.r#type()? != Type::STREAM || !socket.is_listener()? {
            return Err(io::Error::other("not a listening stream socket"));
        }
        let address = socket.local_addr()?;
        socket.set_cloexec(true)?;
        socket.set_nonblocking(true)?;
        if address.is_unix() {
            Ok(Self::Unix(descriptor.into()))
        } else if address.as_socket().is_some() {
            Ok(Self::Tcp(descriptor.into()))
        } else {
            Err(io::Error::other("neither TCP nor a Unix socket"))
        }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say, or a Unix socket has no path.
    pub fn endpoint(&self) -> io::Result<Endpoint> {
        match self {
            Self::Tcp(socket) => socket.local_addr().map(Endpoint::Tcp),
            Self::Unix(socket) => {
                let address = socket.local_addr()?;
                let path = address.as_pathname().map(Path::to_path_buf);
                path.map(|path| Endpoint::Unix(path.into()))
                    .ok_or_else(|| io::Error::other("a Unix socket without a path"))
            }
        }
    }

    /// Another handle of the same socket.
    ///
    /// # Errors
    /// When the system gives no more descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(socket) => socket.try_clone().map(Self::Tcp),
            Self::Unix(socket) => socket.try_clone().map(Self::Unix),
        }
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::TcpStream;

    use super::*;

    #[test]
    fn only_listening_stream_sockets_are_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connected = TcpStream::connect(address).unwrap();
        let taken = Listening::from_descriptor(listener.into()).unwrap();
        assert_eq!(taken.endpoint().unwrap(), Endpoint::Tcp(address));
        assert!(Listening::from_descriptor(connected.into()).is_err());
        let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(Listening::from_descriptor(datagrams.into()).is_err());
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(Listening::from_descriptor(file.into()).is_err());
    }

    #[test]
    fn a_unix_socket_is_known_by_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let taken = Listening::from_descriptor(listener.into()).unwrap();
        assert_eq!(taken.endpoint().unwrap(), Endpoint::Unix(path.into()));
    }
}
