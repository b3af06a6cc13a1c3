//! Waiting for things to happen, instead of sleeping until they probably have.

use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::PATIENCE;

/// Asks again until the answer is there; fails the test when it does not come.
///
/// For facts that can only be polled (a metric, a file, a port). Where a thread can be told, use a [`Gate`].
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "waited {PATIENCE:?} in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A gate that is closed until somebody opens it: holds an origin's answer back while the test looks around.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    open: bool,
    waiting: usize,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everyone through, now and later.
    pub fn open(&self) {
        self.0.0.lock().unwrap().open = true;
        self.0.1.notify_all();
    }

    /// Returns when the gate is open.
    pub fn pass(&self) {
        let mut state = self.0.0.lock().unwrap();
        state.waiting += 1;
        self.0.1.notify_all();
        let (mut state, timeout) = self
            .0
            .1
            .wait_timeout_while(state, PATIENCE, |state| !state.open)
            .unwrap();
        state.waiting -= 1;
        assert!(!timeout.timed_out(), "nobody opened the gate");
    }

    /// Returns when so many stand before the gate.
    pub fn await_waiting(&self, count: usize) {
        let state = self.0.0.lock().unwrap();
        let (state, timeout) = self
            .0
            .1
            .wait_timeout_while(state, PATIENCE, |state| state.waiting < count)
            .unwrap();
        assert!(
            !timeout.timed_out(),
            "{} came to the gate, {count} were expected",
            state.waiting
        );
    }
}
