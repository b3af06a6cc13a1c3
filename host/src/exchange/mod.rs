//! The spine: what happens to one request, from its head to its last byte.
//!
//! [`Exchange::answer`] is the list of phases in the order in which they happen. The files of this room are opened in that
//! order: [`admit`], [`route`], plugins' `on_request`, the cache, [`forward`], plugins' `on_response`, [`finish`].
//! [`refusal`] is the one place where an error becomes an answer.

pub mod admit;
pub mod body;
pub mod budget;
pub mod cdn_loop;
pub mod compress;
mod fill;
pub mod finish;
pub mod forward;
pub mod headers;
pub mod purge;
pub mod query;
pub mod reasons;
mod redirect;
mod refresh;
pub mod refusal;
pub mod refused;
pub mod route;
mod slices;
pub mod subject;
mod upgrade;

use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY};
use http::{Method, Response, StatusCode};
use scopeguard::ScopeGuard;

pub use self::refusal::Refusal;

use self::admit::Reach;
use self::body::{Content, Received, RequestBody, ResponseBody};
use self::budget::Share;
use self::finish::Finish;
use self::forward::Forwarded;
use self::route::Routed;
use self::slices::{Sliced, Slicing, Unusable};
use self::subject::{Reply, RequestId, Storing, Subject};
use crate::cache::{self, Before, Fetch, Hit, Late, Lookup, Status, Stored, Waited, tags};
use crate::config::{Https, Redirect, Route, Tags};
use crate::connection::http1::ClientInterim;
use crate::connection::{Busy, Client};
use crate::http1::encode::has_no_content;
use crate::http1::head::ResponseHead;
use crate::http2;
use crate::plugin::{Decision, Phase, Session};
use crate::server::state::State;
use crate::server::worker::Worker;
use crate::telemetry::families;
use crate::upstream::Fault;
use crate::upstream::balance::Running;
use crate::upstream::far::Far;

/// How an exchange ends, as its connection sees it.
pub enum Answer {
    /// A response for the client.
    Response(Response<ResponseBody>),
    /// A response, after which the connection is closed.
    Last(Response<ResponseBody>),
    /// Both sides switch protocols (RFC 9110 §15.2.2): after this head, bytes both ways.
    Tunnel {
        /// The 101, whose body keeps the exchange unfinished while it is held.
        response: Response<ResponseBody>,
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

/// Whether the cache has a part in an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caching {
    Asked,
    PassedBy,
}

impl<R: Into<Refusal>> From<R> for Ending {
    fn from(refusal: R) -> Self {
        Self::Refused(refusal.into())
    }
}

/// One request on its way: it travels `&mut` through all phases.
struct Exchange {
    worker: Rc<Worker>,
    state: Rc<State>,
    busy: Busy,
    subject: Box<Subject>,
    session: Session,
    body: RequestBody,
    interim: Interim,
    received: Received,
    started: Instant,
    route: Option<usize>,
    /// What this exchange owes the cache.
    fetch: Option<Box<Fetch>>,
    slicing: Slicing,
    upstream_time: Option<Duration>,
    server: Option<Arc<str>>,
    running: Option<Running>,
    cache: &'static str,
    /// What the cache tells the client, on routes that cache.
    cache_status: Option<Status>,
    refusal: Option<&'static str>,
}

/// Runs one exchange; `received` are the bytes of an HTTP/1 head. Its `finish` phase comes when the body of the answer is dropped, or
/// this future is: a client that is gone takes its request along.
pub async fn run(
    worker: &Rc<Worker>,
    client: &Rc<Client>,
    parts: http::request::Parts,
    received: Bytes,
    body: RequestBody,
    interim: Interim,
) -> Answer {
    let mut exchange = Exchange::new(worker, client, parts, body, interim);
    exchange.subject.received = received;
    let mut running = scopeguard::guard(exchange, Exchange::abandon);
    let answered = running.answer().await;
    if let Err(Ending::Refused(refusal)) = &answered
        && running.shows(refusal)
    {
        Box::pin(running.show_refused(refusal)).await;
    }
    let exchange = ScopeGuard::into_inner(running);
    match answered {
        Ok(content) => exchange.conclude(content),
        Err(Ending::Replied(reply)) => exchange.conclude_reply(*reply),
        // Who has ended inside of a request is told nothing (RFC 9112 §8): 499 is a word of the log.
        Err(Ending::Refused(refusal)) if refusal.has_no_reader() => {
            drop(exchange.conclude_refusal(&refusal));
            Answer::Close
        }
        Err(Ending::Refused(refusal)) => exchange.conclude_refusal(&refusal),
        Err(Ending::Switched(forwarded)) => exchange.conclude_tunnel(*forwarded),
        Err(Ending::Closed) => {
            drop(exchange.conclude(ResponseBody::new(Content::Empty)));
            Answer::Close
        }
    }
}

/// Answers a request that did not become an exchange, because nothing is known of it: no plugin is shown it.
pub fn refuse(worker: &Rc<Worker>, client: &Rc<Client>, refusal: &Refusal) -> Response<ResponseBody> {
    let (parts, ()) = http::Request::new(()).into_parts();
    Exchange::new(worker, client, parts, RequestBody::none(), Interim::Nowhere).refuse(refusal)
}

impl Exchange {
    fn new(
        worker: &Rc<Worker>,
        client: &Rc<Client>,
        parts: http::request::Parts,
        body: RequestBody,
        interim: Interim,
    ) -> Self {
        Self::of(worker, client.begin(), worker.subject(client, parts), body, interim)
    }

