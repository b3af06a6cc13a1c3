//! Which servers may be used: what checks say, and what traffic says.
//!
//! Two judges, both of them per server. Active checks ([`checker`]) ask on a schedule; a server is out after `unhealthy_after`
//! failures in a row and in again after `healthy_after` successes, and its first check alone decides, so that a server that is
//! dead when Weir starts is out after one check. Passive ejection looks at traffic: `failures` requests in a row that got no
//! valid answer put the server out for a while, longer each time. A status is an answer, whatever it says: 5xx does not eject.
//!
//! The state is shared by all workers, as atomics. Workers read it on every pick and write it only when something changed, so
//! that its cache lines stay shared between cores. It outlives reloads: a server of the same upstream name and address keeps
//! what is known about it.

pub mod checker;
mod http2;

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Serialize;

use crate::config::{self, Ejection, Endpoint, HealthCheck};
use crate::proxy_protocol;
use crate::telemetry::{Probe as Shown, Registry, families};

/// How one attempt on a server ended, as far as its health is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A response head came, of whatever status.
    Answered,
    /// Connect error, timeout, reset or a malformed response. Not: a client that went away.
    Failed,
}

/// The health of one upstream's servers, in the order of the configuration.
#[derive(Debug)]
pub struct Servers {
    upstream: Arc<str>,
    servers: Box<[Server]>,
    ejection: Ejection,
    check: Option<HealthCheck>,
    protocol: config::Protocol,
    tls: Option<config::UpstreamTls>,
    client: Option<Arc<rustls::ClientConfig>>,
    proxy_protocol: Option<proxy_protocol::Version>,
    /// Held while a server is put out, so that two workers do not exceed the share together.
    ejecting: Mutex<()>,
}

#[derive(Debug)]
struct Server {
    name: Arc<str>,
    address: Endpoint,
    weight: u32,
    state: Arc<State>,
}

/// What is known about one server. On cache lines of its own: a failing server must not slow down reads of its neighbours.
#[derive(Debug, Default)]
#[repr(align(128))]
struct State {
    checked: AtomicU8,
    /// Failures on traffic in a row.
    failures: AtomicU32,
    /// Milliseconds of [`now`] until which traffic has put it out; 0 is not at all.
    ejected_until: AtomicU64,
    ejections: AtomicU64,
    checks_passed: AtomicU64,
    checks_failed: AtomicU64,
    history: Mutex<History>,
}

/// What changes rarely and is never read on the hot path.
#[derive(Debug, Default)]
struct History {
    /// Ejections that count for the next one's length.
    ejections: u32,
    /// When the last of them ends or ended.
    last_until: u64,
    /// Checks in a row with the same result.
    streak: u32,
    last: Option<Probe>,
}

#[derive(Debug)]
struct Probe {
    at: u64,
    result: Result<u16, String>,
}

/// Values of [`State::checked`].
const UNCHECKED: u8 = 0;
const HEALTHY: u8 = 1;
const UNHEALTHY: u8 = 2;

/// What a check has for a status that asked for none.
const NO_STATUS: u16 = 0;

/// An ejection is never longer than this many times the first.
const LONGEST_EJECTION: u64 = 10;

impl Servers {
    /// The servers of `upstream`. `tls` is the client configuration that traffic uses (checks go the same way). `previous` is
    /// the upstream of the same name before a reload: servers with the same address keep their state.
    #[must_use]
    pub fn new(
        upstream: &config::Upstream,
        tls: Option<Arc<rustls::ClientConfig>>,
        previous: Option<&Self>,
    ) -> Arc<Self> {
        let server = |server: &config::Server| {
            let known = previous.and_then(|previous| previous.servers.iter().find(|old| old.address == server.address));
            let state = known.map_or_else(Arc::default, |old| Arc::clone(&old.state));
            if upstream.health.is_none() {
                state.checked.store(UNCHECKED, Ordering::Relaxed);
            }
            Server {
                name: Arc::clone(&server.name),
                address: server.address.clone(),
                weight: server.weight,
                state,
            }
        };
        Arc::new(Self {
            upstream: Arc::clone(&upstream.name),
            servers: upstream.servers.iter().map(server).collect(),
            ejection: upstream.ejection.clone(),
            check: upstream.health.clone(),
            protocol: upstream.protocol,
            tls: upstream.tls.clone(),
            client: tls,
            proxy_protocol: upstream.proxy_protocol,
            ejecting: Mutex::new(()),
        })
    }

