//! How long a client's connection serves: `timeouts.lifetime` and `limits.requests_per_connection`.

use crate::config::Config;
use crate::http1::head::Persistence;
use crate::server::timer::Timer;

/// How long a connection has been used.
#[derive(Debug)]
pub(super) struct Age {
    /// When it is old, in milliseconds of the worker's timer.
    old_at: u64,
    requests: u64,
    /// 0 is any number.
    most: u64,
}

impl Age {
    /// Of a connection that begins now.
    pub(super) fn new(timer: &Timer, config: &Config) -> Self {
        let lifetime = u64::try_from(config.timeouts.lifetime.as_millis()).unwrap_or(u64::MAX);
        Self {
            old_at: timer.now().saturating_add(lifetime),
            requests: 0,
            most: config.limits.requests_per_connection,
        }
    }

    /// Counts the request that has just come, and says whether the connection may go on after it.
    pub(super) fn of_next(&mut self, timer: &Timer) -> Persistence {
        self.requests += 1;
        let spent = self.most > 0 && self.requests >= self.most;
        if spent || timer.now() >= self.old_at {
            Persistence::Close
        } else {
            Persistence::KeepAlive
        }
    }
}