    fn of(worker: &Rc<Worker>, busy: Busy, subject: Box<Subject>, body: RequestBody, interim: Interim) -> Self {
        Self {
            worker: worker.clone(),
            state: worker.state(),
            busy,
            subject,
            session: Session::none(),
            received: body.received(),
            body,
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
    /// A future is moved as a whole before it is first polled, and the compiler moves it twice. Phases that may wait for a plugin or
    /// the cache are thousands of bytes, so those that have nothing to do are not made at all, and those that have get a box.
    async fn answer(&mut self) -> Result<ResponseBody, Ending> {
        self.admit()?;
        self.route()?;
        self.begin_session()?;
        if self.session.wants(Phase::OnRequest) {
            Box::pin(self.request_plugins()).await?;
        }
        if self.before_cache()? == Caching::Asked
            && let Some(body) = self.look_up().await?
        {
            return Ok(body);
        }
        let mut body = self.forward().await?;
        if self.session.wants(Phase::OnResponse) {
            Box::pin(self.response_plugins(&mut body)).await?;
        }
        self.compress(&mut body);
        if self.concerns_cache() {
            Box::pin(self.store(&mut body)).await;
        }
        Ok(body)
    }

    /// `admit`: framing has been checked by the connection; here host and forwarding.
    fn admit(&mut self) -> Result<(), Ending> {
        let rate = self.state.snapshot.config.limits.client.request_rate;
        if !self.busy.client().place.may_request(rate) {
            return Err(Refusal::TooManyRequests.into());
        }
        let subject = &mut *self.subject;
        admit::bounds(&subject.request, &self.state.snapshot.config.limits)?;
        subject.host = admit::host(&subject.request)?;
        admit::content(&subject.request.method, &self.body)?;
        admit::expectation(&subject.request)?;
        if admit::reach(&mut subject.request)? == Reach::Here {
            return Err(Ending::Replied(Box::new(Reply {
                status: StatusCode::NO_CONTENT,
                headers: HeaderMap::new(),
                body: Bytes::new(),
            })));
        }
        if let Some(own) = &self.state.snapshot.config.cdn_id {
            cdn_loop::check(&subject.request.headers, own)?;
        }
        let trusted = &self.state.snapshot.config.trusted_proxies;
        if !trusted.is_empty() {
            subject.client_ip = admit::client_ip(subject.peer.ip(), trusted, &subject.request.headers);
        }
        Ok(())
    }

    fn route(&mut self) -> Result<(), Ending> {
        let routes = &self.state.snapshot.config.routes;
        let routed = self.state.router.route(routes, &self.subject);
        self.require_https(&routed)?;
        let index = match routed {
            Routed::To(index) => index,
            Routed::NotFound => return Err(Refusal::NotFound.into()),
            Routed::MethodNotAllowed(methods) => return Err(Refusal::MethodNotAllowed(methods).into()),
        };
        self.route = Some(index);
        let (route, name) = self.state.route(self.route)?;
        self.subject.route = name.clone();
        if self.body.told_length().is_some_and(|length| length > route.max_body) {
            return Err(Refusal::BodyTooLarge.into());
        }
        self.body.limit(route.max_body);
        Ok(())
    }

    /// Sends a request in clear to the same URL through TLS, where its route or else the listener says so.
    fn require_https(&mut self, routed: &Routed) -> Result<(), Ending> {
        let listener = self.busy.client().policy.redirect_https;
        let route = match routed {
            Routed::To(index) => self.state.snapshot.config.routes.get(*index),
            Routed::NotFound | Routed::MethodNotAllowed(_) => None,
        };
        let redirect = match route.and_then(|route| route.https) {
            Some(Https::Any) => None,
            Some(Https::Redirect) => Some(listener.unwrap_or(Redirect::DEFAULT)),
            None => listener,
        };
        let Some(redirect) = redirect else { return Ok(()) };
        match redirect::to_https(&self.subject, &self.state.snapshot.config.trusted_proxies, redirect) {
            Some(reply) => {
                if let Routed::To(index) = routed {
                    self.route = Some(*index);
                }
                Err(Ending::Replied(Box::new(reply)))
            }
            None => Ok(()),
        }
    }

    /// Finds the plugins that have something to say about this request.
    fn begin_session(&mut self) -> Result<(), Ending> {
        if route_of(&self.state, self.route)?.plugins {
            self.session = self.state.chain.begin(&self.subject);
        }
        Ok(())
    }

    /// The phases `on_request` and, where a plugin held the request, `on_request_body`.
    async fn request_plugins(&mut self) -> Result<(), Ending> {
        let limit = match self.consult(Phase::OnRequest, None).await {
            Decision::Hold(limit) => limit,
            decision => return settle(decision),
        };
        let share = self.memory();
        let held = self.body.hold(limit, share).await?;
        match self
            .consult(Phase::OnRequestBody, Some((&held.data, held.complete)))
            .await
        {
            Decision::Hold(_) => Ok(()),
            decision => settle(decision),
        }
    }

    /// Where what is held is counted.
    fn memory(&self) -> Share {
        let limit = self.state.snapshot.config.limits.held_bodies;
        self.worker.control().held_bodies().share(limit)
    }

    /// Lends the subject to the plugins for one phase.
    async fn consult(&mut self, phase: Phase, body: Option<(&Bytes, bool)>) -> Decision {
        let vacant = self.worker.vacant_subject();
        let subject = std::mem::replace(&mut self.subject, vacant);
        let nothing = Bytes::new();
        let (data, complete) = body.unwrap_or((&nothing, true));
        let (subject, decision) = match phase {
            Phase::OnRequest => self.session.on_request(subject).await,
            Phase::OnRequestBody => self.session.on_request_body(subject, data, complete).await,
            Phase::OnResponse => self.session.on_response(subject).await,
            Phase::OnResponseBody | Phase::OnFinish => self.session.on_response_body(subject, data, complete).await,
        };
        let vacant = std::mem::replace(&mut self.subject, subject);
        self.worker.give_back(vacant);
        decision
    }

    /// Whether the cache is to be asked. A purge ends here.
    fn before_cache(&mut self) -> Result<Caching, Ending> {
        let state = self.state.clone();
        if purge::is_purge(&self.subject.request.method) && self.route_uses_cache() {
            let allowed = &state.snapshot.config.cache.purge_from;
            let reply = purge::purge(self.worker.control(), &self.subject, allowed)?;
            return Err(Ending::Replied(Box::new(reply)));
        }
        if route_of(&state, self.route)?.compress {
            compress::settle(&mut self.subject.request, &state.snapshot.config.compression);
        }
        // What is stored under a URI must not depend on a request's content, which HTTP/2 need not announce.
        let route = route_of(&state, self.route)?;
        let ours = route.cache && self.body.is_none();
        if !ours || headers::wants_upgrade(&self.subject) {
            self.cache_status = route.cache.then(|| Status::bypassed("content"));
            return Ok(Caching::PassedBy);
        }
        if self.subject.caching.storing == Storing::Bypassed {
            self.cache = "bypass";
            self.cache_status = Some(Status::bypassed("plugin"));
            return Ok(Caching::PassedBy);
        }
        query::tidy(&mut self.subject, &route.cache_rules);
        self.allow_slices();
        Ok(Caching::Asked)
    }

    /// The cache: an answer, or `None` when a server has to be asked.
    async fn look_up(&mut self) -> Result<Option<ResponseBody>, Ending> {
        let state = self.state.clone();
        let route = route_of(&state, self.route)?;
        let mut attempts = 0;
        let (mut waited, mut before) = (None, Before::default());
        loop {
            let cache = self.worker.cache();
            let now = SystemTime::now();
            match cache.lookup_with(&self.subject, &before, now) {
                Lookup::Load(load) => {
                    let loading = load.done(&route.cache_rules, &self.subject.request.headers);
                    before.loaded = Some(Box::pin(loading).await);
                }
                Lookup::Bypass(reason) => {
                    self.cache = "bypass";
                    self.cache_status = Some(Status::bypassed(reason));
                    return Ok(None);
                }
                Lookup::Hit(hit) => {
                    let mut body = self.serve(&hit, waited);
                    let Content::Sliced(sliced) = body.content_mut() else {
                        return Ok(Some(body));
                    };
                    match Box::pin(sliced.prepare()).await {
                        Ok(()) => return Ok(Some(body)),
                        // Once more: another version may be there now.
                        Err(_) if attempts == 0 => attempts += 1,
                        Err(fault) => return Err(Refusal::from(fault).into()),
                    }
                }
                Lookup::Refresh(fetch, hit) => return Ok(self.serve_and_refresh(fetch, &hit)),
                Lookup::OnlyIfCached => return Err(Refusal::NotCached.into()),
                Lookup::Fetch(fetch) => {
                    self.fetch_with(fetch);
                    return Ok(None);
                }
                Lookup::Wait(wait) => {
                    let reason = Status::forwarded(wait.reason());
                    match Box::pin(wait.done()).await {
                        Waited::LookUp => waited = Some(reason),
                        Waited::LookUpWaited => {
                            waited = Some(reason);
                            before.waited = Some(now);
                        }
                        Waited::Hit(hit) => return Ok(Some(self.serve(&hit, Some(reason)))),
                        Waited::Failed => return Err(Refusal::Upstream(Fault::Closed).into()),
                        Waited::Fetch(fetch) => {
                            self.fetch_with(fetch);
                            return Ok(None);
                        }
                    }
                }
            }
        }
    }

    fn fetch_with(&mut self, fetch: Box<Fetch>) {
        self.cache = "miss";
        self.cache_status = Some(Status::forwarded(fetch.reason()));
        self.fetch = Some(fetch);
    }

    /// The client gets what is stale, and somebody asks the origin: nobody waits. Where plugins look at responses it is this
    /// exchange that asks, as their phases belong to a request.
    fn serve_and_refresh(&mut self, fetch: Box<Fetch>, hit: &Hit) -> Option<ResponseBody> {
        if !self.session.wants(Phase::OnResponse) {
            refresh::start(self, fetch);
            return Some(self.serve(hit, None));
        }
        if cache::asks_for_whole(&self.subject) {
            self.fetch_with(fetch);
        } else {
            self.cache = "bypass";
            self.cache_status = Some(Status::forwarded(fetch.reason()));
        }
        None
    }

    /// Waits for a turn where the origin is to be asked on behalf of the cache.
    async fn take_turn(&mut self) -> Result<(), Refusal> {
        let Some(fetch) = &mut self.fetch else { return Ok(()) };
        let group = self.state.group(route_of(&self.state, self.route)?)?;
        fetch.take_turn(&group.name).await.map_err(|Late| Refusal::OriginBusy)
    }

    /// `forward`: the request to a server, its response head into the subject.
    async fn forward(&mut self) -> Result<ResponseBody, Ending> {
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
        let mut forwarded = match forward::forward(self, &conditions).await {
            Ok(forwarded) => forwarded,
            Err(fault) => return self.without_origin(fault),
        };
        if forwarded.head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Ending::Switched(Box::new(forwarded)));
        }
        headers::strip_response(&mut forwarded.head.headers);
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = forwarded.head.status;
        parts.headers = std::mem::take(&mut forwarded.head.headers);
        self.subject.response = Some(parts);
        Ok(forwarded.into_body())
    }

