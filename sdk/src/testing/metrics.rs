//! The plugin's own series.

use std::collections::BTreeMap;

/// How many names a plugin may have.
const NAMES: usize = 64;

/// Counters and gauges by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    counters: BTreeMap<String, u64>,
    gauges: BTreeMap<String, f64>,
}

impl Metrics {
    /// A counter; 0 when it was never added to.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }

    /// A gauge, once it was set.
    #[must_use]
    pub fn gauge(&self, name: &str) -> Option<f64> {
        self.gauges.get(name).copied()
    }

    pub(crate) fn increment(&mut self, name: &str, by: u64) {
        if self.has_room_for(name) {
            let counter = self.counters.entry(name.to_owned()).or_default();
            *counter = counter.saturating_add(by);
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: f64) {
        if self.has_room_for(name) {
            self.gauges.insert(name.to_owned(), value);
        }
    }

    fn has_room_for(&self, name: &str) -> bool {
        self.counters.len() + self.gauges.len() < NAMES
            || self.counters.contains_key(name)
            || self.gauges.contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixty_fifth_name_is_dropped() {
        let mut metrics = Metrics::default();
        for name in 0..NAMES {
            metrics.increment(&name.to_string(), 1);
        }
        metrics.increment("more", 1);
        metrics.set("more", 1.0);
        metrics.increment("0", 2);
        assert_eq!(
            (metrics.counter("more"), metrics.gauge("more"), metrics.counter("0")),
            (0, None, 3)
        );
    }
}
