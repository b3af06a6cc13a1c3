//! The plugins of one bundle, ready to run.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde::Serialize;

use super::custom::{CustomMetrics, Gauges};
use super::failure::FailureLog;
use super::instance::Mould;
use super::interest::Interest;
use super::shared::clock::Clock;
use super::shared::counters::Space;
use super::shared::kv::{Budget, Namespace};
use super::state::{NamedSpace, NamedTable, PerSecond, Services, Shown};
use super::{Cause, Phase};
use crate::bundle::manifest::{DataFile, Match};
use crate::bundle::{CounterSpace, Limits, OnFailure};
use crate::telemetry::{Registry, families};

/// The plugins of one bundle, compiled, configured and linked: immutable and shared by all workers.
pub struct Generation {
    number: u64,
    bundle: String,
    version: String,
    pub(super) plugins: Vec<Arc<Plugin>>,
    /// Where calls are counted.
    pub(super) registry: Arc<Registry>,
}

/// How one plugin of a generation does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PluginStatus {
    /// Its name in the bundle.
    pub name: String,
    /// The phases in which it is called.
    pub phases: Vec<&'static str>,
    /// `snapshot`: instances begin with the configured memory. `configured`: each instance is configured when it is made.
    pub start: &'static str,
    /// Why it could not be a snapshot.
    pub start_reason: Option<String>,
    /// Calls that returned, since the generation was activated.
    pub calls: u64,
    /// CPU time of all calls, in nanoseconds.
    pub cpu_nanos: u64,
    /// Calls that failed, by cause; causes without one are left out.
    pub failures: BTreeMap<&'static str, u64>,
    /// Instances that exist, of all workers.
    pub instances: u64,
}

impl Generation {
    /// A generation without plugins.
    #[must_use]
    pub fn empty() -> Self {
        Self::new(0, "", "", Vec::new(), Registry::new())
    }

    pub(super) fn new(
        number: u64,
        bundle: &str,
        version: &str,
        plugins: Vec<Arc<Plugin>>,
        registry: Arc<Registry>,
    ) -> Self {
        Self {
            number,
            bundle: bundle.to_owned(),
            version: version.to_owned(),
            plugins,
            registry,
        }
    }

    /// Counts the bundles that were deployed; 0 for none.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The bundle's name; empty for none.
    #[must_use]
    pub fn bundle(&self) -> &str {
        &self.bundle
    }

    /// The bundle's version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How each plugin does, in the bundle's order.
    #[must_use]
    pub fn status(&self) -> Vec<PluginStatus> {
        self.plugins.iter().map(|plugin| plugin.status()).collect()
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.plugins.iter().map(|plugin| &*plugin.name).collect();
        f.debug_struct("Generation")
            .field("number", &self.number)
            .field("plugins", &names)
            .finish_non_exhaustive()
    }
}

/// A plugin of a generation.
pub(super) struct Plugin {
    pub(super) name: Arc<str>,
    pub(super) mould: Mould,
    pub(super) matcher: Match,
    pub(super) interest: Interest,
    pub(super) limits: Limits,
    pub(super) on_failure: OnFailure,
    pub(super) failures: FailureLog,
    pub(super) start: Start,
    pub(super) resources: Resources,
    /// What each worker counts or has counted.
    pub(super) tallies: Mutex<Vec<Arc<Tally>>>,
    /// Whether it can park what it keeps of an exchange.
    pub(super) parks: bool,
}

/// How instances of a plugin begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Start {
    /// With the configured memory.
    Snapshot,
    /// With a call of `configure`, for this reason.
    Configured(String),
}

/// What a plugin has that outlives an exchange.
#[derive(Clone)]
pub(super) struct Resources {
    pub(super) tables: Arc<[NamedTable]>,
    pub(super) spaces: Vec<NamedSpace>,
    pub(super) kv: Arc<Namespace>,
    pub(super) gauges: Arc<Gauges>,
    pub(super) data: Arc<BTreeMap<String, DataFile>>,
    /// As the manifest declares them.
    pub(super) declared: Vec<CounterSpace>,
}

impl Resources {
    /// The same tables and files, with counters and values of their own: what happens to them leaves no trace.
    pub(super) fn apart(&self) -> Self {
        /// Enough for any test.
        const KV_BYTES: u64 = 1 << 20;
        let space = |space: &CounterSpace| NamedSpace {
            name: space.name.clone(),
            space: Space::new(space.entries.min(10_000)),
        };
        Self {
            spaces: self.declared.iter().map(space).collect(),
            kv: Namespace::new(&Budget::new(KV_BYTES)),
            gauges: Arc::default(),
            ..self.clone()
        }
    }

    /// What the instances of one worker use.
    pub(super) fn services(&self, name: &str, limits: &Limits, clock: Clock, registry: &Arc<Registry>) -> Services {
        Services {
            name: name.into(),
            clock,
            tables: Arc::clone(&self.tables),
            spaces: self.spaces.clone(),
            kv: Arc::clone(&self.kv),
            metrics: CustomMetrics::new(name, registry, Arc::clone(&self.gauges)),
            log: PerSecond::new(
                limits.log_lines,
                registry.shared_counter(&families::PLUGIN_LOG_DROPPED, &[name]),
            ),
            refused: (limits.refused > 0).then(|| {
                let counter = |result| registry.shared_counter(&families::PLUGIN_REFUSED, &[name, result]);
                Shown {
                    limit: PerSecond::new(limits.refused, counter("dropped")),
                    count: counter("shown"),
                }
            }),
            data: Arc::clone(&self.data),
        }
    }
}

impl Plugin {
    fn status(&self) -> PluginStatus {
        let tallies = self.tallies.lock();
        let sum = |read: &dyn Fn(&Tally) -> u64| tallies.iter().map(|tally| read(tally)).sum::<u64>();
        let failures = Cause::ALL
            .into_iter()
            .map(|cause| (cause.as_str(), sum(&|tally| tally.failures(cause))));
        PluginStatus {
            name: self.name.to_string(),
            phases: self.mould.phases.iter().map(Phase::as_str).collect(),
            start: if self.start == Start::Snapshot {
                "snapshot"
            } else {
                "configured"
            },
            start_reason: match &self.start {
                Start::Snapshot => None,
                Start::Configured(reason) => Some(reason.clone()),
            },
            calls: sum(&|tally| tally.calls.load(Ordering::Relaxed)),
            cpu_nanos: sum(&|tally| tally.nanos.load(Ordering::Relaxed)),
            failures: failures.filter(|(_, count)| *count > 0).collect(),
            instances: sum(&|tally| tally.instances.load(Ordering::Relaxed)),
        }
    }
}

/// What one worker counts of a plugin. One thread writes.
#[derive(Debug, Default)]
pub(super) struct Tally {
    calls: AtomicU64,
    nanos: AtomicU64,
    failures: [AtomicU64; Cause::ALL.len()],
    instances: AtomicU64,
}

impl Tally {
    pub(super) fn called(&self, nanos: u64) {
        add(&self.calls, 1);
        add(&self.nanos, nanos);
    }

    pub(super) fn failed(&self, cause: Cause, nanos: u64) {
        add(&self.nanos, nanos);
        if let Some(count) = self.failures.get(cause as usize) {
            add(count, 1);
        }
    }

    pub(super) fn set_instances(&self, instances: u32) {
        self.instances.store(u64::from(instances), Ordering::Relaxed);
    }

    fn failures(&self, cause: Cause) -> u64 {
        self.failures
            .get(cause as usize)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

/// Adds without a lock prefix: there is one writer.
fn add(cell: &AtomicU64, by: u64) {
    cell.store(cell.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}
