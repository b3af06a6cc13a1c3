//! What the keys of `bundle.toml` mean.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Method};
use serde_json::Value;

use super::Name;
use crate::config::{HostPattern, PathPattern};

/// One plugin of a bundle, with everything that it needs.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Unique in the bundle; `[a-z0-9-]`.
    pub name: Name,
    /// The component's path in the bundle.
    pub component_path: String,
    /// The component.
    pub component: Bytes,
    /// The services that it may use beyond those that every plugin may.
    pub capabilities: Capabilities,
    /// What happens to an exchange when the plugin fails.
    pub on_failure: OnFailure,
    /// The exchanges that the plugin sees.
    pub matcher: Match,
    /// What it may use.
    pub limits: Limits,
    /// Given to `configure` as JSON.
    pub config: Value,
    /// In the order of the manifest, which is the order of their handles.
    pub tables: Vec<TableFile>,
    /// In the order of the manifest, which is the order of their indices.
    pub counters: Vec<CounterSpace>,
    /// Files that `configure` may read, by the name that the plugin knows.
    pub data: BTreeMap<String, DataFile>,
    /// Where things stand, for messages.
    pub places: Places,
}

impl Manifest {
    /// Every file that the plugin consists of.
    pub fn files(&self) -> impl Iterator<Item = (String, Bytes)> + '_ {
        let tables = self
            .tables
            .iter()
            .map(|table| (table.path.clone(), table.content.clone()));
        let data = self.data.values().map(|data| (data.path.clone(), data.content.clone()));
        std::iter::once((self.component_path.clone(), self.component.clone()))
            .chain(tables)
            .chain(data)
    }
}

/// Lines of the manifest that later problems point at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// The line of `[[plugin]]`.
    pub plugin: usize,
    /// The line of `component`.
    pub component: usize,
    /// The line of `capabilities`, or of `[[plugin]]` where there are none.
    pub capabilities: usize,
    /// The line of `[plugin.config]`, or of `[[plugin]]` where there is none.
    pub config: usize,
    /// The line of `[plugin.limits]`, or of `[[plugin]]` where there is none.
    pub limits: usize,
}

/// A service that has to be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// The time.
    Clock,
    /// Random numbers.
    Random,
    /// Metrics of its own.
    Metrics,
    /// Shared rate limits.
    Counters,
    /// Large read-only maps.
    Tables,
    /// A small shared store.
    Kv,
}

impl Capability {
    /// Every capability.
    pub const ALL: [Self; 6] = [
        Self::Clock,
        Self::Random,
        Self::Metrics,
        Self::Counters,
        Self::Tables,
        Self::Kv,
    ];

    /// Its name in manifests, which is the name of its interface in the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Random => "random",
            Self::Metrics => "metrics",
            Self::Counters => "counters",
            Self::Tables => "tables",
            Self::Kv => "kv",
        }
    }

    /// By its name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.as_str() == name)
    }
}

/// The interfaces that every plugin may use, so that they need not be granted.
pub(super) const ALWAYS_GRANTED: [&str; 7] = ["request", "response", "body", "reply", "log", "annotations", "data"];

/// What a plugin was granted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities(pub(super) BTreeSet<Capability>);

impl Capabilities {
    /// All of them.
    #[must_use]
    pub fn all() -> Self {
        Self(Capability::ALL.into())
    }

    /// Whether this one was granted.
    #[must_use]
    pub fn has(&self, capability: Capability) -> bool {
        self.0.contains(&capability)
    }
}

/// What happens to an exchange when a plugin fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// It goes on as if the plugin were not there.
    Open,
    /// It is refused.
    Closed,
}

/// What a plugin may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// CPU time of one call, 1 ms to 1 min. Default 50 ms.
    pub time: Duration,
    /// Bytes of memory of one instance, 1 MiB to 4 GiB. Default 64 MiB.
    pub memory: u64,
    /// Bytes of a body that may be held. Default 1 MiB, at most half of `memory`.
    pub body: u64,
    /// Instances that a worker may have at once, 1 to 65536. Default 256.
    pub instances: u32,
    /// Exchanges that an instance serves before it is replaced; 0 is no end, 1 gives each exchange a fresh one. Default 0.
    pub reuse: u32,
    /// Log lines per second and worker. Default 100.
    pub log_lines: u32,
    /// Requests per second and worker that Weir refuses by itself and the plugin is shown. Default 0: none.
    pub refused: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_millis(50),
            memory: 64 << 20,
            body: 1 << 20,
            instances: 256,
            reuse: 0,
            log_lines: 100,
            refused: 0,
        }
    }
}

/// The exchanges that a plugin sees: every given kind has to fit, and any entry of a kind does.
#[derive(Debug, Clone, Default)]
pub struct Match {
    /// The host. Empty means every host.
    pub hosts: Vec<HostPattern>,
    /// The path, as the client sent it. Empty means every path.
    pub paths: Vec<PathPattern>,
    /// The method. Empty means every method.
    pub methods: Vec<Method>,
    /// A header that is present. Empty means that none has to be.
    pub headers: Vec<HeaderName>,
    /// The route. Empty means every route.
    pub routes: Vec<String>,
}

/// A table that is loaded from a file of the bundle.
#[derive(Debug, Clone)]
pub struct TableFile {
    /// What the plugin calls it.
    pub name: String,
    /// How it is looked up.
    pub kind: TableKind,
    /// Its path in the bundle.
    pub path: String,
    /// CSV: a key or network, and perhaps a value.
    pub content: Bytes,
    /// Whether the first row names the columns.
    pub header: bool,
    /// What is looked for in the rows besides their form.
    pub check: TableCheck,
    /// The line of its `[[plugin.table]]`.
    pub line: usize,
}

/// What is looked for in a table's rows besides their form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TableCheck {
    /// Nothing.
    Form,
    /// Values are redirects, and none comes back to where it began.
    Redirects,
}

/// How a table is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TableKind {
    /// By the whole key.
    Exact,
    /// By the longest key that the given one starts with.
    Prefix,
    /// By the longest network that contains the address.
    Ip,
}

impl TableKind {
    /// The kind's name in manifests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Prefix => "prefix",
            Self::Ip => "ip",
        }
    }
}

/// A space of counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterSpace {
    /// What the plugin calls it.
    pub name: String,
    /// Keys that are remembered at most, 1 to 100 million. Default 100,000.
    pub entries: u64,
    /// The line of its `[[plugin.counters]]`.
    pub line: usize,
}

/// A file that `configure` may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Its path in the bundle.
    pub path: String,
    /// What is in it.
    pub content: Bytes,
}
