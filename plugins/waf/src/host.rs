//! The host of the plugin as the engine's world: its clock, and its store for collections that outlive a transaction.

use std::time::Duration;

use weir_sdk::kv::Replaced;
use weir_sdk::{clock, kv};

use crate::evaluate::services::Services;

/// The host that runs the plugin. Needs the capabilities `clock` and `kv`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Host;

impl Services for Host {
    fn now(&self) -> Duration {
        Duration::from_nanos(clock::now())
    }

    fn load(&self, key: &[u8]) -> Option<Vec<u8>> {
        kv::get(key)
    }

    fn replace(&self, key: &[u8], expected: Option<&[u8]>, value: &[u8], keep: Duration) -> Replaced {
        kv::replace(key, expected, value, Some(keep))
    }
}
