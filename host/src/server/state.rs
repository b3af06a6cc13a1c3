//! One worker's side of a snapshot: everything that an exchange needs and that is built once per snapshot and worker.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Route;
use crate::connection::http1::Waits;
use crate::exchange::Refusal;
use crate::exchange::route::Router;
use crate::plugin::Chain;
use crate::snapshot::Snapshot;
use crate::telemetry::{Counter, Histogram, Registry, families};
use crate::upstream::group::Group;

/// A snapshot, prepared for one worker.
pub struct State {
    /// What was activated.
    pub snapshot: Arc<Snapshot>,
    /// Its routes, ranked.
    pub router: Router,
    /// This worker's plugins.
    pub chain: Rc<Chain>,
    /// This worker's counters.
    pub metrics: Metrics,
    /// How long clients that speak HTTP/1.1 are waited for.
    pub waits: Rc<Waits>,
    groups: Vec<Group>,
    announces_clients: bool,
    /// Copies for this worker alone: every request counts references to one, and workers are not to share that count's
    /// cache line.
    route_names: Vec<Arc<str>>,
}

impl State {
    /// Puts the parts together.
    #[must_use]
    pub fn new(snapshot: Arc<Snapshot>, chain: Rc<Chain>, groups: Vec<Group>, registry: &Arc<Registry>) -> Self {
        let router = Router::new(&snapshot.config.routes);
        let metrics = Metrics::new(registry, &snapshot.config.routes);
        let route_names = snapshot
            .config
            .routes
            .iter()
            .map(|route| Arc::from(&*route.name))
            .collect();
        let upstreams = &snapshot.config.upstreams;
        Self {
            waits: Waits::new(&snapshot.config),
            announces_clients: upstreams.iter().any(|upstream| upstream.proxy_protocol.is_some()),
            snapshot,
            router,
            chain,
            metrics,
            groups,
            route_names,
        }
    }

    /// An upstream by its index.
    #[must_use]
    pub fn upstream(&self, index: usize) -> Option<&Group> {
        self.groups.get(index)
    }

    /// Whether any server is told of clients by the PROXY protocol.
    #[must_use]
    pub fn announces_clients(&self) -> bool {
        self.announces_clients
    }

    /// A route with its name, by its index.
    ///
    /// # Errors
    /// When there is no such route.
    pub fn route(&self, index: Option<usize>) -> Result<(&Route, &Arc<str>), Refusal> {
        let index = index.ok_or(Refusal::NotFound)?;
        let route = self.snapshot.config.routes.get(index).zip(self.route_names.get(index));
        route.ok_or(Refusal::NotFound)
    }

    /// The upstream that a route names.
    ///
    /// # Errors
    /// Never, for a valid configuration.
    pub fn group(&self, route: &Route) -> Result<&Group, Refusal> {
        self.groups.get(route.upstream).ok_or(Refusal::NotFound)
    }
}

/// Counters of finished exchanges, made when they are first needed: most pairs of listener and route never meet.
pub struct Metrics {
    listeners: RefCell<Vec<ListenerMetrics>>,
    routes: Vec<Arc<str>>,
    registry: Arc<Registry>,
}

struct ListenerMetrics {
    request_bytes: Counter,
    response_bytes: Counter,
    /// One a route, and one more for requests that no route took.
    routes: Vec<Option<RouteMetrics>>,
}

struct RouteMetrics {
    statuses: [Counter; 6],
    duration: Histogram,
}

/// An exchange that is over.
#[derive(Debug, Clone, Copy)]
pub struct Finished<'a> {
    /// The listener's name.
    pub listener: &'a str,
    /// Its place in the worker's counters.
    pub slot: usize,
    /// The route's index, once routed.
    pub route: Option<usize>,
    /// What the client got; 0 for nothing.
    pub status: u16,
    /// From the request head to the last byte of the response.
    pub duration: Duration,
    /// Of the request body.
    pub request_bytes: u64,
    /// Of the response body.
    pub response_bytes: u64,
    /// Why Weir itself answered.
    pub refusal: Option<&'static str>,
}

impl Metrics {
    fn new(registry: &Arc<Registry>, routes: &[Route]) -> Self {
        let routes = routes.iter().map(|route| route.name.clone()).collect();
        Self {
            listeners: RefCell::default(),
            routes,
            registry: registry.clone(),
        }
    }

    /// Counts an exchange that is over.
    pub fn finished(&self, finished: &Finished<'_>) {
        let mut listeners = self.listeners.borrow_mut();
        while listeners.len() <= finished.slot {
            listeners.push(ListenerMetrics::new(
                &self.registry,
                finished.listener,
                self.routes.len() + 1,
            ));
        }
        let listener = &mut listeners[finished.slot];
        listener.request_bytes.add(finished.request_bytes);
        listener.response_bytes.add(finished.response_bytes);
        let index = finished.route.unwrap_or(self.routes.len());
        if let Some(metrics) = listener.routes.get_mut(index) {
            let metrics = metrics.get_or_insert_with(|| {
                let route = self.routes.get(index).map_or("-", |name| name);
                RouteMetrics::new(&self.registry, finished.listener, route)
            });
            if let Some(counter) = metrics.statuses.get(usize::from(finished.status / 100)) {
                counter.increment();
            }
            metrics
                .duration
                .observe(u64::try_from(finished.duration.as_nanos()).unwrap_or(u64::MAX));
        }
        if let Some(reason) = finished.refusal {
            // Rare, and the list of reasons is long: looked up when it happens.
            self.registry.shared_counter(&families::REFUSALS, &[reason]).increment();
        }
    }
}

impl ListenerMetrics {
    fn new(registry: &Registry, listener: &str, routes: usize) -> Self {
        Self {
            request_bytes: registry.counter(&families::REQUEST_BYTES, &[listener]),
            response_bytes: registry.counter(&families::RESPONSE_BYTES, &[listener]),
            routes: (0..routes).map(|_| None).collect(),
        }
    }
}

impl RouteMetrics {
    fn new(registry: &Registry, listener: &str, route: &str) -> Self {
        let status = |class| registry.counter(&families::REQUESTS, &[listener, route, class]);
        Self {
            statuses: ["none", "1xx", "2xx", "3xx", "4xx", "5xx"].map(status),
            duration: registry.histogram(&families::REQUEST_DURATION, &[route]),
        }
    }
}
