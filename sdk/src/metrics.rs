//! The plugin's own series. Capability `metrics`.
//!
//! They are shown as `weir_plugin_custom_total{plugin,name}` and `weir_plugin_custom{plugin,name}`. At most 64 names a plugin;
//! further ones are dropped and counted.

use crate::host;

/// Adds to a counter.
pub fn increment(name: &str, by: u64) {
    host::increment(name, by);
}

/// Sets a gauge.
pub fn set(name: &str, value: f64) {
    host::set_gauge(name, value);
}
