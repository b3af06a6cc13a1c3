//! `forward`: pick a server, send, and try another one where that is safe (RFC 9110 §9.2.2).

use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use bytes::BytesMut;
use http::StatusCode;
use http::header::UPGRADE;

use super::body::{Content, RequestBody, ResponseBody};
use super::headers::{self, UpstreamRequest};
use super::slices::{Slicing, Unusable};
use super::{Conditions, Ending, Exchange, Refusal, route_of, upgrade};
use crate::cache::{Late, Status};
use crate::config::{Balance, Protocol, Route};
use crate::http1::framing::Framing;
use crate::http1::head::{Malformed, ResponseHead};
use crate::http2::stream::{Stream, Then};
use crate::server::state::State;
use crate::server::timer::Elapsed;
use crate::upstream::balance::{Tried, hash_key};
use crate::upstream::call::{Call, Expected, Origin};
use crate::upstream::conversation::Conversation;
use crate::upstream::gate::{Gate, Permit, Place, Start};
use crate::upstream::group::Group;
use crate::upstream::health::Outcome;
use crate::upstream::http2::{Asks, RequestHead, Websocket};
use crate::upstream::pool::Connection;
use crate::upstream::{Fault, Retry, http2};

impl Exchange {
    /// `forward`: the request to a server, its response head into the subject.
    pub(super) async fn forward(&mut self) -> Result<ResponseBody, Ending> {
        if self.fetch.is_some() {
            if let Err(refusal) = Box::pin(self.take_turn()).await {
                return self.without_origin(refusal);
            }
            self.begin_slicing();
        }
        loop {
            let body = self.send().await?;
            match self.judge_slice() {
                Ok(()) => return Ok(body),
                // A slice of a known version is for nobody but who asked for it.
                Err(Unusable) if matches!(self.slicing, Slicing::Another(..)) => return Err(Refusal::NotCached.into()),
                Err(Unusable) => {
                    self.cache = "bypass";
                    self.cache_status = Some(Status::bypassed("slice"));
                }
            }
        }
    }

    /// Waits for a turn where the origin is to be asked on behalf of the cache.
    async fn take_turn(&mut self) -> Result<(), Refusal> {
        let Some(fetch) = &mut self.fetch else { return Ok(()) };
        let group = self.state.group(route_of(&self.state, self.route)?)?;
        fetch.take_turn(&group.name).await.map_err(|Late| Refusal::OriginBusy)
    }

    /// One request to a server, its response head into the subject.
    async fn send(&mut self) -> Result<ResponseBody, Ending> {
        let mut conditions = Conditions::new();
        if let Some(fetch) = &self.fetch {
            fetch.strip_conditions(&mut self.subject.request.headers);
            conditions = fetch.validators();
        }
        if let Slicing::Asked(slice, _) | Slicing::Another(slice, _) = &self.slicing {
            conditions.push(slice.range());
        }
        let mut forwarded = match try_servers(self, &conditions).await {
            Ok(forwarded) => forwarded,
            Err(fault) => return self.without_origin(fault),
        };
        if forwarded.head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Ending::Switched(Box::new(forwarded)));
        }
        headers::strip_response(&mut forwarded.head.headers);
        let (head, body) = forwarded.into_response();
        self.subject.response = Some(head);
        Ok(body)
    }

    /// No server answered: what is stale is better than nothing (RFC 9111 §4.2.4).
    fn without_origin(&mut self, refusal: Refusal) -> Result<ResponseBody, Ending> {
        match self.fetch.take().and_then(|fetch| fetch.on_failure()) {
            Some(hit) => Ok(self.serve(&hit, None)),
            None => Err(refusal.into()),
        }
    }
}

/// A server's answer.
pub(super) struct Forwarded {
    /// The head.
    pub(super) head: ResponseHead,
    expected: Expected,
    call: Box<Conversation>,
}

impl Forwarded {
    fn into_response(self) -> (ResponseHead, ResponseBody) {
        let content = match self.expected {
            Expected::Nothing => Content::Empty,
            expected => Content::Upstream {
                held: None,
                call: self.call,
                expected,
            },
        };
        (self.head, ResponseBody::new(content))
    }

    pub(super) fn into_parts(self) -> (ResponseHead, Box<Conversation>) {
        (self.head, self.call)
    }
}

