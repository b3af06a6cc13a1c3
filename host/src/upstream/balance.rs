//! Which of an upstream's servers gets the next request.
//!
//! A [`Balancer`] belongs to one worker and one upstream, so that picking takes no lock and writes no memory that another
//! core reads. What the workers share is only the servers' health ([`Servers`]), which is read and, while nothing changes,
//! never written. Two consequences worth knowing: each worker interleaves its own turns (they start at different offsets, so
//! that the first requests of many workers do not all land on the first server), and "fewest requests" counts the requests of
//! this worker. With connections spread evenly over workers the sums follow the parts.
//!
//! Failing open: servers that are out (by checks or by ejection) are skipped while another one is left. When none is, all are
//! tried as if they were healthy, because a wrong health check should not take a whole site down. HAProxy answers 503 there,
//! nginx resets its marks and tries all, Envoy panics open below a threshold; Weir follows nginx.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::header::COOKIE;
use smallvec::SmallVec;

use super::gate::Permit;
use super::health::Servers;
use crate::config::{self, Balance, HashKey};
use crate::exchange::subject::Subject;

/// Picks servers for one worker.
#[derive(Debug)]
pub struct Balancer {
    strategy: Strategy,
    health: Arc<Servers>,
    running: Rc<[Cell<u32>]>,
}

#[derive(Debug)]
enum Strategy {
    RoundRobin(Turns),
    LeastRequests(Loads),
    ConsistentHash(Rendezvous),
}

impl Balancer {
    /// A balancer over the servers of `upstream`. `seed` is the worker's number: it sets where the turns start and how ties
    /// are broken.
    #[must_use]
    pub fn new(upstream: &config::Upstream, health: Arc<Servers>, seed: u64) -> Self {
        let servers = &upstream.servers;
        let strategy = match upstream.balance {
            Balance::RoundRobin => Strategy::RoundRobin(Turns::new(servers, seed)),
            Balance::LeastRequests => Strategy::LeastRequests(Loads::new(servers, seed)),
            Balance::ConsistentHash(_) => Strategy::ConsistentHash(Rendezvous::new(servers)),
        };
        Self {
            strategy,
            health,
            running: servers.iter().map(|_| Cell::new(0)).collect(),
        }
    }

    /// The server for the next attempt: a healthy one that is not in `tried`, else any that is not in `tried`. `None` only
    /// when all were tried. `key` is called for consistent hashing only.
    #[must_use]
    pub fn pick(&self, key: impl FnOnce() -> u64, tried: &Tried) -> Option<usize> {
        let untried = |server: usize| !tried.contains(server);
        let healthy = |server: usize| untried(server) && self.health.available(server);
        match &self.strategy {
            Strategy::RoundRobin(turns) => turns.next(healthy).or_else(|| turns.next(untried)),
            Strategy::LeastRequests(loads) => loads
                .least(&self.running, healthy)
                .or_else(|| loads.least(&self.running, untried)),
            Strategy::ConsistentHash(rendezvous) => {
                let key = key();
                rendezvous
                    .highest(key, healthy)
                    .or_else(|| rendezvous.highest(key, untried))
            }
        }
    }

    /// Counts a request that runs on `server` until the returned value is dropped.
    #[must_use]
    pub fn start(&self, server: usize) -> Running {
        if let Some(count) = self.running.get(server) {
            count.set(count.get().saturating_add(1));
        }
        Running {
            running: Rc::clone(&self.running),
            server,
            permit: None,
        }
    }
}

/// A request that runs on a server; dropping it ends the count.
#[derive(Debug)]
pub struct Running {
    running: Rc<[Cell<u32>]>,
    server: usize,
    /// Its place at the upstream's gate, where that has one; given back with the count.
    permit: Option<Permit>,
}

impl Running {
    /// Keeps a place at the upstream's gate for as long as the request runs.
    pub fn hold(&mut self, permit: Option<Permit>) {
        self.permit = permit;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(count) = self.running.get(self.server) {
            count.set(count.get().saturating_sub(1));
        }
    }
}