    /// No server answered: what is stale is better than nothing (RFC 9111 §4.2.4).
    fn without_origin(&mut self, refusal: Refusal) -> Result<ResponseBody, Ending> {
        match self.fetch.take().and_then(|fetch| fetch.on_failure()) {
            Some(hit) => Ok(self.serve(&hit, None)),
            None => Err(refusal.into()),
        }
    }

    /// The phases `on_response` and, where a plugin held the response, `on_response_body`.
    async fn response_plugins(&mut self, body: &mut ResponseBody) -> Result<(), Ending> {
        // A 304 to a condition of our own is between the cache and the server.
        if self.is_revalidation() {
            return Ok(());
        }
        let limit = match self.consult(Phase::OnResponse, None).await {
            Decision::Hold(limit) => limit,
            decision => return settle(decision),
        };
        let share = self.memory();
        let held = body.hold(limit, share).await?;
        match self
            .consult(Phase::OnResponseBody, Some((&held.data, held.complete)))
            .await
        {
            Decision::Hold(_) => Ok(()),
            decision => settle(decision),
        }
    }

    fn is_revalidation(&self) -> bool {
        let not_modified = self
            .subject
            .response
            .as_ref()
            .is_some_and(|response| response.status == StatusCode::NOT_MODIFIED);
        not_modified && self.fetch.as_ref().is_some_and(|fetch| !fetch.validators().is_empty())
    }

