//! One worker: a thread, its runtime, and everything that it owns alone.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::state::State;
use super::timer::Timer;
use crate::allocator::on_heap;
use crate::cache::Cache;
use crate::config::{Endpoint, Server};
use crate::connection::Client;
use crate::control::Control;
use crate::exchange::subject::{RequestId, Subject};
use crate::http1::head::RequestHead;
use crate::plugin::Chain;
use crate::snapshot::Snapshot;
use crate::telemetry::Record;
use crate::telemetry::access_log::{TcpRecord, WorkerLog};
use crate::upstream::group::{Group, Shared};
use crate::upstream::pool::Pool;

/// Subjects kept for the moments in which a plugin has the real one.
const VACANT: usize = 16;

/// What one thread owns. Everything reached from here is touched by this thread alone, unless it says otherwise.
pub struct Worker {
    /// 0 for the first.
    pub index: usize,
    /// Deadlines and the time.
    pub timer: Timer,
    /// Set when the process ends: the next answer on a connection is its last.
    pub retiring: Cell<bool>,
    /// Set when connections without a request are closed besides.
    pub draining: Rc<Cell<bool>>,
    /// Client connections of this worker that are open.
    pub connections: Cell<usize>,
    control: Arc<Control>,
    state: RefCell<Rc<State>>,
    pools: RefCell<HashMap<PoolKey, Rc<Pool>>>,
    log: WorkerLog,
    id_high: u64,
    id_low: Cell<u64>,
    #[allow(clippy::vec_box, reason = "a subject is lent by moving its box")]
    vacant: RefCell<Vec<Box<Subject>>>,
    /// Names of listeners, in the order in which this worker met them.
    listeners: RefCell<Vec<Arc<str>>>,
}

/// Connections are shared by upstreams that reach the same server in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PoolKey {
    address: Endpoint,
    /// The upstream's name, where TLS settings are its own.
    tls: Option<Arc<str>>,
}

impl Worker {
    /// Prepares a worker on its own thread.
    ///
    /// # Errors
    /// When its first plugin instances cannot be made, or the system gives no random bytes for TLS.
    pub fn new(index: usize, control: Arc<Control>) -> anyhow::Result<Rc<Self>> {
        let timer = Timer::new();
        let pools = RefCell::default();
        let snapshot = control.current();
        if uses_tls(&snapshot) {
            gather_entropy()?;
        }
        // Identifiers have to be unique among all processes, and nobody has to be kept from guessing them.
        let seed = RandomState::new();
        let state = prepare(index, &control, snapshot, &timer, &pools)?;
        Ok(Rc::new(Self {
            index,
            timer,
            retiring: Cell::new(false),
            draining: Rc::default(),
            connections: Cell::new(0),
            log: control.access_log().worker(),
            control,
            state: RefCell::new(Rc::new(state)),
            pools,
            id_high: seed.hash_one("high"),
            id_low: Cell::new(seed.hash_one("low")),
            vacant: RefCell::default(),
            listeners: RefCell::default(),
        }))
    }

    /// What is active: looked at once per exchange, and prepared anew when it has changed.
    #[must_use]
    pub fn state(&self) -> Rc<State> {
        let state = self.state.borrow().clone();
        if state.snapshot.serial == self.control.serial() {
            return state;
        }
        let snapshot = self.control.current();
        match prepare(self.index, &self.control, snapshot, &self.timer, &self.pools) {
            Ok(fresh) => {
                let fresh = Rc::new(fresh);
                *self.state.borrow_mut() = fresh.clone();
                fresh
            }
            Err(error) => {
                // Activation made an instance of every plugin, so this is memory running out: stay on what works.
                tracing::error!(%error, worker = self.index, "cannot prepare the new snapshot; keeping the old one");
                state
            }
        }
    }

    /// The cache of the process.
    #[must_use]
    pub fn cache(&self) -> &Arc<Cache> {
        self.control.cache()
    }

    /// What controls the process.
    #[must_use]
    pub fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// Writes an access log line.
    pub fn log(&self, record: &Record<'_>) {
        self.log.record(record);
    }

    /// Writes a plugin's event.
    pub fn log_event(&self, line: &str) {
        self.log.event(line);
    }

