//! One worker's view of an upstream: its balancer, its connections and its counters.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use rustls_pki_types::ServerName;

use super::Fault;
use super::balance::Balancer;
use super::call::Origin;
use super::connect::{ClientTls, connect};
use super::gate::Gate;
use super::health::{Outcome, Servers};
use super::http2::{Links, RequestHead, Websocket};
use super::pool::{Connection, Pool};
use crate::config::{self, Config, Protocol, Server};
use crate::http2::stream::{Stream, Then};
use crate::proxy_protocol::{self, Announced};
use crate::server::timer::Timer;
use crate::telemetry::{Counter, Histogram, Registry, families};

/// An upstream, as one worker uses it.
#[derive(Debug)]
pub struct Group {
    /// The upstream's name.
    pub name: Arc<str>,
    /// Picks servers.
    pub balancer: Balancer,
    /// What all workers know about the servers.
    pub health: Arc<Servers>,
    /// Counts its requests in all workers, where they are limited.
    pub gate: Option<Arc<Gate>>,
    /// This worker's counters.
    pub metrics: GroupMetrics,
    index: usize,
    proxy_protocol: Option<proxy_protocol::Version>,
    members: Vec<Member>,
    protocol: Protocol,
    /// How long a connection without streams is kept.
    idle: Duration,
}

#[derive(Debug)]
struct Member {
    server: Server,
    tls: Option<ClientTls>,
    pool: Rc<Pool>,
    metrics: MemberMetrics,
    links: Rc<Links>,
    /// The same as `tls`, with HTTP/2 offered by ALPN.
    tls_http2: Option<ClientTls>,
}

/// Counters of the whole upstream.
#[derive(Debug)]
pub struct GroupMetrics {
    /// Attempts after the first one.
    pub retries: Counter,
}

#[derive(Debug)]
struct MemberMetrics {
    statuses: [Counter; 5],
    failures: [Counter; 6],
    connections: Counter,
    duration: Histogram,
}

const CAUSES: [&str; 6] = ["connect", "tls", "timeout", "reset", "malformed", "other"];

/// What an upstream has once for all workers.
#[derive(Debug)]
pub struct Shared<'a> {
    /// The health of its servers.
    pub health: Arc<Servers>,
    /// What bounds its concurrent requests, where something does.
    pub gate: Option<Arc<Gate>>,
    /// How its servers are connected to, where that is with TLS.
    pub tls: Option<&'a Arc<rustls::ClientConfig>>,
}

impl Group {
    /// Prepares an upstream for one worker. `pool_of` gives the pool for a server, the one of an earlier snapshot where there
    /// is one.
    #[must_use]
    pub fn new(
        index: usize,
        upstream: &config::Upstream,
        shared: Shared<'_>,
        worker: u64,
        registry: &Registry,
        mut pool_of: impl FnMut(&Server) -> Rc<Pool>,
    ) -> Self {
        let Shared { health, gate, tls } = shared;
        let with_http2 = tls.filter(|_| upstream.protocol == Protocol::Http2).map(with_http2);
        let tls_of = |config: &Arc<rustls::ClientConfig>, server: &Server| ClientTls {
            config: config.clone(),
            name: server_name(upstream, server),
        };
        let member = |server: &Server| {
            let pool = pool_of(server);
            Member {
                tls: tls.map(|config| tls_of(config, server)),
                tls_http2: with_http2.as_ref().map(|config| tls_of(config, server)),
                links: pool.links(),
                pool,
                metrics: MemberMetrics::new(registry, &upstream.name, &server.name),
                server: Server {
                    name: own(&server.name),
                    ..server.clone()
                },
            }
        };
        Self {
            members: upstream.servers.iter().map(member).collect(),
            name: own(&upstream.name),
            balancer: Balancer::new(upstream, health.clone(), worker),
            health,
            gate,
            metrics: GroupMetrics {
                retries: registry.counter(&families::UPSTREAM_RETRIES, &[&upstream.name]),
            },
            index,
            proxy_protocol: upstream.proxy_protocol,
            protocol: upstream.protocol,
            idle: upstream.idle_timeout,
        }
    }