    /// Compresses the response where the route asks for it: before it is stored, so that it is done once.
    fn compress(&mut self, body: &mut ResponseBody) {
        let state = self.state.clone();
        if !route_of(&state, self.route).is_ok_and(|route| route.compress) {
            return;
        }
        let Subject { request, response, .. } = &mut *self.subject;
        let Some(response) = response else { return };
        let conditions = self.fetch.as_ref().map(|fetch| fetch.validators()).unwrap_or_default();
        if let Some(coding) = compress::apply(request, response, body, &conditions, &state.snapshot.config.compression)
        {
            let metrics = self.worker.control().metrics();
            metrics
                .shared_counter(&families::COMPRESSED, &[coding.as_str()])
                .increment();
        }
    }

    /// Puts the tags of plugins beside the response's own, where they are stored with it and taken off before the client.
    fn add_tags(&mut self) {
        let Subject { response, caching, .. } = &mut *self.subject;
        let Some(response) = response
            .as_mut()
            .filter(|response| response.status != StatusCode::NOT_MODIFIED)
        else {
            return;
        };
        for tag in caching.tags.drain(..) {
            response.headers.append(tags::SURROGATE_KEY, tag);
        }
    }

    /// Whether the cache has something to do with the response, if only to forget what it makes untrue.
    fn concerns_cache(&self) -> bool {
        self.fetch.is_some() || self.route_uses_cache()
    }

