//! Listening sockets. An address has one socket a worker (`SO_REUSEPORT`), so that the kernel spreads connections and no
//! worker waits for another; Unix sockets and those that systemd passes are one, which the workers share.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::inherited::{Inherited, Listening};
use crate::config::{Endpoint, IpVersions, Listener, Place, SocketOptions};

/// Connections that the kernel holds for a worker that is busy.
const BACKLOG: i32 = 4096;

/// An address with its sockets.
#[derive(Debug)]
pub struct Bound {
    /// What was got: the port, where 0 was asked for.
    pub address: Endpoint,
    /// One a worker, or one for all.
    pub sockets: Vec<Listening>,
}

/// Binds one of a listener's places for so many workers. A name of systemd's may stand for several sockets.
///
/// # Errors
/// With the address, when it cannot be bound.
pub fn bind(listener: &Listener, place: &Place, workers: usize, inherited: &Inherited) -> anyhow::Result<Vec<Bound>> {
    let handed = inherited.take_handed(&listener.name, place);
    let bound = match place {
        Place::Bind(_) if !handed.is_empty() => adopt(handed, listener.socket, workers),
        Place::Bind(Endpoint::Tcp(address)) => bind_tcp(*address, listener.socket, workers).map(|bound| vec![bound]),
        Place::Bind(Endpoint::Unix(path)) => bind_unix(path, listener.socket.mode).map(|bound| vec![bound]),
        Place::Systemd(name) => passed(name, inherited),
    };
    bound.map_err(|error| anyhow::anyhow!("listener {}: cannot listen on {place}: {error}", listener.name))
}

/// Goes on with the sockets of the process that this one replaces. Where there are fewer workers now, all of them share what is
/// over: in each socket connections may wait.
fn adopt(handed: Vec<Listening>, options: SocketOptions, workers: usize) -> io::Result<Vec<Bound>> {
    let mut sockets = handed.into_iter();
    let mut own: Vec<_> = sockets.by_ref().take(workers.max(1)).collect();
    let Some(address) = own.first().map(Listening::endpoint).transpose()? else {
        return Ok(Vec::new());
    };
    if let Endpoint::Tcp(address) = address {
        while own.len() < workers {
            own.push(Listening::Tcp(open(address, options)?.into()));
        }
    }
    let bound = |sockets| Bound {
        address: address.clone(),
        sockets,
    };
    let over: Vec<_> = sockets.map(|socket| bound(vec![socket])).collect();
    Ok(std::iter::once(bound(own)).chain(over).collect())
}

fn bind_tcp(address: SocketAddr, options: SocketOptions, workers: usize) -> io::Result<Bound> {
    if address.port() != 0 {
        refuse_if_taken(address, options)?;
    }
    let first = open(address, options)?;
    let address = first.local_addr()?.as_socket().unwrap_or(address);
    let mut sockets = vec![Listening::Tcp(first.into())];
    while sockets.len() < workers.max(1) {
        sockets.push(Listening::Tcp(open(address, options)?.into()));
    }
    Ok(Bound {
        address: address.into(),
        sockets,
    })
}

/// With `SO_REUSEPORT` two processes of one user can share a port without noticing, and each gets half of the
/// connections. An address on which another process listens is refused by trying it without.
fn refuse_if_taken(address: SocketAddr, options: SocketOptions) -> io::Result<()> {
    tcp_socket(address, options)?.bind(&address.into())
}

fn open(address: SocketAddr, options: SocketOptions) -> io::Result<Socket> {
    let socket = tcp_socket(address, options)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn tcp_socket(address: SocketAddr, options: SocketOptions) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(options.v6 == IpVersions::OnlyV6)?;
    }
    Ok(socket)
}

fn bind_unix(path: &Path, mode: u32) -> io::Result<Bound> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // Before it listens nobody can connect, so there is no moment with other permissions.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    Ok(Bound {
        address: Endpoint::Unix(path.into()),
        sockets: vec![Listening::Unix(socket.into())],
    })
}

/// A socket's file outlives the process that listened on it. One on which nobody listens is in the way, and removed; anything
/// else stays, and binding then says that the address is in use.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Ok(()),
    }
}

fn passed(name: &str, inherited: &Inherited) -> io::Result<Vec<Bound>> {
    let sockets = inherited.named(name)?;
    if sockets.is_empty() {
        let known: Vec<_> = inherited.names().map(|name| format!("`{name}`")).collect();
        let known = if known.is_empty() {
            "it passed none".to_owned()
        } else {
            format!("it passed {}", known.join(", "))
        };
        return Err(io::Error::other(format!(
            "systemd has passed no socket of this name; {known}"
        )));
    }
    let bound = |socket: Listening| {
        Ok(Bound {
            address: socket.endpoint()?,
            sockets: vec![socket],
        })
    };
    sockets.into_iter().map(bound).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let living = UnixListener::bind(&path).unwrap();
        assert_eq!(bind_unix(&path, 0o600).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(living);
        let bound = bind_unix(&path, 0o640).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(bound.sockets.len(), 1);
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_file_that_is_no_socket_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "mine").unwrap();
        assert!(bind_unix(&path, 0o600).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }
}