/// The servers that one exchange has tried. Up to 128 servers take no allocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tried(SmallVec<[u64; 2]>);

impl Tried {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers a server.
    pub fn insert(&mut self, server: usize) {
        let word = server / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(bits) = self.0.get_mut(word) {
            *bits |= 1 << (server % 64);
        }
    }

    /// Whether a server was tried.
    #[must_use]
    pub fn contains(&self, server: usize) -> bool {
        self.0
            .get(server / 64)
            .is_some_and(|bits| bits & (1 << (server % 64)) != 0)
    }
}

/// The number that consistent hashing places a request by.
///
/// The same request has the same number in every process and version of Weir, so that several Weirs in front of one tier
/// agree. A missing header or cookie falls back to the client's address.
#[must_use]
pub fn hash_key(balance: &HashKey, subject: &Subject) -> u64 {
    let found = match balance {
        HashKey::ClientIp => None,
        HashKey::Target => {
            let target = subject
                .upstream_target
                .as_ref()
                .or_else(|| subject.request.uri.path_and_query());
            Some(target.map_or("/", |target| target.as_str()).as_bytes())
        }
        HashKey::Header(name) => subject.request.headers.get(name).map(|value| value.as_bytes()),
        HashKey::Cookie(name) => {
            let cookies = subject.request.headers.get_all(COOKIE);
            cookies
                .iter()
                .find_map(|value| cookie(value.as_bytes(), name.as_bytes()))
        }
    };
    found.map_or_else(|| address_hash(subject.client_ip), stable_hash)
}

/// What a consistent hash is made of where nothing but the client's address is known.
#[must_use]
pub fn address_hash(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => stable_hash(&address.octets()),
        IpAddr::V6(address) => stable_hash(&address.octets()),
    }
}

/// The value of a cookie in a `Cookie` field (RFC 6265 §4.2.1).
fn cookie<'a>(field: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    field
        .split(|&byte| byte == b';')
        .find_map(|pair| pair.trim_ascii().strip_prefix(name)?.strip_prefix(b"="))
}

/// Smooth weighted round robin: every server gains its weight each turn, the richest is picked and pays what all gained.
/// Servers of weights 5, 1, 1 take turns as `a a b a c a a`, not `a a a a a b c`.
#[derive(Debug)]
struct Turns(Box<[Turn]>);

#[derive(Debug)]
struct Turn {
    weight: i64,
    credit: Cell<i64>,
}

impl Turns {
    fn new(servers: &[config::Server], seed: u64) -> Self {
        let turns: Box<[Turn]> = servers
            .iter()
            .map(|server| Turn {
                weight: i64::from(server.weight.max(1)),
                credit: Cell::new(0),
            })
            .collect();
        let turns = Self(turns);
        // A round is as many turns as the weights sum up to; more offsets than servers only cost time at start.
        for _ in 0..seed % (servers.len().max(1) as u64) {
            turns.next(|_| true);
        }
        turns
    }

    fn next(&self, eligible: impl Fn(usize) -> bool) -> Option<usize> {
        let mut total = 0;
        let mut richest: Option<(usize, &Turn)> = None;
        for (server, turn) in self.0.iter().enumerate().filter(|(server, _)| eligible(*server)) {
            total += turn.weight;
            turn.credit.set(turn.credit.get() + turn.weight);
            if richest.is_none_or(|(_, best)| turn.credit.get() > best.credit.get()) {
                richest = Some((server, turn));
            }
        }
        let (server, turn) = richest?;
        turn.credit.set(turn.credit.get() - total);
        Some(server)
    }
}

/// The lowest number of running requests for its weight. Ties are drawn by weight: an idle upstream has nothing but ties, and
/// they must not all go to the first server.
#[derive(Debug)]
struct Loads {
    weights: Box<[u32]>,
    random: Random,
}

impl Loads {
    fn new(servers: &[config::Server], seed: u64) -> Self {
        let weights = servers.iter().map(|server| server.weight.max(1)).collect();
        Self {
            weights,
            random: Random(Cell::new(mix(seed))),
        }
    }