    /// `store`: what the cache makes of the response.
    async fn store(&mut self, body: &mut ResponseBody) {
        if self.store_slice(body).await {
            return;
        }
        let now = SystemTime::now();
        let state = self.state.clone();
        let Ok(route) = route_of(&state, self.route) else {
            return;
        };
        let mut fetch = self.fetch.take();
        if fetch.is_none() && route.cache {
            let cache = self.worker.cache();
            cache.invalidate(&self.subject);
            cache.update_by_head(&self.subject, &route.cache_rules, now);
            fetch = cache.adopt_post(&self.subject, &route.cache_rules, now);
        }
        let Some(fetch) = fetch else { return };
        let status = Status::forwarded(fetch.reason());
        let answered = self.subject.response.as_ref().map(|response| response.status);
        self.add_tags();
        match fetch.on_response(&self.subject, &route.cache_rules, now) {
            Stored::NotStored(reason) => self.cache_status = Some(status.because(reason)),
            Stored::Store(writer) => {
                self.cache_status = Some(status.stored(writer.ttl(now)));
                fill::store(body, writer, self.running.take()).await;
            }
            Stored::Revalidated(hit) | Stored::Stale(hit) => {
                *body = self.serve(&hit, None);
                self.cache_status = Some(status.answered(answered.unwrap_or_default(), hit.ttl()));
            }
        }
    }

