//! How much of Weir one client may have: connections and requests, by the network that it comes from.
//!
//! Refusing costs the least where the least has been done, so everything here is asked before a byte is read: is there room in
//! the process, is there room for this network. A request on an open connection is asked for with one compare-and-swap on the
//! network's own entry; only a new connection takes a lock, one of many. With none of the limits set there are no entries.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use ipnet::IpNet;
use parking_lot::Mutex;

use super::descriptors;
use crate::config::{ClientLimits, Config};
use crate::exchange::admit::is_trusted;

/// Networks are spread over so many locks.
const SHARDS: usize = 64;
/// A full shard is searched for networks that are gone at most this often, in milliseconds.
const PURGE: u64 = 1_000;

/// Everyone who is connected.
#[derive(Debug)]
pub struct Clients {
    open: AtomicUsize,
    shards: [Mutex<Shard>; SHARDS],
    hasher: ahash::RandomState,
    started: Instant,
}

#[derive(Debug, Default)]
struct Shard {
    networks: HashMap<Prefix, Arc<Network>, ahash::RandomState>,
    purged: u64,
}

/// The leading bits of an address; IPv4 lies in the IPv4-mapped part.
type Prefix = u128;

/// What a network has and had.
#[derive(Debug, Default)]
pub struct Network {
    open: AtomicU32,
    connections: Bucket,
    requests: Bucket,
}

/// Why a connection is closed before a byte of it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overload {
    /// The process has as many as it may.
    Total,
    /// The process is near the end of its file descriptors.
    Descriptors,
    /// The network has as many as it may.
    Network,
    /// The network opens them too fast.
    Rate,
}

impl Overload {
    /// Every reason, in the order in which they are looked at.
    pub const ALL: [Self; 4] = [Self::Total, Self::Descriptors, Self::Network, Self::Rate];

    /// The reason as a word, for metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Total => "limit",
            Self::Descriptors => "descriptors",
            Self::Network => "client_connections",
            Self::Rate => "client_connection_rate",
        }
    }
}

