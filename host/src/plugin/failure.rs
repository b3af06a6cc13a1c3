//! What a plugin's failure was, and telling the operator once instead of a thousand times.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};

use super::state::State;
use super::{Cause, Phase};

/// A service that the plugin has no right to.
#[derive(Debug)]
pub(super) struct Denied(pub(super) String);

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Denied {}

/// A call that failed: why, and what the operator should know.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) cause: Cause,
    pub(super) detail: String,
}

impl Failed {
    /// An answer that makes no sense.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self {
            cause: Cause::Invalid,
            detail: detail.into(),
        }
    }

    /// What wasmtime says about a call or an instantiation, with the plugin's own backtrace where there is one.
    pub(super) fn of(error: &wasmtime::Error, state: &State) -> Self {
        let cause = if state.memory.exceeded {
            Cause::Memory
        } else {
            cause(error)
        };
        let mut detail = error.root_cause().to_string();
        if state.memory.exceeded {
            detail.push_str(" (after it was refused more memory than its limit)");
        }
        if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
            detail.push('\n');
            detail.push_str(backtrace.to_string().trim_end());
        }
        Self { cause, detail }
    }

    /// An instance that could not be made.
    pub(super) fn instantiating(error: &wasmtime::Error) -> Self {
        Self {
            cause: cause(error),
            detail: format!("no instance could be made: {}", error.root_cause()),
        }
    }
}

fn cause(error: &wasmtime::Error) -> Cause {
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return if *trap == Trap::Interrupt {
            Cause::Deadline
        } else {
            Cause::Trap
        };
    }
    if error.is::<PoolConcurrencyLimitError>() {
        Cause::Exhausted
    } else if error.is::<Denied>() {
        Cause::Denied
    } else {
        Cause::Trap
    }
}

/// Tells the operator about failures: each plugin's and cause's first one, and after that at most one a second.
pub(super) struct FailureLog {
    start: Instant,
    causes: [Told; Cause::ALL.len()],
}

#[derive(Default)]
struct Told {
    /// The second of the last line, one too many; 0 before the first.
    second: AtomicU64,
    suppressed: AtomicU64,
}

impl Default for FailureLog {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            causes: Default::default(),
        }
    }
}

impl FailureLog {
    /// Logs a failure, or counts it for the next line.
    pub(super) fn tell(&self, plugin: &str, phase: Phase, request: impl fmt::Display, failed: &Failed) {
        let Some(told) = self.causes.get(failed.cause as usize) else {
            return;
        };
        let second = self.start.elapsed().as_secs() + 1;
        let last = told.second.load(Ordering::Relaxed);
        let first_here = last < second
            && told
                .second
                .compare_exchange(last, second, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if !first_here {
            told.suppressed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let suppressed = told.suppressed.swap(0, Ordering::Relaxed);
        let (phase, cause) = (phase.as_str(), failed.cause.as_str());
        if suppressed == 0 {
            tracing::error!(plugin, phase, cause, %request, "plugin failed: {}", failed.detail);
        } else {
            tracing::error!(plugin, phase, cause, %request, suppressed, "plugin failed: {}", failed.detail);
        }
    }
}