    fn route_uses_cache(&self) -> bool {
        route_of(&self.state, self.route).is_ok_and(|route| route.cache)
    }

    /// Makes a stored response the exchange's response, after another exchange's fetch was waited for or not.
    fn serve(&mut self, hit: &Hit, waited: Option<Status>) -> ResponseBody {
        let tags = self.state.snapshot.config.cache.tags;
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = hit.status();
        let head = hit.stored_head(tags);
        if head.is_none() {
            parts.headers = hit.headers(tags);
        }
        self.cache = hit.served().as_str();
        self.cache_status = Some(match waited {
            Some(status) => status.collapsed(Some(hit.ttl())),
            None => hit.cache_status(),
        });
        self.subject.response = Some(parts);
        let mut body = ResponseBody::new(match (hit.bytes(), hit.slices()) {
            (Some(data), _) => Content::Ready(data),
            (None, Some(slices)) => Content::Sliced(Box::new(Sliced::new(self, slices))),
            (None, None) => Content::Stored(hit.reader()),
        });
        body.set_head(head);
        body
    }

    /// Adds to the response what the cache had to do with it.
    fn tell_cache_status(&mut self, body: &mut ResponseBody) {
        let config = &self.state.snapshot.config.cache;
        let (Some(status), Some(name)) = (self.cache_status.take(), &config.status) else {
            return;
        };
        let key = config.status_key.then(|| cache::key_of(&self.subject));
        match (body.head_mut(), &mut self.subject.response) {
            (Some(head), _) => head.push_status(&status, name, key.as_deref()),
            (None, Some(response)) => status.append_to(&mut response.headers, name, key.as_deref()),
            (None, None) => {}
        }
    }

