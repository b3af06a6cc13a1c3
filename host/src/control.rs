//! The one place that changes what runs.
//!
//! An activation (a reload, a deployment, a rollback, a changed plugin setting) makes a candidate off the serving path, and
//! only a candidate that is complete is switched to, by storing one pointer. Workers notice at their next request; requests
//! that run keep the snapshot that they started with. A candidate that fails changes nothing.

mod cache;
mod operations;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

use anyhow::{Context as _, anyhow, bail};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde_json::Value;

use crate::bundle::history::{Entry, History};
use crate::bundle::{self, Bundle};
use crate::cache::Cache;
use crate::config::{self, Config, Endpoint};
use crate::exchange::budget::Budget;
use crate::plugin::{Generation, Runtime};
use crate::server::clients::Clients;
use crate::server::inherited::Inherited;
use crate::server::listeners::Listeners;
use crate::server::tls;
use crate::snapshot::Snapshot;
use crate::telemetry::{AccessLog, Probe, Registry, families, running};
use crate::upstream::gate::Gate;
use crate::upstream::health::{Servers, checker::Checker};

/// What controls a running Weir; shared by workers, the admin API and signals.
pub struct Control {
    snapshot: ArcSwap<Snapshot>,
    /// The snapshot's serial, where workers can look at it without touching a reference count.
    serial: AtomicU64,
    /// One activation at a time.
    activation: Mutex<()>,
    metrics: Arc<Registry>,
    _cache_metrics: Vec<Probe>,
    access_log: AccessLog,
    cache: Arc<Cache>,
    runtime: Arc<Runtime>,
    history: History,
    checker: Checker,
    listeners: Listeners,
    clients: Arc<Clients>,
    held_bodies: Budget,
    draining: AtomicBool,
    hasty: AtomicBool,
    started: SystemTime,
}

/// A bundle that was activated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// The generation's number.
    pub generation: u64,
    /// The bundle's name.
    pub bundle: String,
    /// The bundle's version.
    pub version: String,
}

impl Control {
    /// Prepares everything that a valid configuration asks for, loads the bundle that was active last, and binds the
    /// listeners.
    ///
    /// # Errors
    /// When a socket, a file or a bundle is not to be had.
    pub fn new(config: Config, inherited: Inherited) -> anyhow::Result<Arc<Self>> {
        let metrics = Registry::new();
        let access_log = AccessLog::new(&config.access_log, &metrics)?;
        let cache = Cache::new(&config.cache);
        let checker = Checker::start(metrics.clone())?;
        let runtime = Runtime::new(&config.plugins, metrics.clone())?;
        let history = History::open(&config.plugins.state, config.plugins.keep)?;
        let plugins = last_active(&runtime, &history, config.plugins.bundle.as_deref())?;
        // After the plugins: a client had better be refused than wait while they are compiled.
        let listeners = Listeners::bind(&config.listeners, config.workers, inherited)?;
        let snapshot = assemble(1, Arc::new(config), plugins, None, &metrics)?;
        checker.watch(snapshot.health.clone());
        let control = Arc::new(Self {
            serial: AtomicU64::new(snapshot.serial),
            snapshot: ArcSwap::from_pointee(snapshot),
            activation: Mutex::new(()),
            _cache_metrics: cache.expose(&metrics),
            metrics,
            access_log,
            cache,
            runtime,
            history,
            checker,
            listeners,
            clients: Clients::new(),
            held_bodies: Budget::default(),
            draining: AtomicBool::new(false),
            hasty: AtomicBool::new(false),
            started: SystemTime::now(),
        });
        running::expose(&control);
        Ok(control)
    }

    /// What is active.
    #[must_use]
    pub fn current(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The serial of what is active: a load, for every request.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial.load(Ordering::Acquire)
    }

