//! What the operator's port does.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{Activation, Control};
use crate::admin::{CacheCall, Operations};
use crate::server::notify::{self, Event};
use crate::telemetry::families;

impl Operations for Control {
    fn ready(&self) -> bool {
        !self.is_draining()
    }

    fn status(&self) -> Value {
        let snapshot = self.current();
        let history = self.history();
        let deployed = history
            .iter()
            .find(|entry| entry.number == snapshot.plugins.number())
            .map(|entry| entry.deployed);
        let listeners: Vec<_> = self
            .addresses()
            .iter()
            .map(|(name, address)| json!({ "name": &**name, "address": address }))
            .collect();
        let upstreams: Vec<_> = snapshot.health.iter().map(|servers| servers.status()).collect();
        let history: Vec<_> = history
            .iter()
            .map(|entry| {
                json!({
                    "number": entry.number,
                    "name": entry.bundle,
                    "version": entry.version,
                    "digest": entry.digest,
                    "activated_at": timestamp(entry.deployed),
                })
            })
            .collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "snapshot": snapshot.serial,
            "generation": {
                "number": snapshot.plugins.number(),
                "bundle": snapshot.plugins.bundle(),
                "version": snapshot.plugins.version(),
                "since": deployed.map(timestamp),
            },
            "plugins": snapshot.plugins.status(),
            "listeners": listeners,
            "upstreams": upstreams,
            "cache": self.cache().stats(),
            "history": history,
            "draining": self.is_draining(),
        })
    }

    fn metrics(&self) -> String {
        self.metrics().render()
    }

    fn token(&self) -> Option<String> {
        self.current().config.admin.token.clone()
    }

    fn reload(&self) -> Result<Value, String> {
        notify::tell(Event::Reloading);
        let reloaded = self.attempt("reload", || {
            Self::reload(self).map(|serial| json!({ "snapshot": serial }))
        });
        notify::tell(Event::Ready);
        reloaded
    }

    fn deploy(&self, bundle: &Path) -> Result<Value, String> {
        self.attempt("deploy", || Self::deploy(self, bundle).map(activated))
    }

    fn patch_plugin(&self, plugin: &str, patch: &Value) -> Result<Value, String> {
        self.attempt("patch", || Self::patch_plugin(self, plugin, patch).map(activated))
    }

    fn cache(&self, call: &CacheCall) -> Result<Value, String> {
        self.cache_call(call)
    }

    fn rollback(&self, generation: Option<u64>) -> Result<Value, String> {
        self.attempt("rollback", || Self::rollback(self, generation).map(activated))
    }
}

impl Control {
    /// Counts an attempt by its result, and makes its error a sentence.
    fn attempt(&self, change: &str, run: impl FnOnce() -> anyhow::Result<Value>) -> Result<Value, String> {
        let result = run();
        let word = if result.is_ok() { "activated" } else { "refused" };
        self.metrics()
            .shared_counter(&families::ACTIVATIONS, &[change, word])
            .increment();
        result.map_err(|error| format!("{error:#}"))
    }
}

fn activated(activation: Activation) -> Value {
    json!({
        "generation": activation.generation,
        "bundle": activation.bundle,
        "version": activation.version,
    })
}

/// RFC 3339.
fn timestamp(seconds: u64) -> String {
    let time = UNIX_EPOCH + Duration::from_secs(seconds);
    jiff::Timestamp::try_from(time).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}
