//! Bounds on what clients, networks of clients and upstreams may have of Weir.

use std::time::Duration;

/// What one network of clients may have. Peers in `trusted_proxies` are exempt: many clients are behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientLimits {
    /// Connections at once; 0 is any number. Default 0.
    pub connections: u32,
    /// New connections a second, with as many at once; 0 is any number. Default 0.
    pub connection_rate: u32,
    /// Requests a second, with as many at once: 429 over it; 0 is any number. Default 0.
    pub request_rate: u32,
    /// Leading bits of an IPv4 address that make a network. Default 32.
    pub prefix_v4: u8,
    /// Leading bits of an IPv6 address that make a network. Default 64.
    pub prefix_v6: u8,
    /// Networks that are remembered at once; others are not limited. Default 65,536.
    pub networks: usize,
}

impl ClientLimits {
    /// Whether no network has to be remembered.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.connections == 0 && self.connection_rate == 0 && self.request_rate == 0
    }
}

/// How many requests an upstream has at once, all workers together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Concurrency {
    /// For all of its servers; 0 is any number. Default 0.
    pub total: usize,
    /// For each of its servers; 0 is any number. Default 0.
    pub per_server: usize,
    /// Requests that wait for one of these to end: 503 over it. Default 1024.
    pub queue: usize,
    /// How long a request waits: 503 over it. Default 5 s.
    pub queue_timeout: Duration,
}

impl Concurrency {
    /// Whether nothing has to be counted.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.total == 0 && self.per_server == 0
    }
}