    fn least(&self, running: &[Cell<u32>], eligible: impl Fn(usize) -> bool) -> Option<usize> {
        let mut least: Option<(usize, u64, u64)> = None;
        let mut tied = 0;
        for (server, (count, &weight)) in running.iter().zip(&self.weights).enumerate() {
            if !eligible(server) {
                continue;
            }
            let (count, weight) = (u64::from(count.get()), u64::from(weight));
            // count / weight < least_count / least_weight, without the division.
            let order = least.map_or(std::cmp::Ordering::Less, |(_, least_count, least_weight)| {
                (count * least_weight).cmp(&(least_count * weight))
            });
            match order {
                std::cmp::Ordering::Less => {
                    least = Some((server, count, weight));
                    tied = weight;
                }
                std::cmp::Ordering::Equal => {
                    // Reservoir of one: each of the tied servers ends up here with the chance that its weight gives it.
                    tied += weight;
                    if self.random.below(tied) < weight {
                        least = Some((server, count, weight));
                    }
                }
                std::cmp::Ordering::Greater => {}
            }
        }
        least.map(|(server, ..)| server)
    }
}

/// Consistent hashing by weighted rendezvous: every server draws a number from the key and its own name, and the highest
/// wins. Taking a server away moves its keys and no others, spread over the rest by weight; the order of the servers in the
/// configuration does not matter. Against a ring of points it is exact in the weights and needs no table; it costs a few
/// nanoseconds a server and pick.
#[derive(Debug)]
struct Rendezvous {
    servers: Box<[Place]>,
    weights: Weights,
}

#[derive(Debug)]
struct Place {
    name: u64,
    weight: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weights {
    Equal,
    Different,
}

impl Rendezvous {
    fn new(servers: &[config::Server]) -> Self {
        let equal = servers
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if a.weight == b.weight));
        let place = |server: &config::Server| Place {
            name: stable_hash(server.name.as_bytes()),
            weight: f64::from(server.weight.max(1)),
        };
        Self {
            servers: servers.iter().map(place).collect(),
            weights: if equal { Weights::Equal } else { Weights::Different },
        }
    }

    fn highest(&self, key: u64, eligible: impl Fn(usize) -> bool) -> Option<usize> {
        let mut highest: Option<(usize, f64)> = None;
        for (server, place) in self.servers.iter().enumerate().filter(|(server, _)| eligible(*server)) {
            // 52 bits of the draw and a half, so that it lies strictly between 0 and 1.
            let drawn = ((mix(key ^ place.name) >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
            // With equal weights the score is a rising function of the draw, which then is a score itself.
            let score = match self.weights {
                Weights::Equal => drawn,
                Weights::Different => -place.weight / drawn.ln(),
            };
            if highest.is_none_or(|(_, best)| score > best) {
                highest = Some((server, score));
            }
        }
        highest.map(|(server, _)| server)
    }
}

/// Spreads bytes over 64 bits, the same way for ever: Weirs of one tier have to agree, so it is neither seeded nor replaced
/// by whatever the standard library or a crate does today.
fn stable_hash(bytes: &[u8]) -> u64 {
    let mut hash = mix(bytes.len() as u64);
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(chunk) {
            *to = *from;
        }
        hash = mix(hash ^ u64::from_le_bytes(word));
    }
    hash
}

/// A bijection of 64 bits in which every bit of the input moves every bit of the output (the finaliser of SplitMix64).
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A small generator for ties; nothing depends on its being unpredictable.
#[derive(Debug)]
struct Random(Cell<u64>);