    /// The upstream's name.
    #[must_use]
    pub fn upstream(&self) -> &Arc<str> {
        &self.upstream
    }

    /// Whether a server may be picked: no check and no ejection speaks against it.
    #[must_use]
    pub fn available(&self, server: usize) -> bool {
        let Some(Server { state, .. }) = self.servers.get(server) else {
            return false;
        };
        if state.checked.load(Ordering::Relaxed) == UNHEALTHY {
            return false;
        }
        // The clock is read only while the server is out.
        let until = state.ejected_until.load(Ordering::Relaxed);
        until == 0 || self.ejection_over(server, until, now())
    }

    /// Tells how an attempt on `server` ended. While all goes well this reads one word and writes nothing.
    pub fn report(&self, server: usize, outcome: Outcome) {
        self.report_at(server, outcome, now());
    }

    /// What an operator wants to know.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            upstream: self.upstream.to_string(),
            servers: self.servers.iter().map(|server| server.status(now())).collect(),
        }
    }

    /// Shows the servers' health as metrics, as long as the probes are kept.
    #[must_use]
    pub fn expose(self: &Arc<Self>, metrics: &Registry) -> Vec<Shown> {
        let mut shown = Vec::with_capacity(4 * self.servers.len());
        for (index, server) in self.servers.iter().enumerate() {
            let labels = [&*self.upstream, &*server.name];
            let [passed, failed] = ["passed", "failed"].map(|result| [labels[0], labels[1], result]);
            let count = |family, labels: &[&str], read: fn(&State) -> &AtomicU64| {
                let state = Arc::clone(&server.state);
                metrics.probe(family, labels, move || read(&state).load(Ordering::Relaxed) as f64)
            };
            shown.push(count(&families::UPSTREAM_EJECTIONS, &labels, |state| &state.ejections));
            if self.check.is_some() {
                shown.push(count(&families::UPSTREAM_CHECKS, &passed, |state| &state.checks_passed));
                shown.push(count(&families::UPSTREAM_CHECKS, &failed, |state| &state.checks_failed));
            }
            let servers = Arc::clone(self);
            let healthy = move || f64::from(u8::from(servers.available(index)));
            shown.push(metrics.probe(&families::UPSTREAM_HEALTHY, &labels, healthy));
        }
        shown
    }

    fn report_at(&self, server: usize, outcome: Outcome, now: u64) {
        let Some(Server { state, .. }) = self.servers.get(server) else {
            return;
        };
        match outcome {
            Outcome::Answered => {
                if state.failures.load(Ordering::Relaxed) != 0 {
                    state.failures.store(0, Ordering::Relaxed);
                }
            }
            Outcome::Failed => {
                let failures = state.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                if self.ejection.failures != 0 && failures >= self.ejection.failures {
                    self.eject(server, now);
                }
            }
        }
    }

    /// Puts a server out, unless it is out already or too many are.
    fn eject(&self, index: usize, now: u64) {
        let Some(server) = self.servers.get(index) else { return };
        let _alone = self.ejecting.lock();
        let ejected = |server: &Server| server.state.ejected_until.load(Ordering::Relaxed) > now;
        let out = |server: &Server| ejected(server) || server.state.checked.load(Ordering::Relaxed) == UNHEALTHY;
        if ejected(server) {
            return;
        }
        let others_in = self
            .servers
            .iter()
            .enumerate()
            .filter(|(other, server)| *other != index && !out(server))
            .count();
        let share = (self.servers.iter().filter(|server| ejected(server)).count() + 1) * 100;
        if others_in == 0 || share > self.servers.len() * self.ejection.max_percent as usize {
            return;
        }

        let first = millis(self.ejection.duration);
        let mut history = server.state.history.lock();
        // A server that has been back for as long as the longest ejection starts anew.
        if now.saturating_sub(history.last_until) > first.saturating_mul(LONGEST_EJECTION) {
            history.ejections = 0;
        }
        let doubled = 1_u64.checked_shl(history.ejections).unwrap_or(u64::MAX);
        let length = first.saturating_mul(doubled.min(LONGEST_EJECTION));
        history.ejections = history.ejections.saturating_add(1);
        history.last_until = now.saturating_add(length);
        server.state.ejections.fetch_add(1, Ordering::Relaxed);
        server.state.failures.store(0, Ordering::Relaxed);
        server.state.ejected_until.store(history.last_until, Ordering::Relaxed);
        tracing::warn!(
            upstream = %self.upstream, server = %server.name, failures = self.ejection.failures, out_ms = length,
            "server ejected: too many failures in a row"
        );
    }

    /// Whether an ejection until `until` has ended; the first to notice puts the server back.
    #[cold]
    fn ejection_over(&self, server: usize, until: u64, now: u64) -> bool {
        if now < until {
            return false;
        }
        if let Some(Server { name, state, .. }) = self.servers.get(server) {
            let back = state
                .ejected_until
                .compare_exchange(until, 0, Ordering::Relaxed, Ordering::Relaxed);
            if back.is_ok() {
                tracing::info!(upstream = %self.upstream, server = %name, "server back after its ejection");
            }
        }
        true
    }

    /// Takes the result of a check: the status, or why there was none or not a good one.
    pub(super) fn probed(&self, server: usize, result: Result<u16, String>) {
        let (Some(Server { name, state, .. }), check) = (self.servers.get(server), self.check.as_ref()) else {
            return;
        };
        let (healthy_after, unhealthy_after) =
            check.map_or((1, 1), |check| (check.healthy_after, check.unhealthy_after));
        let count = if result.is_ok() {
            &state.checks_passed
        } else {
            &state.checks_failed
        };
        count.fetch_add(1, Ordering::Relaxed);
        let mut history = state.history.lock();
        let same = history
            .last
            .as_ref()
            .is_some_and(|last| last.result.is_ok() == result.is_ok());
        history.streak = if same { history.streak.saturating_add(1) } else { 1 };
        let (verdict, needed) = if result.is_ok() {
            (HEALTHY, healthy_after)
        } else {
            (UNHEALTHY, unhealthy_after)
        };
        let before = state.checked.load(Ordering::Relaxed);
        if before != verdict && (before == UNCHECKED || history.streak >= needed) {
            state.checked.store(verdict, Ordering::Relaxed);
            match &result {
                Ok(status) if before == UNHEALTHY => {
                    tracing::info!(upstream = %self.upstream, server = %name, status, "server healthy again");
                }
                Ok(_) => {}
                Err(reason) => {
                    tracing::warn!(upstream = %self.upstream, server = %name, reason, "server unhealthy: its checks fail");
                }
            }
        }
        history.last = Some(Probe { at: now(), result });
    }
}

