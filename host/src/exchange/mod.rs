//! The spine: what happens to one request, from its head to its last byte.
//!
//! [`Exchange::answer`] is the list of phases in the order in which they happen. The files of this room are opened in that
//! order: [`admit`], [`route`], [`plugins`]' `on_request`, the cache ([`caching`]), [`forward`], plugins' `on_response`,
//! [`conclude`], [`finish`]. [`refusal`] is the one place where an error becomes an answer.

pub mod admit;
pub mod body;
pub mod budget;
mod caching;
pub mod cdn_loop;
pub mod compress;
mod conclude;
mod fill;
pub mod finish;
pub mod forward;
pub mod headers;
mod plugins;
pub mod purge;
pub mod query;
pub mod reasons;
mod redirect;
mod refresh;
pub mod refusal;
pub mod refused;
pub mod response;
pub mod route;
mod several;
mod slices;
pub mod subject;
mod upgrade;

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use http::header::{HeaderName, HeaderValue};
use scopeguard::ScopeGuard;

pub use self::refusal::Refusal;

use self::body::{Content, Received, RequestBody, ResponseBody};
use self::caching::{Caching, Looked};
use self::finish::Delivery;
use self::forward::Forwarded;
use self::response::Response;
use self::slices::Slicing;
use self::subject::{Reply, Subject};
use crate::allocator::on_heap;
use crate::cache::{Fetch, Status};
use crate::config::Route;
use crate::connection::http1::ClientInterim;
use crate::connection::{Busy, Client};
use crate::http1::head::{RequestHead, ResponseHead};
use crate::http2;
use crate::plugin::{Phase, Session};
use crate::server::state::State;
use crate::server::worker::Worker;
use crate::upstream::balance::Running;
use crate::upstream::far::Far;

/// How an exchange ends, as its connection sees it.
pub enum Answer {
    /// A response for the client.
    Response(Response),
    /// A response, after which the connection is closed.
    Last(Response),
    /// Both sides switch protocols (RFC 9110 §15.2.2): after this head, bytes both ways.
    Tunnel {
        /// The 101, which keeps the exchange unfinished while it is held.
        response: Response,
        /// The server's end.
        stream: Far,
        /// What the server has sent on it already.
        received: BytesMut,
    },
    /// Nothing; the connection is closed.
    Close,
}

/// Where interim responses of a server go: to a client that knows them (RFC 9110 §15.2).
#[derive(Debug)]
pub enum Interim {
    /// The client's protocol has none, or nobody listens.
    Nowhere,
    /// To an HTTP/1.1 client.
    Http1(ClientInterim),
    /// To an HTTP/2 client.
    Http2(http2::stream::Interim),
}

impl Interim {
    /// Passes a server's interim response on, without what belongs to the server's connection.
    fn pass_on(&self, cx: &mut Context<'_>, head: &mut ResponseHead) {
        headers::strip_response(&mut head.headers);
        match self {
            Self::Nowhere => {}
            Self::Http1(client) => client.send(cx, head.status, &head.headers),
            Self::Http2(client) => client.send(head.status, &head.headers),
        }
    }
}

/// Why a phase is the last one before `finish`.
enum Ending {
    /// Something is wrong, and Weir says so.
    Refused(Refusal),
    /// A plugin answers.
    Replied(Box<Reply>),
    /// A plugin closes the connection.
    Closed,
    /// The server switches protocols.
    Switched(Box<Forwarded>),
}

impl<R: Into<Refusal>> From<R> for Ending {
    fn from(refusal: R) -> Self {
        Self::Refused(refusal.into())
    }
}

/// One request on its way: it travels `&mut` through all phases, and with the response to its end.
struct Exchange {
    worker: Rc<Worker>,
    state: Rc<State>,
    busy: Busy,
    subject: Box<Subject>,
    session: Session,
    body: RequestBody,
    /// What the client gets, once that is settled.
    outgoing: ResponseBody,
    interim: Interim,
    /// Bytes of the request body.
    received: Received,
    /// When the request head was complete.
    started: Instant,
    /// The route's index, once routed.
    route: Option<usize>,
    /// What this exchange owes the cache.
    fetch: Option<Box<Fetch>>,
    slicing: Slicing,
    /// From the request sent to the response head.
    upstream_time: Option<Duration>,
    /// The server that answered.
    server: Option<Arc<str>>,
    /// Keeps the server's count of running requests.
    running: Option<Running>,
    /// What the cache had to do with it.
    cache: &'static str,
    /// What the cache tells the client, on routes that cache.
    cache_status: Option<Status>,
    /// Why Weir itself answered, or what broke the answer off.
    refusal: Option<&'static str>,
}