/// Tries servers until one answers.
async fn try_servers(exchange: &mut Exchange, conditions: &Conditions) -> Result<Forwarded, Refusal> {
    let state = exchange.state.clone();
    let route = route_of(&state, exchange.route)?;
    let group = state.group(route)?;
    let mut tried = Tried::new();
    let mut attempts = 0;
    let mut last = Fault::NoServer;
    loop {
        let key = || key(exchange, group);
        let picked = match &group.gate {
            None => group.balancer.pick(key, &tried).map(|server| (server, None)),
            Some(gate) => Box::pin(pass(gate, exchange, group, &tried)).await?,
        };
        let Some((server, permit)) = picked else {
            return Err(last.into());
        };
        let mut running = group.balancer.start(server);
        running.hold(permit);
        exchange.running = Some(running);
        let fault = match attempt(exchange, route, group, server, conditions).await {
            Ok(forwarded) => {
                group.health.report(server, Outcome::Answered);
                return Ok(forwarded);
            }
            Err(fault) => fault,
        };
        exchange.running = None;
        group.failed(server, &fault);
        let repeatable = exchange.body_is_repeatable()
            && match fault.retry() {
                Retry::Safe => true,
                Retry::IfIdempotent => exchange.subject.request.method.is_idempotent(),
                Retry::Never => false,
            };
        // A kept connection that turned out closed says nothing about its server, and costs no attempt.
        if !matches!(fault, Fault::Stale) {
            attempts += 1;
            tried.insert(server);
        }
        if !repeatable || attempts > route.retries {
            tracing::debug!(
                id = %exchange.subject.id, upstream = %group.name, server = %group.server_name(server), error = %fault,
                "no answer from a server",
            );
            return Err(fault.into());
        }
        last = fault;
        group.metrics.retries.increment();
    }
}

/// What consistent hashing places the request by.
fn key(exchange: &Exchange, group: &Group) -> u64 {
    let upstream = group.config(&exchange.state.snapshot.config);
    match upstream.map(|upstream| &upstream.balance) {
        Some(Balance::ConsistentHash(key)) => hash_key(key, &exchange.subject),
        _ => 0,
    }
}

/// A server of an upstream whose requests are limited, once there is room.
async fn pass(
    gate: &Arc<Gate>,
    exchange: &Exchange,
    group: &Group,
    tried: &Tried,
) -> Result<Option<(usize, Option<Permit>)>, Fault> {
    let limits = group
        .config(&exchange.state.snapshot.config)
        .map(|upstream| &upstream.concurrency);
    let patience = limits.map(|limits| limits.queue_timeout).unwrap_or_default();
    let deadline = exchange.worker.timer.deadline();
    deadline.set(patience);
    let mut place = Place::Newest;
    loop {
        let pick = |excluded: &Tried| group.balancer.pick(|| key(exchange, group), excluded);
        match gate.start(place, tried, pick) {
            Start::Go(server, permit) => return Ok(Some((server, Some(permit)))),
            Start::NoServer => return Ok(None),
            Start::Full => return Err(Fault::QueueFull),
            Start::Wait(turn) => deadline
                .or_late(turn.comes())
                .await
                .map_err(|Elapsed| Fault::QueueTimeout)?,
        }
        place = Place::First;
    }
}

/// One request to one server.
async fn attempt(
    exchange: &mut Exchange,
    route: &Route,
    group: &Group,
    server: usize,
    conditions: &Conditions,
) -> Result<Forwarded, Fault> {
    exchange.server = Some(group.server_name(server));
    let coding = match exchange.body.held_length() {
        Some(0) => Framing::None,
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    };
    let attempt = Attempt {
        state: exchange.state.clone(),
        route,
        group,
        server,
        conditions,
        coding,
        // The new protocol begins behind the request (RFC 9110 §7.8): content on the way would be taken for it.
        upgrade: coding == Framing::None && headers::wants_upgrade(&exchange.subject),
    };
    let way = match attempt.kept() {
        Some(way) => way,
        // Connecting takes thousands of bytes, which are not to be moved about for each request.
        None => Box::pin(attempt.open(exchange)).await?,
    };
    let body = std::mem::replace(&mut exchange.body, RequestBody::none());
    let idle = route.timeouts.idle;
    let sent = Instant::now();
    let asked = Asked::of(&way, group.protocol());
    // Boxed at once: it is moved through all phases that follow.
    let mut call = Box::new(match way {
        Way::Connection(connection, origin) => {
            let head = attempt.head(exchange, attempt.upgrade);
            let pool = group.pool(server);
            let call = Call::start(connection, origin, pool, idle, body, coding, |out| head.write(out));
            Conversation::Http1(call)
        }
        Way::Stream(stream, then) => Conversation::Http2(http2::Call::start(stream, then, body, idle)),
        Way::Websocket(stream) => Conversation::Http2(http2::Call::connect(stream, idle)),
    });
    let request = &exchange.subject.request;
    let pass_on = |cx: &mut Context<'_>, mut head: ResponseHead| exchange.interim.pass_on(cx, &mut head);
    match call.response(&request.method, route.timeouts.response, pass_on).await {
        // Nobody asked for another protocol, or nobody says which one it is (RFC 9110 §15.2.2).
        Ok((head, _))
            if head.status == StatusCode::SWITCHING_PROTOCOLS
                && !(attempt.upgrade && head.headers.contains_key(UPGRADE)) =>
        {
            Err(Fault::Malformed(Malformed::StartLine))
        }
        Ok((mut head, expected)) => {
            let elapsed = sent.elapsed();
            exchange.upstream_time = Some(elapsed);
            group.answered(server, head.status, elapsed);
            if asked == Asked::Tunnel && head.status.is_success() {
                upgrade::switch(&mut head, &request.headers);
            }
            Ok(Forwarded { head, expected, call })
        }
        Err(fault) => {
            if let Some(body) = call.into_untouched_body() {
                exchange.body = body;
            } else if coding != Framing::None {
                exchange.body = RequestBody::spent();
            }
            Err(match asked {
                Asked::Upgrade => upgrade::blameless(fault),
                Asked::Response | Asked::Tunnel => fault,
            })
        }
    }
}