/// An upstream's servers as `weir status` shows them.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The upstream's name.
    pub upstream: String,
    /// In the order of the configuration.
    pub servers: Vec<ServerStatus>,
}

/// A server as `weir status` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct ServerStatus {
    /// As written in the configuration.
    pub name: String,
    /// What it resolved to.
    pub address: Endpoint,
    /// Its share of the traffic.
    pub weight: u32,
    /// In one word.
    pub state: Condition,
    /// Failures on traffic in a row.
    pub failures: u32,
    /// Milliseconds until an ejection ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ejected_for_ms: Option<u64>,
    /// The last check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_check: Option<CheckStatus>,
}

/// A server's health in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// In use; there are no checks, or none has ended yet.
    Unchecked,
    /// In use; its checks succeed.
    Healthy,
    /// Out; its checks fail.
    Unhealthy,
    /// Out for a while; traffic failed.
    Ejected,
}

/// A check as `weir status` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct CheckStatus {
    /// How long ago, in milliseconds.
    pub ago_ms: u64,
    /// The status that was answered, where it is a good one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why the check failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Server {
    fn status(&self, now: u64) -> ServerStatus {
        let ejected_for_ms =
            Some(self.state.ejected_until.load(Ordering::Relaxed).saturating_sub(now)).filter(|&ms| ms > 0);
        let state = match (self.state.checked.load(Ordering::Relaxed), ejected_for_ms) {
            (UNHEALTHY, _) => Condition::Unhealthy,
            (_, Some(_)) => Condition::Ejected,
            (HEALTHY, None) => Condition::Healthy,
            _ => Condition::Unchecked,
        };
        let last_check = self.state.history.lock().last.as_ref().map(|probe| CheckStatus {
            ago_ms: now.saturating_sub(probe.at),
            status: probe
                .result
                .as_ref()
                .ok()
                .copied()
                .filter(|status| *status != NO_STATUS),
            error: probe.result.as_ref().err().cloned(),
        });
        ServerStatus {
            name: self.name.to_string(),
            address: self.address.clone(),
            weight: self.weight,
            state,
            failures: self.state.failures.load(Ordering::Relaxed),
            ejected_for_ms,
            last_check,
        }
    }
}

