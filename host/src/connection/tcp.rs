//! A connection that is balanced as bytes: by the name in its TLS handshake, which is read and passed on untouched, or after
//! Weir has ended TLS itself.

use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rustls::server::Acceptor;
use tokio::io::AsyncReadExt as _;

use super::Client;
use super::tunnel::{self, Carried};
use crate::config::tcp::TcpRoute;
use crate::http1::stream::Stream;
use crate::server::worker::Worker;
use crate::telemetry::access_log::TcpRecord;
use crate::telemetry::families;
use crate::upstream::Fault;
use crate::upstream::balance::{Tried, address_hash};
use crate::upstream::group::Group;
use crate::upstream::health::Outcome;
use crate::upstream::pool::Connection;

/// Longest TLS handshake message in which a name is looked for, in bytes: longer than any client's, shorter than what a
/// client may make a worker hold.
const LONGEST_HELLO: usize = 32 * 1024;

/// What a connection came to, for its log line and counters.
#[derive(Debug, Default)]
struct Course {
    route: Option<Arc<str>>,
    server_name: Option<String>,
    server: Option<Arc<str>>,
    connected: Option<Duration>,
    carried: Carried,
}

/// Why a connection was not balanced.
#[derive(Debug)]
enum Refused {
    /// The client closed, or said nothing in time, before the name was known.
    Hello,
    /// No route of the listener takes it.
    NoRoute,
    /// No server could be connected to.
    Upstream(Fault),
}

impl Refused {
    fn as_str(&self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::NoRoute => "no_route",
            Self::Upstream(fault) => fault.as_str(),
        }
    }
}

/// Carries bytes between a client and a server until one of them ends it.
pub async fn serve(worker: Rc<Worker>, client: Rc<Client>, stream: Stream) {
    let started = Instant::now();
    let mut course = Course::default();
    let result = match balance(&worker, &client, stream, started, &mut course).await {
        Ok(()) => course.carried.end.as_str(),
        Err(refused) => refused.as_str(),
    };
    finish(&worker, &client, started, &course, result);
}

async fn balance(
    worker: &Rc<Worker>,
    client: &Client,
    mut stream: Stream,
    started: Instant,
    course: &mut Course,
) -> Result<(), Refused> {
    let state = worker.state();
    let routes = || {
        let routes = state.snapshot.config.tcp_routes.iter();
        routes.filter(|route| route.listener == client.listener)
    };
    let named = routes().any(|route| !route.server_names.is_empty());
    let mut received = BytesMut::new();
    course.server_name = match &mut stream {
        Stream::TlsServer(stream) => stream.get_ref().1.server_name().map(str::to_owned),
        stream if named => {
            let deadline = worker.timer.deadline();
            let limit = state.snapshot.config.timeouts.handshake;
            let reading = read_server_name(stream, &mut received);
            let read = deadline.within(limit, reading).await;
            read.map_err(|_| Refused::Hello)?.map_err(|_| Refused::Hello)?
        }
        _ => None,
    };
    let name = course.server_name.as_deref();
    let route = routes()
        .filter_map(|route| Some((route.rank(name)?, route)))
        .max_by_key(|(rank, _)| *rank)
        .map(|(_, route)| route)
        .ok_or(Refused::NoRoute)?;
    course.route = Some(route.name.clone());
    let group = state.upstream(route.upstream).ok_or(Refused::NoRoute)?;
    let (connection, server) = connect(worker, client, route, group, course).await?;
    course.connected = Some(started.elapsed());
    let _running = group.balancer.start(server);
    let idle = route.idle_timeout;
    let to_server = connection.io.into_parts();
    // What runs for hours is not to keep its configuration alive.
    drop(state);
    course.carried = tunnel::run(worker, (stream, received), to_server, idle).await;
    Ok(())
}

/// The name that a client asks for in its first TLS message (SNI), which is left in `received` as it came. Nothing for a client
/// that asks for none, or does not speak TLS.
async fn read_server_name(stream: &mut Stream, received: &mut BytesMut) -> io::Result<Option<String>> {
    let mut acceptor = Acceptor::default();
    loop {
        let had = received.len();
        if stream.read_buf(received).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut fresh = received.get(had..).unwrap_or_default();
        while !fresh.is_empty() {
            // What cannot be read is for the server to judge.
            if acceptor.read_tls(&mut fresh).is_err() {
                return Ok(None);
            }
            match acceptor.accept() {
                Ok(Some(accepted)) => {
                    let name = accepted.client_hello().server_name().map(str::to_ascii_lowercase);
                    return Ok(name);
                }
                Ok(None) => {}
                Err(_) => return Ok(None),
            }
        }
        if received.len() > LONGEST_HELLO {
            return Ok(None);
        }
    }
}

/// A connection to one of the servers, and which. Nothing of the client's has been sent, so that every failure may be tried
/// elsewhere.
async fn connect(
    worker: &Rc<Worker>,
    client: &Client,
    route: &TcpRoute,
    group: &Group,
    course: &mut Course,
) -> Result<(Connection, usize), Refused> {
    let mut tried = Tried::new();
    let mut last = Fault::NoServer;
    let address = client.peer.ip().to_canonical();
    for attempt in 0..=route.retries {
        let key = || address_hash(address);
        let Some(server) = group.balancer.pick(key, &tried) else {
            break;
        };
        course.server = Some(group.server_name(server));
        if attempt > 0 {
            group.metrics.retries.increment();
        }
        match group
            .dial(server, client.announced(), route.connect_timeout, &worker.timer)
            .await
        {
            Ok(connection) => {
                group.health.report(server, Outcome::Answered);
                return Ok((connection, server));
            }
            Err(fault) => {
                group.failed(server, &fault);
                tried.insert(server);
                last = fault;
            }
        }
    }
    tracing::debug!(route = %route.name, error = %last, "no server for a connection");
    Err(Refused::Upstream(last))
}

fn finish(worker: &Worker, client: &Client, started: Instant, course: &Course, result: &'static str) {
    let metrics = worker.control().metrics();
    let route = course.route.as_deref().unwrap_or("-");
    // Once a connection, so that the counters are looked up.
    let count = |family, labels: &[&str], by| metrics.shared_counter(family, labels).add(by);
    count(&families::TCP_CONNECTIONS, &[&client.listener, route, result], 1);
    let carried = &course.carried;
    count(&families::TCP_BYTES, &[&client.listener, route, "received"], carried.up);
    count(&families::TCP_BYTES, &[&client.listener, route, "sent"], carried.down);
    let peer: IpAddr = client.peer.ip().to_canonical();
    worker.log_tcp(&TcpRecord {
        client: peer,
        listener: &client.listener,
        scheme: client.scheme,
        server_name: course.server_name.as_deref(),
        route: course.route.as_deref(),
        server: course.server.as_deref(),
        received_bytes: carried.up,
        sent_bytes: carried.down,
        duration: started.elapsed(),
        connect_time: course.connected,
        result,
    });
}
