//! The metrics that a plugin has of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::telemetry::{Counter, Registry, SharedCounter, SharedGauge, families};

/// Names that a plugin may have, of counters and of gauges.
const NAMES: usize = 64;
/// Bytes of a name.
const NAME_BYTES: usize = 64;

/// One worker's side of a plugin's metrics. Its lock is never waited for: only the worker takes it.
pub(super) struct CustomMetrics {
    plugin: Arc<str>,
    registry: Arc<Registry>,
    counters: Mutex<BTreeMap<String, Counter>>,
    gauges: Arc<Gauges>,
    dropped: SharedCounter,
}

/// A plugin's gauges: whoever sets one last is right, so that all workers and generations share them.
#[derive(Default)]
pub(super) struct Gauges(Mutex<BTreeMap<String, SharedGauge>>);

impl CustomMetrics {
    pub(super) fn new(plugin: &str, registry: &Arc<Registry>, gauges: Arc<Gauges>) -> Self {
        Self {
            plugin: plugin.into(),
            registry: Arc::clone(registry),
            counters: Mutex::default(),
            gauges,
            dropped: registry.shared_counter(&families::PLUGIN_CUSTOM_DROPPED, &[plugin]),
        }
    }

    /// Adds to a counter.
    pub(super) fn increment(&self, name: &str, by: u64) {
        let make = || self.registry.counter(&families::PLUGIN_CUSTOM, &[&self.plugin, name]);
        if !update(&mut self.counters.lock(), name, make, |counter| counter.add(by)) {
            self.dropped.increment();
        }
    }

    /// Sets a gauge.
    pub(super) fn set(&self, name: &str, value: f64) {
        let make = || {
            self.registry
                .shared_gauge(&families::PLUGIN_CUSTOM_GAUGE, &[&self.plugin, name])
        };
        if !update(&mut self.gauges.0.lock(), name, make, |gauge| gauge.set(value)) {
            self.dropped.increment();
        }
    }
}

/// Updates a cell, which is made the first time. False when there are too many or the name cannot be one.
fn update<C>(cells: &mut BTreeMap<String, C>, name: &str, make: impl FnOnce() -> C, change: impl FnOnce(&C)) -> bool {
    if let Some(cell) = cells.get(name) {
        change(cell);
        return true;
    }
    if cells.len() >= NAMES || name.is_empty() || name.len() > NAME_BYTES {
        return false;
    }
    change(cells.entry(name.to_owned()).or_insert_with(make));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_what_is_over_is_counted() {
        let registry = Registry::new();
        let metrics = CustomMetrics::new("p", &registry, Arc::default());
        for name in 0..NAMES + 3 {
            metrics.increment(&format!("n{name}"), 2);
        }
        metrics.increment("n0", 1);
        metrics.set("g", 0.5);
        metrics.set("g", 1.5);
        assert_eq!(registry.value(&families::PLUGIN_CUSTOM, &["p", "n0"]), Some(3.0));
        assert_eq!(registry.value(&families::PLUGIN_CUSTOM_GAUGE, &["p", "g"]), Some(1.5));
        assert_eq!(registry.value(&families::PLUGIN_CUSTOM_DROPPED, &["p"]), Some(3.0));
    }
}