/// All that a request to a server is made of, besides the exchange.
struct Attempt<'a> {
    state: Rc<State>,
    route: &'a Route,
    group: &'a Group,
    server: usize,
    conditions: &'a Conditions,
    coding: Framing,
    /// Whether the client asks for another protocol, and may.
    upgrade: bool,
}

/// Where a request goes.
enum Way {
    /// On a connection of its own, in HTTP/1.1.
    Connection(Connection, Origin),
    /// On a stream, which has its head already.
    Stream(Stream, Then),
    /// On a stream, as an extended CONNECT (RFC 8441).
    Websocket(Stream),
}

/// What a server is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// What its upstream is there for.
    Response,
    /// An upgrade of HTTP/1.1, although its upstream speaks HTTP/2.
    Upgrade,
    /// An extended CONNECT.
    Tunnel,
}

impl Asked {
    fn of(way: &Way, protocol: Protocol) -> Self {
        match (way, protocol) {
            (Way::Websocket(_), _) => Self::Tunnel,
            (Way::Connection(..), Protocol::Http2) => Self::Upgrade,
            (Way::Connection(..), Protocol::Http1) | (Way::Stream(..), _) => Self::Response,
        }
    }
}

impl Attempt<'_> {
    /// A connection that is there already.
    fn kept(&self) -> Option<Way> {
        match self.group.protocol() {
            Protocol::Http1 => {
                let connection = self.group.kept(self.server)?;
                Some(Way::Connection(connection, Origin::Kept))
            }
            Protocol::Http2 => None,
        }
    }

    /// A connection or a stream to the server, where none is [kept](Self::kept).
    async fn open(&self, exchange: &Exchange) -> Result<Way, Fault> {
        let Self { group, server, .. } = *self;
        let (limit, timer) = (self.route.timeouts.connect, &exchange.worker.timer);
        let connection = || group.connection(server, exchange.busy.client().announced(), limit, timer);
        match group.protocol() {
            Protocol::Http1 => {
                let (connection, origin) = connection().await?;
                Ok(Way::Connection(connection, origin))
            }
            Protocol::Http2 if self.upgrade && upgrade::is_websocket(&exchange.subject) => {
                let head = self.stream_head(exchange, Asks::Websocket);
                match group.websocket(server, &head, limit, timer).await? {
                    Websocket::Stream(stream) => Ok(Way::Websocket(stream)),
                    Websocket::Unknown => {
                        let (connection, origin) = connection().await.map_err(upgrade::blameless)?;
                        Ok(Way::Connection(connection, origin))
                    }
                }
            }
            Protocol::Http2 => {
                let head = self.stream_head(exchange, Asks::Response);
                let then = if self.coding == Framing::None {
                    Then::End
                } else {
                    Then::More
                };
                let stream = group.stream(server, &head, then, limit, timer).await?;
                Ok(Way::Stream(stream, then))
            }
        }
    }

    fn stream_head(&self, exchange: &Exchange, asks: Asks) -> RequestHead {
        let mut lines = BytesMut::new();
        self.head(exchange, false).write(&mut lines);
        let trailers = headers::accepts_trailers(&exchange.subject);
        RequestHead::new(lines, self.group.scheme(self.server), trailers, asks)
    }

    fn head<'a>(&'a self, exchange: &'a Exchange, upgrade: bool) -> UpstreamRequest<'a> {
        UpstreamRequest {
            subject: &exchange.subject,
            config: &self.state.snapshot.config,
            route: self.route,
            server: self.group.server(self.server),
            coding: self.coding,
            upgrade,
            conditions: self.conditions,
            identity: exchange.busy.client().identity.as_deref().unwrap_or_default(),
        }
    }
}

impl Exchange {
    /// Whether the body can go to another server: there is none, or nobody has taken any of it.
    fn body_is_repeatable(&self) -> bool {
        self.body.is_none() || self.body.is_untouched()
    }
}