    /// Every metric.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Registry> {
        &self.metrics
    }

    /// The access log.
    #[must_use]
    pub fn access_log(&self) -> &AccessLog {
        &self.access_log
    }

    /// The shared memory cache.
    #[must_use]
    pub fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    /// The sockets.
    #[must_use]
    pub fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    /// Everyone who is connected.
    #[must_use]
    pub fn clients(&self) -> &Arc<Clients> {
        &self.clients
    }

    /// Memory for bodies that are held.
    #[must_use]
    pub fn held_bodies(&self) -> &Budget {
        &self.held_bodies
    }

    /// When the process started serving.
    #[must_use]
    pub fn started(&self) -> SystemTime {
        self.started
    }

    /// Whether the process is ending.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// From now on `/readyz` says no, and workers finish what they have.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.listeners.drain();
    }

    /// Another process serves in place of this one.
    pub fn retire(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.listeners.retire();
    }

    /// A process that retires is to end as one that is stopped.
    pub fn hasten(&self) {
        self.hasty.store(true, Ordering::Relaxed);
    }

    /// Whether [`Control::hasten`] was called.
    #[must_use]
    pub fn is_hasty(&self) -> bool {
        self.hasty.load(Ordering::Relaxed)
    }

    /// Where clients can connect, with real ports.
    #[must_use]
    pub fn addresses(&self) -> Vec<(Arc<str>, Endpoint)> {
        self.listeners.addresses()
    }

    /// Reads the configuration file again and switches to it. Gives the new snapshot's serial.
    ///
    /// # Errors
    /// Everything that is wrong with the file, or the address that cannot be bound. Nothing changes.
    pub fn reload(&self) -> anyhow::Result<u64> {
        let _one_at_a_time = self.activation.lock();
        let before = self.current();
        let config = config::load(&before.config.source)?;
        let listeners = self.listeners.prepare(&config.listeners)?;
        let snapshot = assemble(
            before.serial + 1,
            Arc::new(config),
            before.plugins.clone(),
            Some(&before),
            &self.metrics,
        )?;
        self.access_log.reconfigure(&snapshot.config.access_log)?;
        self.cache.reconfigure(&snapshot.config.cache);
        self.listeners.commit(listeners);
        Ok(self.switch(snapshot))
    }

    /// Every file that TLS towards servers depends on.
    #[must_use]
    pub fn upstream_tls_files(&self) -> Vec<PathBuf> {
        let config = self.current().config.clone();
        let tls = config.upstreams.iter().filter_map(|upstream| upstream.tls.as_ref());
        tls.flat_map(|tls| tls.paths()).cloned().collect()
    }

    /// Reads those files again; connections that are made from now on use what was read. Where one cannot be read, everything
    /// stays as it is.
    pub fn reload_upstream_tls(&self) {
        let _one_at_a_time = self.activation.lock();
        let before = self.current();
        let uses_files =
            |upstream: &config::Upstream| upstream.tls.as_ref().is_some_and(|tls| tls.paths().next().is_some());
        if !before.config.upstreams.iter().any(uses_files) {
            return;
        }
        let (config, plugins) = (before.config.clone(), before.plugins.clone());
        match assemble(before.serial + 1, config, plugins, Some(&before), &self.metrics) {
            Ok(snapshot) => {
                self.switch(snapshot);
                tracing::info!("read the files of TLS towards servers again");
            }
            Err(error) => tracing::error!(%error, "keeping what TLS towards servers uses"),
        }
    }

    /// Activates the bundle in a folder or tar file.
    ///
    /// # Errors
    /// Everything that is wrong with it. Nothing changes.
    pub fn deploy(&self, path: &Path) -> anyhow::Result<Activation> {
        let _one_at_a_time = self.activation.lock();
        self.activate(&bundle::read(path)?)
    }

    /// Activates the current bundle with one plugin's configuration changed by a JSON merge patch (RFC 7396).
    ///
    /// # Errors
    /// When there is no bundle or no such plugin, or the plugin does not like the result. Nothing changes.
    pub fn patch_plugin(&self, plugin: &str, patch: &Value) -> anyhow::Result<Activation> {
        let _one_at_a_time = self.activation.lock();
        let Some(number) = self.history.current() else {
            bail!("no bundle is active; deploy one first")
        };
        let bundle = self.history.load(number)?.with_config_patch(plugin, patch)?;
        self.activate(&bundle)
    }

    /// Activates a generation that was active before: this one, or the newest one before the current.
    ///
    /// # Errors
    /// When there is none. Nothing changes.
    pub fn rollback(&self, to: Option<u64>) -> anyhow::Result<Activation> {
        let _one_at_a_time = self.activation.lock();
        let Some(current) = self.history.current() else {
            bail!("no bundle was ever deployed")
        };
        let earlier = || {
            let earlier = self.history.before(current);
            earlier
                .ok_or_else(|| anyhow!("generation {current} is the oldest that is kept; there is none to go back to"))
        };
        let number = to.map_or_else(earlier, Ok)?;
        let bundle = self.history.load(number)?;
        let plugins = self.runtime.load(&bundle, number)?;
        self.history.set_current(number)?;
        Ok(self.switch_plugins(plugins))
    }

    /// What a rollback can go to.
    #[must_use]
    pub fn history(&self) -> Vec<Entry> {
        self.history.entries()
    }

    fn activate(&self, bundle: &Bundle) -> anyhow::Result<Activation> {
        let number = self.history.next();
        let plugins = self.runtime.load(bundle, number)?;
        self.history.record(number, bundle)?;
        Ok(self.switch_plugins(plugins))
    }

    fn switch_plugins(&self, plugins: Arc<Generation>) -> Activation {
        let before = self.current();
        let activation = Activation {
            generation: plugins.number(),
            bundle: plugins.bundle().to_owned(),
            version: plugins.version().to_owned(),
        };
        self.switch(Snapshot {
            serial: before.serial + 1,
            config: before.config.clone(),
            plugins,
            health: before.health.clone(),
            gates: before.gates.clone(),
            client_tls: before.client_tls.clone(),
        });
        activation
    }

    fn switch(&self, snapshot: Snapshot) -> u64 {
        let serial = snapshot.serial;
        self.checker.watch(snapshot.health.clone());
        self.snapshot.store(Arc::new(snapshot));
        self.serial.store(serial, Ordering::Release);
        serial
    }
}