    /// What the servers speak.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// What requests to a server are asked with: `https` or `http`.
    #[must_use]
    pub fn scheme(&self, index: usize) -> &'static str {
        match self.members[index].tls {
            Some(_) => "https",
            None => "http",
        }
    }

    /// A stream to a server that speaks HTTP/2, on a connection that is there or on a new one within `limit`.
    ///
    /// # Errors
    /// When none can be made, or the server does not speak it.
    pub async fn stream(
        &self,
        index: usize,
        head: &RequestHead,
        then: Then,
        limit: Duration,
        timer: &Timer,
    ) -> Result<Stream, Fault> {
        let member = &self.members[index];
        let connect = || member.dial_http2(limit, timer);
        member.links.open(head, then, timer, self.idle, connect).await
    }

    /// A stream for a WebSocket to a server that speaks HTTP/2, where it takes any (RFC 8441), within `limit`.
    ///
    /// # Errors
    /// When no connection can be made, or the server does not say in time whether it does.
    pub async fn websocket(
        &self,
        index: usize,
        head: &RequestHead,
        limit: Duration,
        timer: &Timer,
    ) -> Result<Websocket, Fault> {
        let member = &self.members[index];
        let connect = || member.dial_http2(limit, timer);
        member
            .links
            .open_websocket(head, timer, limit, self.idle, connect)
            .await
    }

    /// The upstream's configuration.
    #[must_use]
    pub fn config<'a>(&self, config: &'a Config) -> Option<&'a config::Upstream> {
        config.upstreams.get(self.index)
    }

    /// A server by its index; the balancer gives no other.
    #[must_use]
    pub fn server(&self, index: usize) -> &Server {
        &self.members[index].server
    }

    /// Its name.
    #[must_use]
    pub fn server_name(&self, index: usize) -> Arc<str> {
        self.members[index].server.name.clone()
    }

    /// Where its connections are kept.
    #[must_use]
    pub fn pool(&self, index: usize) -> Rc<Pool> {
        self.members[index].pool.clone()
    }

    /// A kept connection to a server.
    #[must_use]
    pub fn kept(&self, index: usize) -> Option<Connection> {
        self.members[index].pool.take()
    }

    /// A kept connection to a server, or a new one within `limit`. Where servers are told of clients, `client` is whom.
    ///
    /// # Errors
    /// When none can be made.
    pub async fn connection(
        &self,
        index: usize,
        client: Announced,
        limit: Duration,
        timer: &Timer,
    ) -> Result<(Connection, Origin), Fault> {
        if let Some(connection) = self.kept(index) {
            return Ok((connection, Origin::Kept));
        }
        let connection = self.dial(index, client, limit, timer).await?;
        Ok((connection, Origin::Fresh))
    }

    /// A new connection to a server within `limit`.
    ///
    /// # Errors
    /// When none can be made.
    pub async fn dial(
        &self,
        index: usize,
        client: Announced,
        limit: Duration,
        timer: &Timer,
    ) -> Result<Connection, Fault> {
        let member = &self.members[index];
        member.metrics.connections.increment();
        let hello = self
            .proxy_protocol
            .map(|version| proxy_protocol::header(version, client));
        let address = &member.server.address;
        connect(address, member.tls.as_ref(), hello.as_deref(), limit, timer).await
    }

    /// A server answered.
    pub fn answered(&self, index: usize, status: StatusCode, elapsed: Duration) {
        let metrics = &self.members[index].metrics;
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        metrics.statuses[class].increment();
        metrics
            .duration
            .observe(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX));
    }

    /// A server did not answer.
    pub fn failed(&self, index: usize, fault: &Fault) {
        if fault.blames_server() {
            self.health.report(index, Outcome::Failed);
        }
        if matches!(fault, Fault::Stale | Fault::Client(_)) {
            return;
        }
        let cause = match fault {
            Fault::Connect(_) => 0,
            Fault::Tls(_) => 1,
            Fault::ConnectTimeout | Fault::Timeout => 2,
            Fault::Closed | Fault::Refused | Fault::Io(_) => 3,
            Fault::Malformed(_) => 4,
            _ => 5,
        };
        self.members[index].metrics.failures[cause].increment();
    }
}

impl Member {
    /// A new connection on which HTTP/2 is spoken.
    async fn dial_http2(&self, limit: Duration, timer: &Timer) -> Result<Connection, Fault> {
        self.metrics.connections.increment();
        let connection = connect(&self.server.address, self.tls_http2.as_ref(), None, limit, timer).await?;
        if connection.io.refuses_http2() {
            return Err(Fault::Tls("the server does not speak HTTP/2 (ALPN)".to_owned()));
        }
        Ok(connection)
    }
}

impl MemberMetrics {
    fn new(registry: &Registry, upstream: &str, server: &str) -> Self {
        let status = |class| registry.counter(&families::UPSTREAM_REQUESTS, &[upstream, server, class]);
        Self {
            statuses: ["1xx", "2xx", "3xx", "4xx", "5xx"].map(status),
            failures: CAUSES.map(|cause| registry.counter(&families::UPSTREAM_FAILURES, &[upstream, server, cause])),
            connections: registry.counter(&families::UPSTREAM_CONNECTIONS, &[upstream, server]),
            duration: registry.histogram(&families::UPSTREAM_DURATION, &[upstream, server]),
        }
    }
}

/// The protocol is agreed on by ALPN (RFC 9113 §3.2).
fn with_http2(config: &Arc<rustls::ClientConfig>) -> Arc<rustls::ClientConfig> {
    let mut config = rustls::ClientConfig::clone(config);
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

/// A copy for this worker alone: every request counts references to it, and workers are not to share that count's cache line.
fn own(name: &Arc<str>) -> Arc<str> {
    Arc::from(&**name)
}

/// The name that a server is asked for through TLS: configured, or the host of its address.
fn server_name(upstream: &config::Upstream, server: &Server) -> ServerName<'static> {
    let configured = upstream.tls.as_ref().and_then(|tls| tls.server_name.clone());
    let name = configured.unwrap_or_else(|| match server.authority().rsplit_once(':') {
        Some((host, _)) => host.trim_matches(['[', ']']).to_owned(),
        None => server.authority().to_owned(),
    });
    ServerName::try_from(name).unwrap_or_else(|_| ServerName::IpAddress(server.address.ip().into()))
}
