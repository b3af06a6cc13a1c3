//! Objects in slices: what the origin is asked for in place of what the client wants, and the slices of an answer one after the
//! other, each from the cache or else from the origin.

use std::future::{Future, poll_fn};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use bytes::{Buf, Bytes};
use http::{HeaderMap, Method, StatusCode};
use http_body::Frame;

use super::body::{Content, ResponseBody};
use super::{Ending, Exchange, Refusal, refresh, route_of};
use crate::cache::slices::{Changed, Layout, Slice, Slices};
use crate::cache::{Before, Lookup, Status, Waited};
use crate::config::Route;
use crate::http1::buffer::FilePart;
use crate::http1::head::ResponseHead;
use crate::plugin::Phase;
use crate::upstream::Fault;
use crate::upstream::balance::Running;

/// What an exchange that asks the origin has to do with slices.
#[derive(Debug, Default)]
pub(super) enum Slicing {
    /// Nothing.
    #[default]
    No,
    /// It asks for one, and has the client's own fields in case that comes to nothing.
    Asked(Slice, HeaderMap),
    /// It got one: this is where the others are.
    Came(Slice, Layout),
    /// It asks for one of a version that is known.
    Another(Slice, Slices),
}

impl Exchange {
    /// Lets a request on a route with slices be answered by them. Plugins that look at responses see wholes, and only wholes.
    pub(super) fn allow_slices(&mut self, route: &Route) {
        let may = || self.subject.request.method == Method::GET && !self.session.wants(Phase::OnResponse);
        self.subject.caching.slice = route.slice.filter(|_| may());
    }

    /// Decides what the origin is asked for on behalf of the cache. To be called before the client's conditions are taken away.
    pub(super) fn begin_slicing(&mut self) {
        let Some(fetch) = &self.fetch else { return };
        if let (Slicing::No, Some(size), false) = (&self.slicing, self.subject.caching.slice, fetch.passes()) {
            let headers = &self.subject.request.headers;
            self.slicing = Slicing::Asked(Slice::first(headers, size), headers.clone());
        }
    }

    /// The head came of an answer to a request for a slice. `Err` when the client's own request has to be sent in its place.
    pub(super) fn judge_slice(&mut self) -> Result<(), Unusable> {
        if matches!(self.slicing, Slicing::No | Slicing::Came(..)) {
            return Ok(());
        }
        let now = SystemTime::now();
        let state = self.state.clone();
        let Ok(route) = route_of(&state, self.route) else {
            return Ok(());
        };
        let Some(response) = self.subject.response.as_mut() else {
            return Ok(());
        };
        match std::mem::take(&mut self.slicing) {
            Slicing::Asked(slice, headers) => {
                match response.status {
                    StatusCode::PARTIAL_CONTENT => {}
                    // It is as true of what the client asked for, unless that was the whole.
                    StatusCode::RANGE_NOT_SATISFIABLE if headers.contains_key(http::header::RANGE) => return Ok(()),
                    StatusCode::RANGE_NOT_SATISFIABLE => return Err(self.unslice(headers, now)),
                    _ => return Ok(()),
                }
                let layout = slice.into_whole(response);
                let usable = self
                    .fetch
                    .as_ref()
                    .is_some_and(|fetch| fetch.may_slice(&self.subject, &route.cache_rules, now));
                match layout.filter(|_| usable) {
                    Some(layout) => self.slicing = Slicing::Came(slice, layout),
                    None => return Err(self.unslice(headers, now)),
                }
                Ok(())
            }
            Slicing::Another(slice, slices) => {
                let accepted = slices.accept(&slice, response);
                self.slicing = Slicing::Another(slice, slices);
                accepted.map_err(|Changed| Unusable)
            }
            Slicing::No | Slicing::Came(..) => Ok(()),
        }
    }

    /// Goes back to the client's own request, of which nothing will be stored.
    fn unslice(&mut self, headers: HeaderMap, now: SystemTime) -> Unusable {
        self.subject.request.headers = headers;
        self.subject.response = None;
        self.subject.caching.slice = None;
        if let Some(fetch) = self.fetch.take() {
            fetch.give_up(now);
        }
        Unusable
    }

