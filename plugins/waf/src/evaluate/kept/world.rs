//! What tests have in place of the host.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use weir_sdk::kv::Replaced;

use crate::evaluate::services::Services;

/// A store, and a clock that a test puts forward.
#[derive(Debug, Default)]
pub(in crate::evaluate) struct World {
    pub(in crate::evaluate) now: Mutex<u64>,
    pub(in crate::evaluate) entries: Mutex<HashMap<Vec<u8>, Vec<u8>>>,
    /// What somebody else writes just before the next replacements, the last one first.
    pub(in crate::evaluate) meanwhile: Mutex<Vec<Vec<u8>>>,
}

impl Services for World {
    fn now(&self) -> Duration {
        Duration::from_secs(*self.now.lock().unwrap())
    }

    fn load(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.entries.lock().unwrap().get(key).cloned()
    }

    fn replace(&self, key: &[u8], expected: Option<&[u8]>, value: &[u8], _keep: Duration) -> Replaced {
        if let Some(meanwhile) = self.meanwhile.lock().unwrap().pop() {
            self.entries.lock().unwrap().insert(key.to_vec(), meanwhile);
        }
        let mut entries = self.entries.lock().unwrap();
        if entries.get(key).map(Vec::as_slice) != expected {
            return Replaced::Changed;
        }
        entries.insert(key.to_vec(), value.to_vec());
        Replaced::Kept
    }
}
