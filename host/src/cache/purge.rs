//! Purges: an operator, a publishing system or a `PURGE` request takes responses out of the cache.
//!
//! One URL is found by its hash. A prefix, a host, tags or everything are bans that Weir writes ([`super::bans`]).

use std::sync::Arc;
use std::time::SystemTime;

use super::Cache;
use super::bans::expression::quoted;
use super::bans::{Ban, Expression, Manner};
use super::key::Key;
use super::store::Store;
use crate::exchange::subject::Subject;

/// What is purged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All variants of one URL.
    Url(Address),
    /// Every URL of a host that begins with this path and query.
    Prefix(Address),
    /// Everything of a host.
    Host(Address),
    /// Everything with any of these tags (surrogate keys).
    Tags(Vec<String>),
    /// All there is.
    All,
}

/// A URL without its scheme: a page that is stored under `http://` and `https://` is purged as one. Where TLS ends before Weir,
/// an operator need not know which of them it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    /// With its colon; empty for a default one.
    port: String,
    target: String,
}

/// Who waits until everything has been tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sweep {
    /// The caller, which gets the whole count. Blocks for as long as looking at everything takes.
    Now,
    /// Nobody: a thread of its own does it.
    Behind,
}

/// Tags of one purge.
const MOST_TAGS: usize = 256;

impl Address {
    /// Reads `http://example.org/a?b`, `https://…` or `example.org/a?b`.
    ///
    /// # Errors
    /// What would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let rest = ["http://", "https://", "//"]
            .iter()
            .find_map(|scheme| {
                text.get(..scheme.len())
                    .filter(|start| start.eq_ignore_ascii_case(scheme))
            })
            .map_or(text, |scheme| &text[scheme.len()..]);
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.is_empty() || authority.contains('@') || !authority.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("`{text}` names no host: write http://example.org/path"));
        }
        if target.contains('#') || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!(
                "`{text}` is not a URL as it stands in a request: percent-encoded, and without a fragment"
            ));
        }
        let authority = authority.to_ascii_lowercase();
        let port = authority.rfind(':').filter(|colon| {
            let digits = &authority[colon + 1..];
            digits.bytes().all(|byte| byte.is_ascii_digit())
        });
        let (host, port) = authority.split_at(port.unwrap_or(authority.len()));
        Ok(Self {
            host: host.strip_suffix('.').unwrap_or(host).to_owned(),
            port: if matches!(port, ":" | ":80" | ":443") { "" } else { port }.to_owned(),
            target: if target.starts_with('/') {
                target.to_owned()
            } else {
                format!("/{target}")
            },
        })
    }

    /// What a request asks for.
    #[must_use]
    pub fn of(subject: &Subject) -> Self {
        Key::of(subject).to_address()
    }

    pub(super) fn new(host: &[u8], port: &[u8], target: &[u8]) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            host: text(host),
            port: text(port),
            target: text(target),
        }
    }

    /// What it can be stored under.
    pub(super) fn keys(&self) -> [Key<'_>; 2] {
        ["http", "https"].map(|scheme| Key::new(scheme, &self.host, &self.port, &self.target))
    }

    /// As a ban says it.
    fn host_term(&self) -> String {
        format!("req.http.host == {}", quoted(&format!("{}{}", self.host, self.port)))
    }
}

impl Cache {
    /// Purges, at once for all workers: no lookup that begins after it returns is answered by what was purged. Gives how many
    /// responses were removed or made stale before it returned.
    ///
    /// # Errors
    /// What is wrong with the selection.
    pub fn purge(self: &Arc<Self>, selection: &Selection, manner: Manner, sweep: Sweep) -> Result<u64, String> {
        let text = match selection {
            Selection::Url(address) => return Ok(self.purge_url(address, manner)),
            Selection::Prefix(address) => {
                let pattern = format!("^{}", regex::escape(&address.target));
                format!("{} && req.url ~ {}", address.host_term(), quoted(&pattern))
            }
            Selection::Host(address) => address.host_term(),
            Selection::Tags(tags) => tags_term(tags)?,
            Selection::All => "req.url ~ ^".to_owned(),
        };
        let ban = self.ban(Expression::parse(&text)?, manner, sweep);
        Ok(ban.matched())
    }