impl Clients {
    /// Nobody yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            open: AtomicUsize::new(0),
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: ahash::RandomState::new(),
            started: Instant::now(),
        })
    }

    /// Takes a connection in, or says why not. `descriptor` is the accepted socket's number.
    ///
    /// # Errors
    /// See [`Overload`].
    pub fn admit(self: &Arc<Self>, peer: IpAddr, descriptor: i32, config: &Config) -> Result<Admitted, Overload> {
        let mut admitted = self.enter(descriptor, config)?;
        admitted.belong(peer, config)?;
        Ok(admitted)
    }

    /// Takes a connection in whose client is not known yet, see [`Admitted::belong`].
    ///
    /// # Errors
    /// See [`Overload`].
    pub fn enter(self: &Arc<Self>, descriptor: i32, config: &Config) -> Result<Admitted, Overload> {
        // Counted first: two workers that look at the same moment must not both take the last place.
        let admitted = Admitted {
            clients: self.clone(),
            network: None,
        };
        if self.open.fetch_add(1, Ordering::Relaxed) >= config.limits.connections {
            return Err(Overload::Total);
        }
        if !descriptors::have_room_for_client(descriptor) {
            return Err(Overload::Descriptors);
        }
        Ok(admitted)
    }

    /// Connections that are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Networks that are remembered.
    #[must_use]
    pub fn networks(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().networks.len()).sum()
    }

    /// The entry of a network; none where there is no room for another one.
    fn network(&self, prefix: Prefix, limits: &ClientLimits) -> Option<Arc<Network>> {
        let most = limits.networks.div_ceil(SHARDS);
        let at = usize::try_from(self.hasher.hash_one(prefix) % SHARDS as u64).unwrap_or_default();
        let shard = &mut *self.shards.get(at)?.lock();
        if let Some(network) = shard.networks.get(&prefix) {
            return Some(network.clone());
        }
        if shard.networks.len() >= most {
            let now = self.now();
            if now / 1_000 < shard.purged + PURGE {
                return None;
            }
            shard.purged = now / 1_000;
            shard.networks.retain(|_, network| network.is_remembered(now));
            if shard.networks.len() >= most {
                return None;
            }
        }
        Some(shard.networks.entry(prefix).or_default().clone())
    }

    /// Microseconds since the start.
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// The network of an address.
fn prefix(address: IpAddr, limits: &ClientLimits) -> Prefix {
    let network = match address {
        IpAddr::V4(_) => IpNet::new(address, limits.prefix_v4),
        IpAddr::V6(_) => IpNet::new(address, limits.prefix_v6),
    };
    match network.map(|network| network.network()).unwrap_or(address) {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl Network {
    fn is_remembered(&self, now: u64) -> bool {
        self.open.load(Ordering::Relaxed) > 0 || !self.connections.is_full(now) || !self.requests.is_full(now)
    }
}

/// A connection's place. Dropping it gives the place back.
#[derive(Debug)]
pub struct Admitted {
    clients: Arc<Clients>,
    network: Option<Arc<Network>>,
}

impl Admitted {
    /// Counts the connection for its client's network.
    ///
    /// # Errors
    /// See [`Overload`].
    pub fn belong(&mut self, peer: IpAddr, config: &Config) -> Result<(), Overload> {
        let limits = &config.limits.client;
        let peer = peer.to_canonical();
        // Behind a trusted proxy there are many clients; a network limit would take them for one.
        if limits.is_off() || is_trusted(peer, &config.trusted_proxies) {
            return Ok(());
        }
        let Some(network) = self.clients.network(prefix(peer, limits), limits) else {
            return Ok(());
        };
        let open = network.open.fetch_add(1, Ordering::Relaxed);
        self.network = Some(network.clone());
        if limits.connections > 0 && open >= limits.connections {
            return Err(Overload::Network);
        }
        if !network.connections.take(limits.connection_rate, self.clients.now()) {
            return Err(Overload::Rate);
        }
        Ok(())
    }

    /// Whether the client's network may make another request now; `rate` is how many a second, 0 any number.
    #[must_use]
    pub fn may_request(&self, rate: u32) -> bool {
        match &self.network {
            Some(network) if rate > 0 => network.requests.take(rate, self.clients.now()),
            _ => true,
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.clients.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(network) = &self.network {
            network.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A token bucket that holds a second's worth, kept as the moment at which it is full again (the generic cell rate algorithm).
#[derive(Debug, Default)]
struct Bucket(AtomicU64);

/// Microseconds.
const SECOND: u64 = 1_000_000;

impl Bucket {
    /// Takes one token, where there is one. `rate` is tokens a second, 0 any number.
    fn take(&self, rate: u32, now: u64) -> bool {
        if rate == 0 {
            return true;
        }
        let cost = (SECOND / u64::from(rate)).max(1);
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            let full_at = full_at.max(now) + cost;
            (full_at <= now + SECOND.max(cost)).then_some(full_at)
        });
        taken.is_ok()
    }

    fn is_full(&self, now: u64) -> bool {
        self.0.load(Ordering::Relaxed) <= now
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn limits() -> ClientLimits {
        ClientLimits {
            connections: 2,
            connection_rate: 0,
            request_rate: 0,
            prefix_v4: 24,
            prefix_v6: 64,
            networks: 64,
        }
    }

    #[test]
    fn a_bucket_holds_a_seconds_worth_and_fills_again() {
        let bucket = Bucket::default();
        let burst = (0..10).filter(|_| bucket.take(4, 5)).count();
        assert_eq!(burst, 4);
        assert!(bucket.take(4, 5 + SECOND / 4));
        assert!(!bucket.take(4, 5 + SECOND / 4));
        assert!(bucket.is_full(5 + 2 * SECOND));
        assert!((0..100).all(|_| bucket.take(0, 5)), "0 is no limit");
    }

    #[test]
    fn a_network_is_the_leading_bits() {
        let of = |text: &str| prefix(text.parse().unwrap(), &limits());
        assert_eq!(of("192.0.2.1"), of("192.0.2.200"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    }

    #[test]
    fn memory_is_bounded_and_networks_that_are_gone_make_room() {
        let clients = Clients::new();
        let kept: Vec<_> = (0..1_000).map(|at| clients.network(at, &limits())).collect();
        assert_eq!(clients.networks(), 64, "one a shard");
        assert!(kept.iter().filter(|network| network.is_some()).count() < 1_000);
        drop(kept);
        for shard in &clients.shards {
            shard.lock().purged = 0;
        }
    }
}