    /// Hands the response to the connection, and the exchange to its `finish`.
    fn conclude(mut self, mut body: ResponseBody) -> Answer {
        self.tell_cache_status(&mut body);
        let head_only = self.subject.request.method == Method::HEAD;
        let strips_tags = self.route_uses_cache() && self.state.snapshot.config.cache.tags == Tags::Strip;
        let mut response = Response::new(());
        if let Some(parts) = &self.subject.response {
            *response.status_mut() = parts.status;
        }
        let mut subject = self.subject;
        if let Some(parts) = &mut subject.response {
            // The log needs the status alone, so the fields go on without a copy.
            *response.headers_mut() = std::mem::take(&mut parts.headers);
            if strips_tags {
                tags::strip(response.headers_mut());
            }
        }
        let stored = body.head_mut();
        let is_stored = stored.is_some();
        match (&self.busy.client().policy.hsts, stored) {
            (Some(hsts), Some(head)) if !head.has(&STRICT_TRANSPORT_SECURITY) => {
                head.push(&STRICT_TRANSPORT_SECURITY, hsts.as_bytes());
            }
            (Some(hsts), None) => {
                let headers = response.headers_mut();
                headers.entry(STRICT_TRANSPORT_SECURITY).or_insert_with(|| hsts.clone());
            }
            _ => {}
        }
        let has_no_content = has_no_content(response.status());
        if head_only || response.status() == StatusCode::NOT_MODIFIED {
            let told = response
                .headers()
                .get(CONTENT_LENGTH)
                .and_then(|value| value.to_str().ok()?.parse().ok());
            body.headless(told.or(if head_only {
                // What is stored is known to be empty, what a server says nothing of is not.
                body.length()
                    .filter(|length| *length > 0 || (is_stored && !has_no_content))
            } else {
                None
            }));
        }
        body.on_finish(Box::new(Finish {
            request_bytes: self.received,
            worker: self.worker,
            state: self.state,
            busy: self.busy,
            subject,
            session: self.session,
            started: self.started,
            route: self.route,
            upstream_time: self.upstream_time,
            server: self.server,
            cache: self.cache,
            refusal: self.refusal,
            running: self.running,
        }));
        Answer::Response(response.map(|()| body))
    }

    fn conclude_reply(mut self, reply: Reply) -> Answer {
        self.fetch = None;
        self.cache_status = None;
        self.running = None;
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = reply.status;
        parts.headers = reply.headers;
        self.subject.response = Some(parts);
        self.conclude(ResponseBody::new(Content::Ready(reply.body)))
    }

    /// The answer to what never became a request, of which the connection sees to the end itself.
    fn refuse(self, refusal: &Refusal) -> Response<ResponseBody> {
        match self.conclude_refusal(refusal) {
            Answer::Response(response) | Answer::Last(response) => response,
            _ => Response::new(ResponseBody::new(Content::Empty)),
        }
    }

    fn conclude_refusal(mut self, refusal: &Refusal) -> Answer {
        self.refusal = Some(refusal.reason());
        let reply = refusal.reply(self.subject.id);
        match self.conclude_reply(reply) {
            Answer::Response(response) if refusal.ends_connection() => Answer::Last(response),
            answer => answer,
        }
    }

    /// Nobody waits for an answer any more.
    fn abandon(self) {
        // In the middle of a plugin's call it has the subject, and drops it with its instance: nothing is left to write down.
        if self.subject.id == RequestId::NONE {
            return;
        }
        drop(self.conclude_refusal(&Refusal::ClientGone));
    }

    fn conclude_tunnel(mut self, forwarded: Forwarded) -> Answer {
        let (head, call) = forwarded.into_parts();
        let Some((stream, received)) = call.into_tunnel() else {
            return self.conclude_refusal(&Refusal::Upstream(crate::upstream::Fault::Closed));
        };
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = head.status;
        self.subject.response = Some(parts);
        let Answer::Response(mut response) = self.conclude(ResponseBody::new(Content::Empty)) else {
            return Answer::Close;
        };
        *response.headers_mut() = head.headers;
        Answer::Tunnel {
            response,
            stream,
            received,
        }
    }
}

/// What a decision of the plugins means for the phases that follow.
fn settle(decision: Decision) -> Result<(), Ending> {
    match decision {
        Decision::Continue | Decision::Hold(_) => Ok(()),
        Decision::Reply(reply) => Err(Ending::Replied(Box::new(reply))),
        Decision::Close => Err(Ending::Closed),
        Decision::Fail(failure) => Err(Refusal::Plugin(failure).into()),
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
        type Given = (
            &'static Rc<Worker>,
            &'static Rc<Client>,
            http::request::Parts,
            Bytes,
            RequestBody,
            Interim,
        );
        let whole = size(|(worker, client, parts, received, body, interim): Given| {
            run(worker, client, parts, received, body, interim)
        });
        assert!(
            whole <= 2560,
            "{whole} bytes: does each phase that seldom waits have a box?"
        );
    }
}