/// Runs one exchange. Its `finish` phase comes when the response is dropped, or this future is: a client that is gone takes its request
/// along.
///
/// Future and exchange are apart, so that nothing of an exchange is ever moved but a pointer to it.
pub fn run(
    worker: &Rc<Worker>,
    client: &Rc<Client>,
    request: Box<RequestHead>,
    body: RequestBody,
    interim: Interim,
) -> impl Future<Output = Answer> + use<> {
    run_boxed(Exchange::new(worker, client, request, body, interim))
}

async fn run_boxed(exchange: Box<Exchange>) -> Answer {
    let mut running = scopeguard::guard(exchange, Exchange::abandon);
    let answered = running.answer().await;
    if let Err(Ending::Refused(refusal)) = &answered
        && running.shows(refusal)
    {
        Box::pin(running.show_refused(refusal)).await;
    }
    let exchange = ScopeGuard::into_inner(running);
    match answered {
        Ok(body) => Answer::Response(exchange.conclude(body)),
        Err(Ending::Replied(reply)) => Answer::Response(exchange.conclude_reply(*reply)),
        // Who has ended inside of a request is told nothing (RFC 9112 §8): 499 is a word of the log.
        Err(Ending::Refused(refusal)) if refusal.has_no_reader() => {
            drop(exchange.refuse(&refusal));
            Answer::Close
        }
        Err(Ending::Refused(refusal)) if refusal.ends_connection() => Answer::Last(exchange.refuse(&refusal)),
        Err(Ending::Refused(refusal)) => Answer::Response(exchange.refuse(&refusal)),
        Err(Ending::Switched(forwarded)) => exchange.conclude_tunnel(*forwarded),
        Err(Ending::Closed) => {
            exchange.finish(Delivery::Whole);
            Answer::Close
        }
    }
}

/// Answers a request that did not become an exchange, because nothing is known of it: no plugin is shown it.
pub fn refuse(worker: &Rc<Worker>, client: &Rc<Client>, refusal: &Refusal) -> Response {
    Exchange::of_nothing(worker, client).refuse(refusal)
}

impl Exchange {
    fn new(
        worker: &Rc<Worker>,
        client: &Rc<Client>,
        request: Box<RequestHead>,
        body: RequestBody,
        interim: Interim,
    ) -> Box<Self> {
        let subject = worker.subject(client, request);
        on_heap(|| Self::of(worker, client.begin(), subject, body, interim))
    }

    /// Of a request that is none, or none yet.
    fn of_nothing(worker: &Rc<Worker>, client: &Rc<Client>) -> Box<Self> {
        Self::new(worker, client, Box::default(), RequestBody::none(), Interim::Nowhere)
    }

    #[inline]
    fn of(worker: &Rc<Worker>, busy: Busy, subject: Box<Subject>, body: RequestBody, interim: Interim) -> Self {
        Self {
            worker: worker.clone(),
            state: worker.state(),
            busy,
            subject,
            session: Session::none(),
            received: body.received(),
            body,
            outgoing: ResponseBody::new(Content::Empty),
            interim,
            started: Instant::now(),
            route: None,
            fetch: None,
            slicing: Slicing::No,
            upstream_time: None,
            server: None,
            running: None,
            cache: "-",
            cache_status: None,
            refusal: None,
        }
    }

    /// The life of a request.
    ///
    /// A future is moved as a whole before it is first polled, and the compiler moves it twice. Phases that may wait for a plugin, a
    /// server or the cache are thousands of bytes, so those that have nothing to do are not made at all, and those that have get a box.
    /// Without them an exchange is small enough for the allocator's fast way.
    async fn answer(&mut self) -> Result<ResponseBody, Ending> {
        self.admit()?;
        self.route()?;
        self.begin_session()?;
        if self.session.wants(Phase::OnRequest) {
            Box::pin(self.request_plugins()).await?;
        }
        if self.before_cache()? == Caching::Asked {
            match self.look_up() {
                Looked::Answered(body) => return Ok(body),
                Looked::Unsettled(lookup) => {
                    if let Some(body) = Box::pin(self.settle_lookup(*lookup)).await? {
                        return Ok(body);
                    }
                }
            }
        }
        let mut body = Box::pin(self.forward()).await?;
        if self.session.wants(Phase::OnResponse) {
            Box::pin(self.response_plugins(&mut body)).await?;
        }
        self.compress(&mut body);
        if self.concerns_cache() {
            Box::pin(self.store(&mut body)).await;
        }
        Ok(body)
    }
}

fn route_of(state: &State, route: Option<usize>) -> Result<&Route, Refusal> {
    state.route(route).map(|(route, _)| route)
}

/// Conditions that Weir adds to a request.
pub type Conditions = Vec<(HeaderName, HeaderValue)>;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Of the future that a function returns.
    pub(crate) fn size<A, F: Future>(_: impl Fn(A) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_exchange_is_cheap_to_move() {
        let whole = size(run_boxed);
        assert!(
            whole <= 640,
            "{whole} bytes: does each phase that seldom waits have a box?"
        );
    }
}
