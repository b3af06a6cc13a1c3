//! `forward`: pick a server, send, and try another one where that is safe (RFC 9110 §9.2.2).

use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use bytes::BytesMut;
use http::StatusCode;
use http::header::UPGRADE;

use super::body::{Content, RequestBody, ResponseBody};
use super::headers::{self, UpstreamRequest};
use super::{Conditions, Exchange, Refusal, route_of};
use crate::config::{Balance, Protocol, Route};
use crate::http1::framing::Framing;
use crate::http1::head::{Malformed, ResponseHead};
use crate::http2::stream::Then;
use crate::server::timer::Elapsed;
use crate::upstream::balance::{Tried, hash_key};
use crate::upstream::call::{Call, Expected};
use crate::upstream::conversation::Conversation;
use crate::upstream::gate::{Gate, Permit, Place, Start};
use crate::upstream::group::Group;
use crate::upstream::health::Outcome;
use crate::upstream::{Fault, Retry, http2};

/// A server's answer.
pub(super) struct Forwarded {
    /// The head.
    pub(super) head: ResponseHead,
    expected: Expected,
    call: Conversation,
}

impl Forwarded {
    pub(super) fn into_body(self) -> ResponseBody {
        ResponseBody::new(match self.expected {
            Expected::Nothing => Content::Empty,
            expected => Content::Upstream {
                held: None,
                call: Box::new(self.call),
                expected,
            },
        })
    }

    pub(super) fn into_parts(self) -> (ResponseHead, Conversation) {
        (self.head, self.call)
    }
}

/// Tries servers until one answers.
pub(super) async fn forward(exchange: &mut Exchange, conditions: &Conditions) -> Result<Forwarded, Refusal> {
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
            Some(gate) => pass(gate, exchange, group, &tried).await?,
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

/// One request on one connection to one server.
async fn attempt(
    exchange: &mut Exchange,
    route: &Route,
    group: &Group,
    server: usize,
    conditions: &Conditions,
) -> Result<Forwarded, Fault> {
    let state = exchange.state.clone();
    exchange.server = Some(group.server_name(server));
    let protocol = group.protocol();
    let kept = match protocol {
        Protocol::Http1 => Some(
            group
                .connection(
                    server,
                    exchange.busy.client().announced(),
                    route.timeouts.connect,
                    &exchange.worker.timer,
                )
                .await?,
        ),
        Protocol::Http2 => None,
    };

    let body = std::mem::replace(&mut exchange.body, RequestBody::none());
    let coding = match body.held_length() {
        Some(0) => Framing::None,
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    };
    // The new protocol begins behind the request (RFC 9110 §7.8): content on the way would be taken for it.
    let upgrade = protocol == Protocol::Http1 && coding == Framing::None && headers::wants_upgrade(&exchange.subject);
    let subject = &exchange.subject;
    let head = UpstreamRequest {
        subject,
        config: &state.snapshot.config,
        route,
        server: group.server(server),
        coding,
        upgrade,
        conditions,
        identity: exchange.busy.client().identity.as_deref().unwrap_or_default(),
    };
    let mut sent = Instant::now();
    let mut call = match kept {
        Some((connection, origin)) => {
            let pool = group.pool(server);
            let idle = route.timeouts.idle;
            let call = Call::start(connection, origin, pool, idle, body, coding, |out| head.write(out));
            Conversation::Http1(call)
        }
        None => {
            let then = if coding == Framing::None { Then::End } else { Then::More };
            let mut lines = BytesMut::new();
            head.write(&mut lines);
            let head = group.request_head(server, lines, headers::accepts_trailers(subject));
            let stream = group
                .stream(server, &head, then, route.timeouts.connect, &exchange.worker.timer)
                .await;
            let stream = match stream {
                Ok(stream) => stream,
                Err(fault) => {
                    exchange.body = body;
                    return Err(fault);
                }
            };
            sent = Instant::now();
            Conversation::Http2(http2::Call::start(stream, then, body, route.timeouts.idle))
        }
    };
    let pass_on = |cx: &mut Context<'_>, mut head: ResponseHead| exchange.interim.pass_on(cx, &mut head);
    match call
        .response(&subject.request.method, route.timeouts.response, pass_on)
        .await
    {
        // Nobody asked for another protocol, or nobody says which one it is (RFC 9110 §15.2.2).
        Ok((head, _))
            if head.status == StatusCode::SWITCHING_PROTOCOLS && !(upgrade && head.headers.contains_key(UPGRADE)) =>
        {
            Err(Fault::Malformed(Malformed::StartLine))
        }
        Ok((head, expected)) => {
            let elapsed = sent.elapsed();
            exchange.upstream_time = Some(elapsed);
            group.answered(server, head.status, elapsed);
            Ok(Forwarded { head, expected, call })
        }
        Err(fault) => {
            if let Some(body) = call.into_untouched_body() {
                exchange.body = body;
            } else if coding != Framing::None {
                exchange.body = RequestBody::spent();
            }
            Err(fault)
        }
    }
}

impl Exchange {
    /// Whether the body can go to another server: there is none, or nobody has taken any of it.
    fn body_is_repeatable(&self) -> bool {
        self.body.is_none() || self.body.is_untouched()
    }
}