    /// Bans, at once for all workers.
    pub fn ban(self: &Arc<Self>, expression: Expression, manner: Manner, sweep: Sweep) -> Arc<Ban> {
        let ban = self.store.bans.add(expression, manner);
        match sweep {
            Sweep::Now => self.store.sweep(),
            Sweep::Behind => sweep_behind(&self.store),
        }
        ban
    }

    /// Sweeps for bans of an earlier process, if there are any.
    pub(super) fn go_on_sweeping(&self) {
        if self.store.bans.len() > 0 {
            sweep_behind(&self.store);
        }
    }

    /// The bans that are kept, oldest first.
    #[must_use]
    pub fn bans(&self) -> Vec<Arc<Ban>> {
        self.store.bans.list()
    }

    fn purge_url(&self, address: &Address, manner: Manner) -> u64 {
        let now = SystemTime::now();
        let purge = |key: Key<'_>| {
            let hash = key.hash(&self.random);
            if manner == Manner::Hard {
                for entry in self.store.variants(hash, &key) {
                    self.purge_slices(&key, &entry);
                }
            }
            self.store.purge(hash, &key, manner, now)
        };
        address.keys().map(purge).iter().sum()
    }
}

fn tags_term(tags: &[String]) -> Result<String, String> {
    if tags.len() > MOST_TAGS {
        return Err(format!("at most {MOST_TAGS} tags at once"));
    }
    if let Some(tag) = tags.iter().find(|tag| tag.trim().is_empty()) {
        return Err(format!("`{tag}` is no tag"));
    }
    match tags {
        [] => Err("no tag is given".to_owned()),
        [tag] => Ok(format!("obj.tag == {}", quoted(tag.trim()))),
        tags => {
            let tags: Vec<_> = tags.iter().map(|tag| regex::escape(tag.trim())).collect();
            Ok(format!("obj.tag ~ {}", quoted(&format!("^(?:{})$", tags.join("|")))))
        }
    }
}

/// Sweeps in a thread that ends with it. While one runs, it takes over what comes.
fn sweep_behind(store: &Arc<Store>) {
    if !store.bans.claim() {
        return;
    }
    let swept = Arc::clone(store);
    let run = move || {
        loop {
            let latest = swept.bans.latest();
            swept.sweep();
            swept.bans.rest();
            // One that came after the sweep had passed, and whose maker saw this thread at work.
            if swept.bans.latest() == latest || !swept.bans.claim() {
                return;
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().name("cache-sweep".to_owned()).spawn(run) {
        // The ban holds all the same; its memory comes back later.
        store.bans.rest();
        tracing::error!(%error, "no thread to sweep the cache with");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn addresses() {
        let address = |host: &str, port: &str, target: &str| Address {
            host: host.to_owned(),
            port: port.to_owned(),
            target: target.to_owned(),
        };
        for (text, expected) in [
            ("http://example.org/a?b", address("example.org", "", "/a?b")),
            ("HTTPS://Example.ORG", address("example.org", "", "/")),
            ("example.org?x", address("example.org", "", "/?x")),
            ("//example.org.:443/a", address("example.org", "", "/a")),
            ("example.org:8080/a", address("example.org", ":8080", "/a")),
            ("http://[::1]:8080/", address("[::1]", ":8080", "/")),
            ("http://[::1]/", address("[::1]", "", "/")),
        ] {
            assert_eq!(Address::parse(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "/a",
            "http:///a",
            "http://a b/",
            "http://a/b c",
            "http://a/#b",
            "http://u@a/",
            "http://a/ü",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn several_tags_are_one_ban() {
        let tags = |tags: &[&str]| tags_term(&tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>());
        assert_eq!(tags(&["a b"]).unwrap(), "obj.tag == \"a b\"");
        assert_eq!(tags(&["a.b", "c"]).unwrap(), "obj.tag ~ \"^(?:a\\.b|c)$\"");
        assert!(tags(&[]).is_err() && tags(&["a", " "]).is_err());
        assert!(tags(&["a"; MOST_TAGS + 1]).is_err());
    }
}
