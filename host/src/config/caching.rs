//! What the cache does where messages leave it open.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;
use http::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE};

/// The cache's disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskCache {
    /// A folder of its own.
    pub path: PathBuf,
    /// Bytes of disk space, in blocks of 4 KiB. Default 10 GiB.
    pub size: u64,
    /// Files, one an object. Default one million.
    pub max_files: u64,
    /// Smallest body stored, in bytes. Default 0.
    pub min_object: u64,
    /// Largest body stored, in bytes. Default 16 MiB.
    pub max_object: u64,
}

/// The operator's word on caching, for all routes or for one. What responses say themselves goes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheRules {
    /// Fields that speak to this cache alone, the first valid one instead of `Cache-Control` (RFC 9213). Default
    /// `Weir-Cache-Control`, `CDN-Cache-Control`, `Surrogate-Control`.
    pub targeted: Vec<HeaderName>,
    /// Heuristic freshness (RFC 9111 §4.2.2), in percent of the time since the last modification. Default 10.
    pub heuristic: u32,
    /// The longest heuristic freshness. Default one day.
    pub heuristic_most: Duration,
    /// Freshness of successes and redirects that say nothing of theirs, not even a last modification. Default 0: none.
    pub lifetime: Duration,
    /// Freshness of errors that say nothing of theirs. Default 0: none.
    pub negative: Duration,
    /// How long a stale response is served while it is asked about (RFC 5861 §3). Default 0: not.
    pub grace: Duration,
    /// How long a stale response is served in place of a 500, 502, 503 or 504 (RFC 5861 §4). Default 0: not.
    pub stale_if_error: Duration,
    /// How long a stale response is served when no server answers. Default one day.
    pub stale_if_unreachable: Duration,
    /// What becomes of responses that set cookies. Default [`SetCookie::Pass`].
    pub set_cookie: SetCookie,
    /// Request fields that `Vary` compares by their meaning. Default `Accept-Encoding` and `Accept-Language`.
    pub normalise: Vec<HeaderName>,
    /// What becomes of the query. Default [`Query::Exact`].
    pub query: Query,
    /// Parameters that are taken out of the query.
    pub ignore_query: Vec<ParameterPattern>,
}

impl Default for CacheRules {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self {
            targeted: vec![
                HeaderName::from_static("weir-cache-control"),
                HeaderName::from_static("cdn-cache-control"),
                HeaderName::from_static("surrogate-control"),
            ],
            heuristic: 10,
            heuristic_most: DAY,
            lifetime: Duration::ZERO,
            negative: Duration::ZERO,
            grace: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            stale_if_unreachable: DAY,
            set_cookie: SetCookie::Pass,
            normalise: vec![ACCEPT_ENCODING, ACCEPT_LANGUAGE],
            query: Query::Exact,
            ignore_query: Vec::new(),
        }
    }
}

/// What becomes of responses that set cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetCookie {
    /// They pass, and are not stored.
    Pass,
    /// They are stored like others, cookie and all: everybody gets it.
    Store,
}

/// What becomes of a GET's query before the cache is asked; the origin gets what is left, so that nothing that it sees is
/// missing in the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    /// Nothing.
    Exact,
    /// Its parameters are sorted.
    Sorted,
    /// It is taken away.
    Removed,
}

/// A parameter's name, or how it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterPattern {
    /// This name.
    Exact(String),
    /// All names that begin so (`utm_*`).
    Prefix(String),
}

impl ParameterPattern {
    /// Whether it is this name's.
    #[must_use]
    pub fn fits(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::Prefix(prefix) => name.starts_with(prefix.as_str()),
        }
    }
}