    /// `store`, where a slice came: the head of the whole, and the slice under it. The client gets what it asked for, beginning
    /// with that slice.
    pub(super) async fn store_slice(&mut self, body: &mut ResponseBody) -> bool {
        let Slicing::Came(slice, layout) = std::mem::take(&mut self.slicing) else {
            return false;
        };
        let state = self.state.clone();
        let (Some(fetch), Ok(route)) = (self.fetch.take(), route_of(&state, self.route)) else {
            return false;
        };
        let status = Status::forwarded(fetch.reason());
        self.add_tags();
        let Some(hit) = fetch.on_slice(&self.subject, layout, &route.cache_rules, SystemTime::now()) else {
            return false;
        };
        let mut first = std::mem::replace(body, self.serve(&hit, None));
        self.cache = "miss";
        self.cache_status = Some(status.stored(hit.ttl()));
        if let Some(sending) = body.content_mut().sliced_mut() {
            sending
                .begin_with(&slice, first.take_content(), self.running.take())
                .await;
        }
        true
    }
}

/// The answer to a request for a slice is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unusable;

/// Content in slices, on its way to a client.
pub struct Sliced {
    slices: Slices,
    /// The exchange that it belongs to, as far as asking for more takes it.
    of: Box<Exchange>,
    /// The next byte to give, and the one behind the last.
    left: Range<u64>,
    current: Option<Current>,
    next: Option<Asked>,
}

/// A slice that was asked for and has not come.
type Asked = Pin<Box<dyn Future<Output = Result<Content, Fault>>>>;

/// The slice that is being sent.
struct Current {
    content: Content,
    /// Bytes of it that the client did not ask for.
    skip: u64,
    /// The byte behind it.
    end: u64,
}

impl std::fmt::Debug for Sliced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sliced")
            .field("slices", &self.slices)
            .finish_non_exhaustive()
    }
}

impl Sliced {
    /// The content that a hit says is to be sent.
    pub(super) fn new(exchange: &Exchange, slices: Slices) -> Self {
        Self {
            left: slices.range.clone(),
            slices,
            of: Box::new(refresh::in_background(exchange, None)),
            current: None,
            next: None,
        }
    }

    /// Bytes that are still to come.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left.end - self.left.start
    }

    /// Gives these bytes from now on.
    pub(super) fn turn_to(&mut self, bytes: Range<u64>) {
        self.left = bytes;
        self.current = None;
        self.next = None;
    }

    /// Has the first slice at hand, so that an answer which cannot be given is not begun.
    ///
    /// # Errors
    /// The slice could not be had. Where the origin has another version now, what was stored of this one is gone.
    pub async fn prepare(&mut self) -> Result<(), Fault> {
        if self.left.is_empty() || self.current.is_some() {
            return Ok(());
        }
        poll_fn(|cx| self.poll_current(cx)).await
    }

    /// Takes a slice that has just come, stores it, and begins with it where the client asked for it.
    async fn begin_with(&mut self, slice: &Slice, content: Content, running: Option<Running>) {
        let mut body = ResponseBody::new(content);
        let mut exchange = self.ask_for(slice);
        exchange.running = running;
        let lookup = exchange.worker.cache().lookup(&exchange.subject, SystemTime::now());
        if let Lookup::Fetch(fetch) = lookup {
            exchange.fetch = Some(fetch);
            let mut head = ResponseHead {
                headers: self.slices.headers(),
                ..ResponseHead::default()
            };
            self.slices.describe(slice, &mut head);
            exchange.subject.response = Some(head);
            Box::pin(exchange.store(&mut body)).await;
        }
        let (_, bytes) = self.slices.slice_at(self.left.start);
        if self.slices.slice_at(self.left.start).0 == *slice && !self.left.is_empty() {
            self.current = Some(Current {
                content: body.take_content(),
                skip: self.left.start - bytes.start,
                end: bytes.end,
            });
        }
    }

    /// The exchange that gets one slice.
    fn ask_for(&self, slice: &Slice) -> Exchange {
        let mut exchange = refresh::in_background(&self.of, None);
        self.slices.ask_for(slice, &mut exchange.subject);
        exchange.slicing = Slicing::Another(slice.clone(), self.slices.clone());
        exchange
    }

    /// Ready when there is a slice to send.
    fn poll_current(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        if self.current.is_some() {
            return Poll::Ready(Ok(()));
        }
        let (slice, bytes) = self.slices.slice_at(self.left.start);
        if self.next.is_none() {
            let exchange = Box::new(self.ask_for(&slice));
            let whole = copy_of_whole(&self.of);
            self.next = Some(Box::pin(get(exchange, whole)));
        }
        let Some(next) = &mut self.next else {
            return Poll::Pending;
        };
        let got = ready!(next.as_mut().poll(cx));
        self.next = None;
        self.current = Some(Current {
            content: got?,
            skip: self.left.start - bytes.start,
            end: bytes.end,
        });
        Poll::Ready(Ok(()))
    }

    /// The next frame.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        while !self.left.is_empty() {
            if let Err(fault) = ready!(self.poll_current(cx)) {
                return self.broken(fault);
            }
            let Some(current) = &mut self.current else { break };
            match ready!(current.content.poll_next(cx)) {
                Some(Ok(frame)) => {
                    // Trailers are about the slice.
                    let Ok(mut data) = frame.into_data() else { continue };
                    let skipped = usize::try_from(current.skip).unwrap_or(usize::MAX).min(data.len());
                    current.skip -= skipped as u64;
                    data.advance(skipped);
                    let most = self.left.end.min(current.end) - self.left.start;
                    data.truncate(usize::try_from(most).unwrap_or(usize::MAX));
                    if data.is_empty() {
                        continue;
                    }
                    self.left.start += data.len() as u64;
                    if self.left.start >= current.end {
                        self.current = None;
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(fault)) => return self.broken(fault),
                // Shorter than it was said to be.
                None => return self.broken(Fault::Closed),
            }
        }
        Poll::Ready(None)
    }

    fn broken(&mut self, fault: Fault) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        self.left.start = self.left.end;
        self.current = None;
        Poll::Ready(Some(Err(fault)))
    }

    /// The next part of the slice that is being sent, where it can go from its file as it is.
    pub(super) fn next_file(&mut self) -> Option<FilePart> {
        let current = self.current.as_mut()?;
        // A file's part begins where its reader stands, and ends with its slice.
        if current.skip > 0 || self.left.end < current.end {
            return None;
        }
        let Content::Stored(reader) = &mut current.content else {
            return None;
        };
        let part = reader.next_file()?;
        self.left.start += part.length as u64;
        if self.left.start >= current.end {
            self.current = None;
        }
        Some(part)
    }
}

