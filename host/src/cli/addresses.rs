//! `weir run --addresses FILE`: where Weir really listens, for whoever asked for port 0.
//!
//! One line a socket, written once everything is bound and before `/readyz` turns green: `listener ADDRESS NAME` for each
//! address of each listener, in the order of the configuration (`unix:PATH` for a Unix socket), and `admin ADDRESS` where the admin API is on. The file appears whole or not
//! at all.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use crate::config::Endpoint;

/// The addresses that are bound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Each listener's name and real address.
    pub listeners: Vec<(Arc<str>, Endpoint)>,
    /// The admin API's real address.
    pub admin: Option<SocketAddr>,
}

impl Addresses {
    /// Writes the file beside its place and renames it, so that a reader never sees half of it.
    ///
    /// # Errors
    /// When the file cannot be written or renamed.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        let mut aside = file.as_os_str().to_owned();
        aside.push(".new");
        std::fs::write(&aside, self.render())?;
        std::fs::rename(&aside, file)
    }

    /// Reads the file back.
    ///
    /// # Errors
    /// When the file cannot be read, or is not one that [`write`](Self::write) has written.
    pub fn read(file: &Path) -> io::Result<Self> {
        let text = std::fs::read_to_string(file)?;
        Self::parse(&text).ok_or_else(|| io::Error::other(format!("{}: not a file of addresses", file.display())))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut addresses = Self::default();
        for line in text.lines() {
            match line.split_once(' ')? {
                ("listener", rest) => {
                    let (address, name) = rest.split_once(' ')?;
                    addresses.listeners.push((name.into(), address.parse().ok()?));
                }
                ("admin", address) => addresses.admin = Some(address.parse().ok()?),
                _ => return None,
            }
        }
        Some(addresses)
    }

    fn render(&self) -> String {
        let mut text = String::new();
        for (name, address) in &self.listeners {
            let _ = writeln!(text, "listener {address} {name}");
        }
        if let Some(address) = self.admin {
            let _ = writeln!(text, "admin {address}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn one_line_a_socket_in_the_order_of_the_configuration() {
        let addresses = Addresses {
            listeners: vec![
                ("public".into(), "127.0.0.1:8080".parse().unwrap()),
                ("[::1]:8443".into(), "[::1]:8443".parse().unwrap()),
            ],
            admin: Some("127.0.0.1:9180".parse().unwrap()),
        };
        assert_eq!(
            addresses.render(),
            "listener 127.0.0.1:8080 public\nlistener [::1]:8443 [::1]:8443\nadmin 127.0.0.1:9180\n"
        );
        assert_eq!(Addresses::parse(&addresses.render()), Some(addresses));
        assert_eq!(Addresses::parse("listener nowhere public\n"), None);
    }
}
