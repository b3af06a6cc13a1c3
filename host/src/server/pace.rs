//! How slowly a client may send or take a body.
//!
//! A timeout between two bytes is no bound on a client that sends one byte in time, again and again. So the time that Weir has
//! waited for the client is added up: some of it is free, and what goes beyond it has to have brought a minimum of bytes a
//! second on average. Time in which Weir or a server was the slower one does not count.

use std::time::Duration;

use super::timer::Deadline;

/// What a client is held to.
#[derive(Debug, Clone, Copy)]
pub struct Minimum {
    /// Between two pieces.
    pub timeout: Duration,
    /// What may be waited in sum before the rate counts.
    pub free: Duration,
    /// Bytes a second; 0 is none.
    pub rate: u64,
}

impl Minimum {
    /// Only a timeout between two pieces.
    #[must_use]
    pub fn timeout(timeout: Duration) -> Self {
        Self {
            timeout,
            free: timeout,
            rate: 0,
        }
    }
}

/// The pace of one body.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    bytes: u64,
    /// Milliseconds that Weir has waited for the client.
    waited: u64,
    /// Since when it does, in milliseconds of the worker's timer.
    since: Option<u64>,
}

impl Pace {
    /// Weir waits for the client from now on: sets the deadline by which something has to pass.
    pub fn wait(&mut self, deadline: &Deadline, minimum: &Minimum) {
        self.since = Some(deadline.now());
        deadline.set(minimum.timeout.min(self.patience(minimum)));
    }

    /// So many bytes have passed, and Weir waits no longer. `now` is in milliseconds of the worker's timer.
    pub fn passed(&mut self, now: u64, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        if let Some(since) = self.since.take() {
            self.waited += now.saturating_sub(since);
        }
    }

    /// How much longer may be waited in all.
    fn patience(&self, minimum: &Minimum) -> Duration {
        let Some(earned) = self.bytes.saturating_mul(1_000).checked_div(minimum.rate) else {
            return Duration::MAX;
        };
        let free = u64::try_from(minimum.free.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(earned.max(free).saturating_sub(self.waited))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_has_to_pay() {
        let minimum = Minimum {
            rate: 100,
            ..Minimum::timeout(Duration::from_secs(10))
        };
        let after = |bytes, waited| {
            let pace = Pace {
                bytes,
                waited,
                since: None,
            };
            pace.patience(&minimum).as_millis()
        };
        assert_eq!(after(0, 0), 10_000, "some of it is free");
        assert_eq!(after(5, 9_000), 1_000, "a trickle earns nothing");
        assert_eq!(after(5, 10_000), 0);
        assert_eq!(after(2_000, 10_000), 10_000, "100 bytes a second go on");
    }

    #[test]
    fn without_a_rate_only_the_timeout_counts() {
        let minimum = Minimum::timeout(Duration::from_secs(10));
        let pace = Pace {
            bytes: 1,
            waited: 1_000_000,
            since: None,
        };
        assert!(pace.patience(&minimum) > minimum.timeout);
    }
}
