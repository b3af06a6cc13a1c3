//! The cache's part in an exchange: what it answers, what it is given to store, and what the client is told of it.

use std::time::SystemTime;

use http::{HeaderMap, StatusCode, Version};

use super::body::{Content, ResponseBody};
use super::several::Several;
use super::slices::Sliced;
use super::subject::{Storing, Subject};
use super::{Ending, Exchange, Refusal, compress, fill, headers, purge, query, refresh, route_of};
use crate::cache::{self, Before, Fetch, Hit, Lookup, Status, Stored, Waited, tags};
use crate::http1::head::ResponseHead;
use crate::plugin::Phase;
use crate::upstream::Fault;

/// Whether the cache has a part in an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caching {
    Asked,
    PassedBy,
}

/// What came of the first look into the cache.
pub(super) enum Looked {
    /// It answers.
    Answered(ResponseBody),
    /// Something has to be done first, or the origin to be asked; when it was looked.
    Unsettled(Box<(Lookup, SystemTime)>),
}

impl Exchange {
    /// Whether the cache is to be asked. A purge ends here.
    pub(super) fn before_cache(&mut self) -> Result<Caching, Ending> {
        let state = self.state.clone();
        let route = route_of(&state, self.route)?;
        if purge::is_purge(&self.subject.request.method) && route.cache {
            let allowed = &state.snapshot.config.cache.purge_from;
            let reply = purge::purge(self.worker.control(), &self.subject, allowed)?;
            return Err(Ending::Replied(Box::new(reply)));
        }
        if route.compress {
            compress::settle(&mut self.subject.request, &state.snapshot.config.compression);
        }
        // What is stored under a URI must not depend on a request's content, which HTTP/2 need not announce.
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
        self.allow_slices(route);
        Ok(Caching::Asked)
    }

    /// The cache, which nearly always has what it needs to answer.
    pub(super) fn look_up(&mut self) -> Looked {
        let now = SystemTime::now();
        match self.worker.cache().lookup(&self.subject, now) {
            Lookup::Hit(hit) if !hit.is_sliced() => Looked::Answered(self.serve(&hit, None)),
            lookup => Looked::Unsettled(Box::new((lookup, now))),
        }
    }

    /// What comes of a lookup, and of those that it takes besides: an answer, or `None` when a server has to be asked.
    pub(super) async fn settle_lookup(&mut self, first: (Lookup, SystemTime)) -> Result<Option<ResponseBody>, Ending> {
        let state = self.state.clone();
        let route = route_of(&state, self.route)?;
        let mut attempts = 0;
        let (mut waited, mut before) = (None, Before::default());
        let (mut lookup, mut now) = first;
        loop {
            match lookup {
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
                    let Some(sliced) = body.content_mut().sliced_mut() else {
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
            now = SystemTime::now();
            lookup = self.worker.cache().lookup_with(&self.subject, &before, now);
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

    /// Whether the cache has something to do with the response, if only to forget what it makes untrue.
    pub(super) fn concerns_cache(&self) -> bool {
        self.fetch.is_some() || self.route_uses_cache()
    }

    /// `store`: what the cache makes of the response.
    pub(super) async fn store(&mut self, body: &mut ResponseBody) {
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

    /// Puts the tags of plugins beside the response's own, where they are stored with it and taken off before the client.
    pub(super) fn add_tags(&mut self) {
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

    pub(super) fn route_uses_cache(&self) -> bool {
        route_of(&self.state, self.route).is_ok_and(|route| route.cache)
    }

    /// Makes a stored response the exchange's response, after another exchange's fetch was waited for or not.
    pub(super) fn serve(&mut self, hit: &Hit, waited: Option<Status>) -> ResponseBody {
        let tags = self.state.snapshot.config.cache.tags;
        let head = hit.stored_head(tags);
        self.subject.response = Some(ResponseHead {
            status: hit.status(),
            headers: match head {
                Some(_) => HeaderMap::new(),
                None => hit.headers(tags),
            },
            version: Version::HTTP_11,
        });
        self.cache = hit.served().as_str();
        self.cache_status = Some(match waited {
            Some(status) => status.collapsed(Some(hit.ttl())),
            None => hit.cache_status(),
        });
        let mut body = ResponseBody::new(self.content_of(hit));
        body.set_head(head);
        body
    }

    fn content_of(&self, hit: &Hit) -> Content {
        if let Some(data) = hit.lent() {
            return Content::Lent(data);
        }
        if let Some(data) = hit.bytes() {
            return Content::Ready(data);
        }
        let content = match hit.slices() {
            Some(slices) => Content::Sliced(Box::new(Sliced::new(self, slices))),
            None => Content::Stored(hit.reader()),
        };
        match hit.pieces() {
            Some(pieces) => Content::Several(Box::new(Several::new(hit.clone(), content, pieces))),
            None => content,
        }
    }

    /// Adds to the response what the cache had to do with it.
    pub(super) fn tell_cache_status(&mut self, body: &mut ResponseBody) {
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
}
