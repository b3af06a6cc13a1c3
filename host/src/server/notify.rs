//! What systemd is told about the process (sd_notify(3)); nothing where nobody asks, as `NOTIFY_SOCKET` says.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Connections are accepted.
    Ready,
    /// The configuration is being read again; [`Event::Ready`] ends it.
    Reloading,
    /// The process ends.
    Stopping,
    /// Another process serves in place of this one.
    ReplacedBy(u32),
}

/// Tells systemd, where it wants to know.
pub fn tell(event: Event) {
    if let Some(to) = std::env::var_os("NOTIFY_SOCKET")
        && let Err(error) = send(to.as_bytes(), &text(event))
    {
        tracing::warn!(%error, ?event, "cannot notify systemd");
    }
}

fn text(event: Event) -> String {
    match event {
        Event::Ready => "READY=1".to_owned(),
        Event::Reloading => format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_micros()),
        Event::Stopping => "STOPPING=1".to_owned(),
        Event::ReplacedBy(process) => format!("MAINPID={process}\nREADY=1"),
    }
}

/// The clock by which systemd tells a reload's messages from earlier ones (systemd.service(5), `notify-reload`).
fn monotonic_micros() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a `timespec` that lives through the call, which is all that the call asks for.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) } != 0;
    if failed {
        return 0;
    }
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000
}

/// A name that begins with `@` is abstract: it lies in no folder.
fn send(to: &[u8], text: &str) -> io::Result<()> {
    let address = match to.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(to))?,
    };
    UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_socket_with_a_path_and_an_abstract_one_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("weir-test-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
        for (socket, to) in [
            (UnixDatagram::bind(&path).unwrap(), path.as_os_str().as_bytes().to_vec()),
            (
                UnixDatagram::bind_addr(&abstract_name).unwrap(),
                format!("@{name}").into_bytes(),
            ),
        ] {
            send(&to, &text(Event::ReplacedBy(7))).unwrap();
            let mut buffer = [0; 64];
            let length = socket.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"MAINPID=7\nREADY=1");
        }
    }
}