/// The request for the whole, by which it is forgotten once the origin has another version.
fn copy_of_whole(of: &Exchange) -> Box<Exchange> {
    Box::new(refresh::in_background(of, None))
}

/// One slice: from the cache, or else from the origin, once for all who want it.
async fn get(mut exchange: Box<Exchange>, whole: Box<Exchange>) -> Result<Content, Fault> {
    let state = exchange.state.clone();
    let rules = route_of(&state, exchange.route).map(|route| route.cache_rules.clone());
    let Ok(rules) = rules else { return Err(Fault::Closed) };
    let mut before = Before::default();
    loop {
        let cache = exchange.worker.cache();
        let now = SystemTime::now();
        match cache.lookup_with(&exchange.subject, &before, now) {
            Lookup::Load(load) => {
                before.loaded = Some(load.done(&rules, &exchange.subject.request.headers).await);
            }
            Lookup::Hit(hit) | Lookup::Refresh(_, hit) => {
                return Ok(match hit.bytes() {
                    Some(data) => Content::Ready(data),
                    None => Content::Stored(hit.reader()),
                });
            }
            Lookup::Fetch(fetch) => {
                exchange.fetch = Some(fetch);
                break;
            }
            Lookup::Wait(wait) => match wait.done().await {
                Waited::LookUp => {}
                Waited::LookUpWaited => before.waited = Some(now),
                Waited::Hit(hit) => return Ok(Content::Stored(hit.reader())),
                Waited::Fetch(fetch) => {
                    exchange.fetch = Some(fetch);
                    break;
                }
                Waited::Failed => return Err(Fault::Closed),
            },
            Lookup::Bypass(_) | Lookup::OnlyIfCached => break,
        }
    }
    match Box::pin(exchange.forward()).await {
        Ok(mut body) => {
            exchange.store(&mut body).await;
            Ok(body.take_content())
        }
        Err(Ending::Refused(Refusal::NotCached)) => {
            // Another version: whoever asks next begins anew.
            whole.worker.cache().forget_slices(&whole.subject);
            Err(Fault::Closed)
        }
        Err(Ending::Refused(Refusal::Upstream(fault))) => Err(fault),
        Err(_) => Err(Fault::Closed),
    }
}
