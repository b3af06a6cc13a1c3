//! HAProxy, the real one, as a peer of the proxy on either side.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

/// HAProxy with a configuration, on a port of its own, until it is dropped.
#[derive(Debug)]
pub struct Haproxy {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Haproxy {
    /// Starts it with these sections besides the defaults; its port is what `bind fd@0` takes.
    pub fn start(sections: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("haproxy.cfg");
        let text = format!(
            "defaults\n mode http\n timeout connect 60s\n timeout client 60s\n timeout server 60s\n timeout tunnel 60s\n{sections}\n"
        );
        std::fs::write(&file, text).expect("write haproxy.cfg");
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("its address");
        let child = Command::new("haproxy")
            .args(["-db", "-f"])
            .arg(&file)
            .stdin(OwnedFd::from(socket))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("haproxy (.ci/run installs it)");
        Self {
            child,
            address,
            _folder: folder,
        }
    }

    /// Where it listens: connections wait there until it is ready.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