    /// Writes the access log line of a connection that was balanced as bytes.
    pub fn log_tcp(&self, record: &TcpRecord<'_>) {
        self.log.record_tcp(record);
    }

    /// The subject of a new exchange.
    #[must_use]
    pub fn subject(&self, client: &Client, request: Box<RequestHead>) -> Box<Subject> {
        let low = self.id_low.get().wrapping_add(1);
        self.id_low.set(low);
        on_heap(|| Subject {
            id: RequestId(u128::from(self.id_high) << 64 | u128::from(low)),
            peer: client.peer,
            client_ip: client.peer.ip().to_canonical(),
            scheme: client.scheme,
            host: Bytes::new(),
            request,
            refused: None,
            response: None,
            upstream_target: None,
            route: self.unrouted(),
            notes: Vec::new(),
            events: Vec::new(),
            caching: crate::exchange::subject::Caching::default(),
        })
    }

    /// A subject that stands in while plugins have the real one.
    #[must_use]
    pub fn vacant_subject(&self) -> Box<Subject> {
        self.vacant
            .borrow_mut()
            .pop()
            .unwrap_or_else(|| Box::new(Subject::vacant()))
    }

    /// Keeps a stand-in for the next time.
    pub fn give_back(&self, vacant: Box<Subject>) {
        let mut kept = self.vacant.borrow_mut();
        if kept.len() < VACANT {
            kept.push(vacant);
        }
    }

    /// A listener's place in this worker's counters.
    #[must_use]
    pub fn slot(&self, listener: &Arc<str>) -> usize {
        let mut listeners = self.listeners.borrow_mut();
        listeners.iter().position(|known| known == listener).unwrap_or_else(|| {
            listeners.push(listener.clone());
            listeners.len() - 1
        })
    }

    /// Closes connections to servers that nobody used for too long.
    pub fn sweep(&self) {
        let mut pools = self.pools.borrow_mut();
        for pool in pools.values() {
            pool.sweep();
        }
        // A pool that only this map still holds belongs to no server of the current snapshot.
        pools.retain(|_, pool| Rc::strong_count(pool) > 1 || !pool.is_empty());
    }

    fn unrouted(&self) -> Arc<str> {
        thread_local! {
            static UNROUTED: Arc<str> = Arc::from("");
        }
        UNROUTED.with(Arc::clone)
    }
}

fn uses_tls(snapshot: &Snapshot) -> bool {
    let listens = snapshot.config.listeners.iter().any(|listener| listener.tls.is_some());
    listens || snapshot.client_tls.iter().any(Option::is_some)
}

/// Seeds this thread's generator, which the cryptographic library does from the processor's jitter when it is first used: that
/// takes 60 ms, which are better spent before the first handshake than in it.
fn gather_entropy() -> anyhow::Result<()> {
    rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut [0])
        .map_err(|_| anyhow::anyhow!("the system gives no random bytes"))
}

fn prepare(
    index: usize,
    control: &Arc<Control>,
    snapshot: Arc<Snapshot>,
    timer: &Timer,
    pools: &RefCell<HashMap<PoolKey, Rc<Pool>>>,
) -> anyhow::Result<State> {
    let chain = Chain::new(&snapshot.plugins)?;
    let registry = control.metrics();
    let group = |(at, upstream): (usize, &crate::config::Upstream)| {
        let tls = snapshot.client_tls.get(at).and_then(Option::as_ref);
        let pool_of = |server: &Server| {
            let key = PoolKey {
                address: server.address.clone(),
                tls: tls.map(|_| upstream.name.clone()),
            };
            if upstream.proxy_protocol.is_some() {
                // A connection that was opened for one client serves no other.
                return Pool::new(0, upstream.idle_timeout, timer);
            }
            let mut pools = pools.borrow_mut();
            pools
                .entry(key)
                .or_insert_with(|| Pool::new(upstream.keep_alive, upstream.idle_timeout, timer))
                .clone()
        };
        let shared = Shared {
            health: snapshot.health[at].clone(),
            gate: snapshot.gates.get(at).cloned().flatten(),
            tls,
        };
        Group::new(at, upstream, shared, index as u64, registry, pool_of)
    };
    let groups = snapshot.config.upstreams.iter().enumerate().map(group).collect();
    Ok(State::new(snapshot, chain, groups, registry))
}