impl Random {
    fn below(&self, bound: u64) -> u64 {
        self.0.set(self.0.get().wrapping_add(1));
        mix(self.0.get()) % bound.max(1)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use http::HeaderName;

    use super::super::health::tests::{fail, upstream};
    use super::*;
    use crate::exchange::subject::{RequestId, Scheme};

    fn balancer(balance: Balance, weights: &[u32], seed: u64) -> (Balancer, Arc<Servers>) {
        let mut config = upstream(weights.len());
        config.balance = balance;
        config.ejection.failures = 1;
        config.ejection.max_percent = 100;
        config.ejection.duration = Duration::from_secs(3600);
        for (server, weight) in config.servers.iter_mut().zip(weights) {
            server.weight = *weight;
        }
        let health = Servers::new(&config, None, None);
        (Balancer::new(&config, Arc::clone(&health), seed), health)
    }

    fn no_key() -> u64 {
        unreachable!("only consistent hashing asks for a key")
    }

    fn picks(balancer: &Balancer, count: usize) -> Vec<usize> {
        (0..count)
            .map(|_| balancer.pick(no_key, &Tried::new()).unwrap())
            .collect()
    }

    fn subject(headers: &[(&str, &str)]) -> Subject {
        let mut request = http::Request::builder().uri("/manga/1?page=2");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Subject {
            id: RequestId(1),
            peer: "127.0.0.1:1".parse().unwrap(),
            client_ip: "192.0.2.1".parse().unwrap(),
            scheme: Scheme::Http,
            host: "example.org".into(),
            request: Box::new(request.body(()).unwrap().into()),
            route: "r".into(),
            ..Subject::vacant()
        }
    }

    #[test]
    fn round_robin_takes_turns() {
        let (balancer, _) = balancer(Balance::RoundRobin, &[1, 1, 1], 0);
        assert_eq!(picks(&balancer, 6), [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn round_robin_interleaves_weights_smoothly() {
        let (balancer, _) = balancer(Balance::RoundRobin, &[5, 1, 1], 0);
        assert_eq!(picks(&balancer, 7), [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn round_robin_of_different_workers_starts_at_different_servers() {
        let first = |seed| picks(&balancer(Balance::RoundRobin, &[1, 1, 1], seed).0, 1);
        assert_eq!([first(0), first(1), first(2), first(3)], [[0], [1], [2], [0]]);
    }

    #[test]
    fn round_robin_skips_servers_that_are_out_and_those_tried() {
        let (balancer, health) = balancer(Balance::RoundRobin, &[1, 1, 1], 0);
        fail(&health, 1, 1);
        assert_eq!(picks(&balancer, 4), [0, 2, 0, 2]);
        let mut tried = Tried::new();
        tried.insert(0);
        assert_eq!(balancer.pick(no_key, &tried), Some(2));
    }

    #[test]
    fn a_retry_prefers_any_untried_server_to_none_and_ends_when_all_were_tried() {
        let (balancer, health) = balancer(Balance::RoundRobin, &[1, 1], 0);
        fail(&health, 1, 1);
        let mut tried = Tried::new();
        tried.insert(0);
        assert_eq!(
            balancer.pick(no_key, &tried),
            Some(1),
            "the healthy one was tried: the other is better than nothing"
        );
        tried.insert(1);
        assert_eq!(balancer.pick(no_key, &tried), None);
    }

    #[test]
    fn without_a_healthy_server_all_are_tried() {
        let (balancer, health) = balancer(Balance::RoundRobin, &[1, 1], 0);
        health.probed(0, Err("down".to_owned()));
        health.probed(1, Err("down".to_owned()));
        assert!(!health.available(0) && !health.available(1));
        let mut both = picks(&balancer, 2);
        both.sort_unstable();
        assert_eq!(both, [0, 1]);
    }

    #[test]
    fn least_requests_follows_the_load_for_the_weight() {
        let (balancer, _) = balancer(Balance::LeastRequests, &[1, 2], 7);
        let on_first = balancer.start(0);
        let on_second = balancer.start(1);
        assert_eq!(balancer.pick(no_key, &Tried::new()), Some(1), "1/2 is less than 1/1");
        let more = (balancer.start(1), balancer.start(1));
        assert_eq!(balancer.pick(no_key, &Tried::new()), Some(0), "1/1 is less than 3/2");
        drop((on_first, on_second, more));
        assert_eq!(balancer.running.iter().map(Cell::get).collect::<Vec<_>>(), [0, 0]);
    }

    #[test]
    fn least_requests_draws_ties_by_weight() {
        let (balancer, _) = balancer(Balance::LeastRequests, &[1, 3], 7);
        let second = picks(&balancer, 4000).iter().filter(|&&server| server == 1).count();
        assert!(
            (2800..3200).contains(&second),
            "{second} of 4000 where 3000 are expected"
        );
    }

    #[test]
    fn consistent_hash_keeps_a_key_on_its_server_and_moves_only_the_keys_of_one_that_left() {
        let (balancer, health) = balancer(Balance::ConsistentHash(HashKey::Target), &[1, 1, 1, 1], 0);
        let place = |key: u64| balancer.pick(|| key, &Tried::new()).unwrap();
        let before: Vec<usize> = (0..4000).map(|key| place(mix(key))).collect();
        fail(&health, 2, 1);
        let after: Vec<usize> = (0..4000).map(|key| place(mix(key))).collect();
        let mut heirs = [0; 4];
        for (before, after) in before.iter().zip(&after) {
            if *before == 2 {
                heirs[*after] += 1;
            } else {
                assert_eq!(before, after);
            }
        }
        assert_eq!(heirs[2], 0);
        assert!(
            heirs
                .iter()
                .enumerate()
                .all(|(server, &keys)| server == 2 || keys > 200),
            "{heirs:?}"
        );
    }

    #[test]
    fn consistent_hash_shares_by_weight() {
        let (balancer, _) = balancer(Balance::ConsistentHash(HashKey::Target), &[1, 3], 0);
        let second = (0..4000)
            .filter(|&key| balancer.pick(|| mix(key), &Tried::new()) == Some(1))
            .count();
        assert!(
            (2850..3150).contains(&second),
            "{second} of 4000 where 3000 are expected"
        );
    }

    #[test]
    fn consistent_hash_does_not_depend_on_the_order_of_the_servers() {
        let mut config = upstream(3);
        config.balance = Balance::ConsistentHash(HashKey::Target);
        let forward = Balancer::new(&config, Servers::new(&config, None, None), 0);
        config.servers.reverse();
        let backward = Balancer::new(&config, Servers::new(&config, None, None), 1);
        for key in (0..100).map(mix) {
            let picked = forward.pick(|| key, &Tried::new()).unwrap();
            assert_eq!(backward.pick(|| key, &Tried::new()), Some(2 - picked));
        }
    }

    #[test]
    fn hashes_are_the_same_for_ever() {
        // Not any particular value, but never another one: Weirs of different versions share a tier.
        assert_eq!(stable_hash(b""), 0xe220_a839_7b1d_cdaf);
        assert_eq!(
            stable_hash(b"/manga/1?page=2"),
            hash_key(&HashKey::Target, &subject(&[]))
        );
    }

    #[test]
    fn hash_keys_come_from_where_the_configuration_says() {
        let session = HashKey::Cookie("session".to_owned());
        let by_ip = hash_key(&HashKey::ClientIp, &subject(&[]));
        assert_eq!(
            hash_key(&session, &subject(&[])),
            by_ip,
            "no cookie: the client's address"
        );
        let with = |value| hash_key(&session, &subject(&[("cookie", value)]));
        assert_eq!(with("a=1; session=x; b=2"), stable_hash(b"x"));
        assert_eq!(with("session2=y;session=x"), stable_hash(b"x"));
        assert_eq!(with("mysession=x"), by_ip);
        let header = HashKey::Header(HeaderName::from_static("x-user"));
        assert_eq!(hash_key(&header, &subject(&[("x-user", "u")])), stable_hash(b"u"));
        assert_eq!(hash_key(&header, &subject(&[])), by_ip);
    }

    #[test]
    fn tried_holds_any_number_of_servers() {
        let mut tried = Tried::new();
        for server in [0, 63, 64, 127, 128, 1000] {
            assert!(!tried.contains(server));
            tried.insert(server);
            assert!(tried.contains(server));
        }
        assert!(!tried.contains(1) && !tried.contains(999));
    }
}
