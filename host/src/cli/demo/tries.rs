//! What to try in the demo: five lines for a shell, each with what it should show.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use serde::Serialize;

use crate::cli::addresses::Addresses;

/// Where the demo listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) http: SocketAddr,
    pub(super) https: SocketAddr,
    pub(super) admin: SocketAddr,
}

impl Places {
    /// Picks them by the names in the demo's configuration.
    pub(super) fn of(addresses: &Addresses) -> Option<Self> {
        let named = |wanted: &str| {
            addresses
                .listeners
                .iter()
                .find(|(name, _)| &**name == wanted)
                .and_then(|(_, address)| address.tcp())
        };
        Some(Self {
            http: named("http")?,
            https: named("https")?,
            admin: addresses.admin?,
        })
    }
}

/// A line for a shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Try {
    /// What it shows.
    pub(super) title: &'static str,
    /// The line.
    pub(super) command: String,
    /// Texts that its output holds, in this order.
    pub(super) shows: &'static [&'static str],
}

/// All of them, in an order in which they can be tried.
pub(super) fn all(places: &Places) -> Vec<Try> {
    let Places { http, admin, .. } = places;
    let maintenance = format!("http://{admin}/v1/plugins/maintenance/config");
    let switch = |mode: &str| format!("curl -s -X PATCH {maintenance} -d '{{\"mode\": \"{mode}\"}}'");
    vec![
        Try {
            title: "a page",
            command: format!("curl -s http://{http}/"),
            shows: &["<h1>Behind Weir</h1>"],
        },
        Try {
            title: "an attack, blocked by the waf plugin",
            command: format!("curl -si \"http://{http}/api/search?q=1'%20OR%20'1'='1'--\""),
            shows: &["HTTP/1.1 403 Forbidden"],
        },
        Try {
            title: "a redirect, with the rule that made it",
            command: format!("curl -si http://{http}/old-home"),
            shows: &["HTTP/1.1 301 Moved Permanently", "location: /"],
        },
        Try {
            title: "six requests where five in ten seconds are allowed: a 429, and when to come back",
            command: format!("curl -si \"http://{http}/api/limited?try=[1-6]\""),
            shows: &["HTTP/1.1 200 OK", "HTTP/1.1 429 Too Many Requests", "retry-after: "],
        },
        Try {
            title: "a maintenance page, switched on and off without a restart",
            command: format!(
                "{} && curl -si http://{http}/ && {} && curl -si http://{http}/",
                switch("on"),
                switch("off")
            ),
            shows: &[
                "HTTP/1.1 503 Service Unavailable",
                "HTTP/1.1 200 OK",
                "<h1>Behind Weir</h1>",
            ],
        },
    ]
}

/// Writes them beside the file's place and renames it, so that a reader never sees half of it.
pub(super) fn write(file: &Path, tries: &[Try]) -> io::Result<()> {
    let mut aside = file.as_os_str().to_owned();
    aside.push(".new");
    fs::write(&aside, serde_json::to_vec_pretty(tries)?)?;
    fs::rename(&aside, file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn there_are_five_lines_of_curl() {
        let places = Places {
            http: "127.0.0.1:1".parse().unwrap(),
            https: "127.0.0.1:2".parse().unwrap(),
            admin: "127.0.0.1:3".parse().unwrap(),
        };
        let tries = all(&places);
        assert_eq!(tries.len(), 5);
        for attempt in &tries {
            assert!(
                attempt.command.starts_with("curl ") && !attempt.command.contains('\n'),
                "{attempt:?}"
            );
            assert!(!attempt.shows.is_empty(), "{attempt:?}");
        }
    }

    #[test]
    fn they_are_written_as_json() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tries.json");
        let attempt = Try {
            title: "a page",
            command: "curl".to_owned(),
            shows: &["x"],
        };
        write(&file, &[attempt]).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        assert_eq!(
            read,
            serde_json::json!([{"title": "a page", "command": "curl", "shows": ["x"]}])
        );
    }
}
