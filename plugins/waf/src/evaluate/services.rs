//! What the evaluator asks of the world around it: the time, and a store for collections that outlive a transaction.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Debug;
use std::time::Duration;

use weir_sdk::kv::Replaced;

/// The world around an engine.
pub trait Services: Debug + Sync {
    /// The time since 1970-01-01T00:00:00Z.
    fn now(&self) -> Duration;

    /// What is kept under a key.
    fn load(&self, key: &[u8]) -> Option<Vec<u8>>;

    /// Keeps a value for a time, where what is kept is still what was expected: nothing, or what [`Services::load`] gave.
    /// A store that is full keeps nothing, and rules count from the start.
    fn replace(&self, key: &[u8], expected: Option<&[u8]>, value: &[u8], keep: Duration) -> Replaced;
}

/// No world: the clock of the machine, and a store that lives as long as the thread. For tools and tests.
#[derive(Debug, Clone, Copy)]
pub struct Standalone;

/// Values by key, each with its end.
type Entries = HashMap<Vec<u8>, (Vec<u8>, Duration)>;

thread_local! {
    static KEPT: RefCell<Entries> = RefCell::default();
}

impl Services for Standalone {
    #[cfg(not(target_arch = "wasm32"))]
    fn now(&self) -> Duration {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default()
    }

    #[cfg(target_arch = "wasm32")]
    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn load(&self, key: &[u8]) -> Option<Vec<u8>> {
        let now = self.now();
        KEPT.with_borrow(|kept| {
            kept.get(key)
                .filter(|(_, end)| *end > now)
                .map(|(value, _)| value.clone())
        })
    }

    fn replace(&self, key: &[u8], expected: Option<&[u8]>, value: &[u8], keep: Duration) -> Replaced {
        if self.load(key).as_deref() != expected {
            return Replaced::Changed;
        }
        let end = self.now() + keep;
        KEPT.with_borrow_mut(|kept| kept.insert(key.to_vec(), (value.to_vec(), end)));
        Replaced::Kept
    }
}
