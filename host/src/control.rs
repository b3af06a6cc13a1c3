//! The one place that changes what runs.
//!
//! An activation (a reload, a deployment, a rollback, a changed plugin setting) makes a candidate off the serving path, and
//! only a candidate that is complete is switched to, by storing one pointer. Workers notice at their next request; requests
//! that run keep the snapshot that they started with. A candidate that fails changes nothing.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::admin::Operations;
use crate::cache::Cache;
use crate::config::{self, Config};
use crate::plugin::Generation;
use crate::server::listeners::Listeners;
use crate::server::tls;
use crate::snapshot::Snapshot;
use crate::telemetry::{AccessLog, Probe, Registry, running};
use crate::upstream::health::{Servers, checker::Checker};

/// What controls a running Weir; shared by workers, the admin API and signals.
pub struct Control {
    snapshot: ArcSwap<Snapshot>,
    /// The snapshot's serial, where workers can look at it without touching a reference count.
    serial: AtomicU64,
    /// One activation at a time.
    activation: Mutex<()>,
    metrics: Arc<Registry>,
    access_log: AccessLog,
    cache: Arc<Cache>,
    /// Keeps the cache's metrics shown.
    _cache_metrics: Vec<Probe>,
    checker: Checker,
    listeners: Listeners,
    draining: AtomicBool,
    started: SystemTime,
}

impl Control {
    /// Prepares everything that a valid configuration asks for, and binds its listeners.
    ///
    /// # Errors
    /// When a socket, a file or the active bundle is not to be had.
    pub fn new(config: Config) -> anyhow::Result<Arc<Self>> {
        let metrics = Registry::new();
        let access_log = AccessLog::new(&config.access_log, &metrics)?;
        let cache = Cache::new(&config.cache);
        let checker = Checker::start(metrics.clone())?;
        let listeners = Listeners::bind(&config.listeners, config.workers)?;
        let snapshot = assemble(1, Arc::new(config), Arc::new(Generation::empty()), None)?;
        checker.watch(snapshot.health.clone());
        let control = Arc::new(Self {
            serial: AtomicU64::new(snapshot.serial),
            snapshot: ArcSwap::from_pointee(snapshot),
            activation: Mutex::new(()),
            _cache_metrics: cache.expose(&metrics),
            metrics,
            access_log,
            cache,
            checker,
            listeners,
            draining: AtomicBool::new(false),
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

    /// Where clients can connect, with real ports.
    #[must_use]
    pub fn addresses(&self) -> Vec<(Arc<str>, SocketAddr)> {
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
        )?;
        self.access_log.reconfigure(&snapshot.config.access_log)?;
        self.cache.reconfigure(&snapshot.config.cache);
        self.listeners.commit(listeners);
        Ok(self.switch(snapshot))
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
) -> anyhow::Result<Snapshot> {
    let mut health = Vec::new();
    let mut client_tls = Vec::new();
    for upstream in &config.upstreams {
        let tls = upstream.tls.as_ref().map(tls::client_config).transpose()?;
        let known = before.and_then(|before| {
            before
                .health
                .iter()
                .find(|servers| *servers.upstream() == upstream.name)
        });
        health.push(Servers::new(upstream, tls.clone(), known.map(AsRef::as_ref)));
        client_tls.push(tls);
    }
    Ok(Snapshot {
        serial,
        config,
        plugins,
        health,
        client_tls,
    })
}

/// What the operator's port does.
impl Operations for Control {
    fn ready(&self) -> bool {
        !self.is_draining()
    }

    fn status(&self) -> Value {
        let snapshot = self.current();
        let listeners: Vec<_> = self
            .addresses()
            .iter()
            .map(|(name, address)| json!({ "name": &**name, "address": address }))
            .collect();
        let upstreams: Vec<_> = snapshot.health.iter().map(|servers| servers.status()).collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "snapshot": snapshot.serial,
            "listeners": listeners,
            "upstreams": upstreams,
            "cache": self.cache.stats(),
            "draining": self.is_draining(),
        })
    }

    fn metrics(&self) -> String {
        self.metrics.render()
    }

    fn token(&self) -> Option<String> {
        self.current().config.admin.token.clone()
    }

    fn reload(&self) -> Result<Value, String> {
        let serial = Self::reload(self).map_err(|error| format!("{error:#}"))?;
        Ok(json!({ "snapshot": serial }))
    }

    fn deploy(&self, _bundle: &Path) -> Result<Value, String> {
        Err("plugins have not landed".into())
    }

    fn patch_plugin(&self, _plugin: &str, _patch: &Value) -> Result<Value, String> {
        Err("plugins have not landed".into())
    }

    fn rollback(&self, _generation: Option<u64>) -> Result<Value, String> {
        Err("plugins have not landed".into())
    }
}