/// Milliseconds on a clock that only goes forward and was never 0.
fn now() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    millis(START.elapsed()) + 1
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::Balance;

    /// An upstream of servers `s0:1`, `s1:1`… on loopback, with every default of the configuration.
    pub(in crate::upstream) fn upstream(servers: usize) -> config::Upstream {
        let server = |number: usize| config::Server {
            name: format!("s{number}:1").into(),
            address: std::net::SocketAddr::from(([127, 0, 0, number as u8 + 1], 1)).into(),
            weight: 1,
        };
        config::Upstream {
            name: "pool".into(),
            protocol: config::Protocol::Http1,
            servers: (0..servers).map(server).collect(),
            balance: Balance::RoundRobin,
            health: None,
            ejection: Ejection {
                failures: 5,
                duration: Duration::from_secs(10),
                max_percent: 50,
            },
            tls: None,
            keep_alive: 64,
            idle_timeout: Duration::from_secs(60),
            concurrency: config::Concurrency::default(),
            proxy_protocol: None,
        }
    }

    /// Reports that many failures.
    pub(in crate::upstream) fn fail(servers: &Servers, server: usize, times: usize) {
        for _ in 0..times {
            servers.report(server, Outcome::Failed);
        }
    }

    fn fail_at(servers: &Servers, server: usize, now: u64) {
        for _ in 0..5 {
            servers.report_at(server, Outcome::Failed, now);
        }
    }

    fn out_until(servers: &Servers, server: usize) -> u64 {
        servers.servers[server].state.ejected_until.load(Ordering::Relaxed)
    }

    fn checked(healthy_after: u32, unhealthy_after: u32) -> config::Upstream {
        config::Upstream {
            health: Some(HealthCheck {
                healthy_after,
                unhealthy_after,
                ..check()
            }),
            ..upstream(2)
        }
    }

    pub(in crate::upstream) fn check() -> HealthCheck {
        HealthCheck {
            kind: config::CheckKind::Http,
            path: "/".to_owned(),
            host: None,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            healthy_after: 2,
            unhealthy_after: 3,
            statuses: vec![(200, 399)],
        }
    }

    fn bad() -> Result<u16, String> {
        Err("connection refused".to_owned())
    }

    #[test]
    fn failures_in_a_row_eject_and_an_answer_between_them_does_not() {
        let servers = Servers::new(&upstream(2), None, None);
        fail(&servers, 0, 4);
        servers.report(0, Outcome::Answered);
        fail(&servers, 0, 4);
        assert!(servers.available(0));
        fail(&servers, 0, 1);
        assert!(!servers.available(0));
        assert!(servers.available(1));
        assert_eq!(servers.status().servers[0].state, Condition::Ejected);
    }

    #[test]
    fn no_ejection_at_zero_failures() {
        let mut config = upstream(2);
        config.ejection.failures = 0;
        let servers = Servers::new(&config, None, None);
        fail(&servers, 0, 100);
        assert!(servers.available(0));
    }

    #[test]
    fn the_only_server_is_never_ejected() {
        let mut config = upstream(1);
        config.ejection.max_percent = 100;
        let servers = Servers::new(&config, None, None);
        fail(&servers, 0, 100);
        assert!(servers.available(0));
    }

    #[test]
    fn at_most_the_share_is_ejected() {
        let servers = Servers::new(&upstream(4), None, None);
        for server in 0..4 {
            fail(&servers, server, 5);
        }
        let out: Vec<bool> = (0..4).map(|server| !servers.available(server)).collect();
        assert_eq!(out, [true, true, false, false]);
    }

    #[test]
    fn the_last_server_that_checks_left_is_not_ejected() {
        let servers = Servers::new(&checked(1, 1), None, None);
        servers.probed(1, bad());
        fail(&servers, 0, 100);
        assert!(servers.available(0));
    }

    #[test]
    fn an_ejection_ends_and_the_next_one_is_twice_as_long_up_to_ten_times() {
        let servers = Servers::new(&upstream(2), None, None);
        let mut start = 1000;
        for expected in [10_000, 20_000, 40_000, 80_000, 100_000, 100_000] {
            fail_at(&servers, 0, start);
            let until = out_until(&servers, 0);
            assert_eq!(until - start, expected);
            assert!(!servers.ejection_over(0, until, until - 1));
            assert!(servers.ejection_over(0, until, until));
            assert_eq!(out_until(&servers, 0), 0);
            start = until + 1;
        }
        fail_at(&servers, 0, start + 100_001);
        assert_eq!(
            out_until(&servers, 0) - (start + 100_001),
            10_000,
            "long enough without an ejection: starts anew"
        );
    }

    #[test]
    fn failures_of_requests_that_were_still_running_do_not_prolong_an_ejection() {
        let servers = Servers::new(&upstream(2), None, None);
        fail_at(&servers, 0, 1000);
        fail_at(&servers, 0, 2000);
        assert_eq!(out_until(&servers, 0), 11_000);
    }

    #[test]
    fn the_first_check_decides_alone_and_later_ones_in_a_row() {
        let servers = Servers::new(&checked(2, 3), None, None);
        assert_eq!(servers.status().servers[0].state, Condition::Unchecked);
        assert!(servers.available(0));
        servers.probed(0, bad());
        assert!(!servers.available(0), "first check");
        servers.probed(0, Ok(200));
        assert!(!servers.available(0));
        servers.probed(0, Ok(200));
        assert!(servers.available(0), "two in a row");
        servers.probed(0, bad());
        servers.probed(0, bad());
        servers.probed(0, Ok(200));
        servers.probed(0, bad());
        servers.probed(0, bad());
        assert!(servers.available(0), "never three in a row");
        servers.probed(0, bad());
        assert!(!servers.available(0));
        let status = servers.status();
        assert_eq!(status.servers[0].state, Condition::Unhealthy);
        assert_eq!(
            status.servers[0].last_check.as_ref().unwrap().error.as_deref(),
            Some("connection refused")
        );
    }

    #[test]
    fn a_reload_keeps_the_state_of_servers_with_the_same_address() {
        let servers = Servers::new(&checked(1, 1), None, None);
        servers.probed(0, bad());
        let mut config = checked(1, 1);
        config.servers.reverse();
        let reloaded = Servers::new(&config, None, Some(&servers));
        assert!(reloaded.available(0) && !reloaded.available(1));

        config.health = None;
        let unchecked = Servers::new(&config, None, Some(&reloaded));
        assert!(unchecked.available(1), "without checks nobody would ever bring it back");
    }

    #[test]
    fn metrics_show_health_checks_and_ejections() {
        let metrics = Registry::new();
        let servers = Servers::new(&checked(1, 1), None, None);
        let _shown = servers.expose(&metrics);
        let value = |family, labels: &[&str]| metrics.value(family, labels).unwrap();
        assert_eq!(value(&families::UPSTREAM_HEALTHY, &["pool", "s0:1"]), 1.0);
        fail(&servers, 0, 5);
        servers.probed(0, bad());
        servers.probed(0, Ok(200));
        servers.probed(0, Ok(200));
        assert_eq!(value(&families::UPSTREAM_HEALTHY, &["pool", "s0:1"]), 0.0, "ejected");
        assert_eq!(value(&families::UPSTREAM_EJECTIONS, &["pool", "s0:1"]), 1.0);
        assert_eq!(value(&families::UPSTREAM_CHECKS, &["pool", "s0:1", "passed"]), 2.0);
        assert_eq!(value(&families::UPSTREAM_CHECKS, &["pool", "s0:1", "failed"]), 1.0);
    }

    #[test]
    fn statuses_serialize() {
        let servers = Servers::new(&checked(1, 1), None, None);
        servers.probed(0, Ok(204));
        let json = serde_json::to_value(servers.status()).unwrap();
        assert_eq!(json["servers"][0]["state"], "healthy");
        assert_eq!(json["servers"][0]["last_check"]["status"], 204);
        assert_eq!(json["servers"][1]["state"], "unchecked");
    }
}
