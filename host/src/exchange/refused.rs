//! Requests that Weir refuses before any plugin is asked, shown to the plugins that want to see them (`limits.refused` in a bundle).
//!
//! A WAF is to know of attacks that never become a request: a malformed `Host`, framing that two parsers would read differently,
//! control bytes. What such a plugin is shown is as much of the head as can be made out, never a body, in `on_request` and
//! `on_finish` alone. Its verdict changes nothing: the request is refused as it would have been, nothing of it goes upstream or to
//! the cache. How many requests a plugin is shown is bounded twice: by its manifest, and by the client's own rate.

use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Uri};

use super::admit;
use super::refusal::{Refusal, Timing};
use super::response::Response;
use super::subject::Refused;
use super::{Exchange, route_of};
use crate::connection::Client;
use crate::http1::salvage::Salvaged;
use crate::plugin::Phase;
use crate::server::worker::Worker;

/// Answers a request whose head could not be read or says that its body cannot be. `received` is what came of the head.
pub async fn refuse(
    worker: &Rc<Worker>,
    client: &Rc<Client>,
    refusal: &Refusal,
    received: impl FnOnce() -> Bytes,
) -> Response {
    let mut exchange = Exchange::of_nothing(worker, client);
    // It did not come as far as `admit`, where requests are counted against their client's rate.
    let rate = exchange.state.snapshot.config.limits.client.request_rate;
    if exchange.shows(refusal) && exchange.busy.client().place.may_request(rate) {
        let head = Salvaged::of_bytes(&received());
        exchange.fill_in(&head);
        exchange.show(refusal, head).await;
    }
    exchange.refuse(refusal)
}

impl Exchange {
    /// Shows a request whose head could be read, and that `admit` or `route` refused, where there is anybody to be [shown](Self::shows) it.
    pub(super) async fn show_refused(&mut self, refusal: &Refusal) {
        let asks_nobody = route_of(&self.state, self.route).is_ok_and(|route| !route.plugins);
        if !self.session.is_none() || asks_nobody {
            return;
        }
        let head = if self.subject.request.received.is_empty() {
            Salvaged::of_head(&self.subject.request)
        } else {
            Salvaged::of_bytes(&self.subject.request.received)
        };
        self.show(refusal, head).await;
    }

    /// Whether there is anybody to be shown a request that is refused for this.
    pub(super) fn shows(&self, refusal: &Refusal) -> bool {
        refusal.timing() == Timing::BeforePlugins && self.state.chain.wants_refused()
    }

    /// What matchers and the access log look at, as far as a head can say it.
    fn fill_in(&mut self, head: &Salvaged) {
        let request = &mut self.subject.request;
        if let Ok(method) = Method::from_bytes(&head.method) {
            request.method = method;
        }
        if let Ok(uri) = Uri::from_maybe_shared(head.target.clone()) {
            request.uri = uri;
        }
        for (name, value) in &head.fields {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
                request.headers.append(name, value);
            }
        }
    }

    async fn show(&mut self, refusal: &Refusal, head: Salvaged) {
        let subject = &mut *self.subject;
        let trusted = &self.state.snapshot.config.trusted_proxies;
        if !trusted.is_empty() {
            subject.client_ip = admit::client_ip(subject.peer.ip(), trusted, &subject.request.headers);
        }
        if subject.host.is_empty() {
            // Lossy, because a host is text.
            subject.host = String::from_utf8_lossy(&head.host()).into_owned().into();
        }
        subject.refused = Some(Box::new(Refused {
            reason: refusal.reason(),
            head,
        }));
        self.session = self.state.chain.begin_refused(&self.subject);
        if self.session.wants(Phase::OnRequest) {
            // Nothing is left to decide.
            let _ = self.consult(Phase::OnRequest, None).await;
        }
    }
}