/// Puts a snapshot together. Servers that were there before keep what is known about them.
fn assemble(
    serial: u64,
    config: Arc<Config>,
    plugins: Arc<Generation>,
    before: Option<&Snapshot>,
    metrics: &Registry,
) -> anyhow::Result<Snapshot> {
    let mut health = Vec::new();
    let mut gates = Vec::new();
    let mut client_tls = Vec::new();
    for upstream in &config.upstreams {
        let tls = upstream.tls.as_ref().map(tls::upstream::client_config).transpose()?;
        let known = before.and_then(|before| {
            before
                .health
                .iter()
                .find(|servers| *servers.upstream() == upstream.name)
        });
        health.push(Servers::new(upstream, tls.clone(), known.map(AsRef::as_ref)));
        client_tls.push(tls);
        gates.push(gate(upstream, before, metrics));
    }
    Ok(Snapshot {
        serial,
        config,
        plugins,
        health,
        gates,
        client_tls,
    })
}

/// The gate of an upstream that has limits: the one that it had, with all who wait at it, where nothing has changed.
fn gate(upstream: &config::Upstream, before: Option<&Snapshot>, metrics: &Registry) -> Option<Arc<Gate>> {
    let (limits, servers) = (&upstream.concurrency, upstream.servers.len());
    if limits.is_off() {
        return None;
    }
    let known = before.and_then(|before| {
        let at = before
            .config
            .upstreams
            .iter()
            .position(|other| other.name == upstream.name)?;
        before
            .gates
            .get(at)?
            .clone()
            .filter(|gate| gate.is_for(limits, servers))
    });
    let fresh = || {
        let waiting = metrics.shared_gauge(&families::UPSTREAM_WAITING, &[&upstream.name]);
        Gate::new(limits.clone(), servers, waiting)
    };
    Some(known.unwrap_or_else(fresh))
}

/// The generation that was active when the process ended; where it cannot be loaded, the newest one that can, so that an edge
/// with one damaged file still comes up with its policy. Without any, the bundle that the configuration names.
fn last_active(runtime: &Runtime, history: &History, configured: Option<&Path>) -> anyhow::Result<Arc<Generation>> {
    let current = history.current();
    let others = history
        .entries()
        .into_iter()
        .map(|entry| entry.number)
        .filter(|number| Some(*number) != current);
    for number in current.into_iter().chain(others) {
        let loaded = history.load(number).and_then(|bundle| runtime.load(&bundle, number));
        match loaded {
            Ok(plugins) => {
                if current != Some(number) {
                    history.set_current(number)?;
                }
                return Ok(plugins);
            }
            Err(problems) => tracing::error!(generation = number, "cannot be activated again:\n{problems}"),
        }
    }
    let Some(path) = configured else {
        return Ok(Arc::new(Generation::empty()));
    };
    let bundle = bundle::read(path).with_context(|| format!("plugins.bundle = {:?}", path.display().to_string()))?;
    let number = history.next();
    let plugins = runtime.load(&bundle, number)?;
    history.record(number, &bundle)?;
    Ok(plugins)
}
