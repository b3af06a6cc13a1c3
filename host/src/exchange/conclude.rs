//! The end of the spine: how the last phase before `finish` ended, made into an answer for the connection.

use http::header::{CONTENT_LENGTH, STRICT_TRANSPORT_SECURITY};
use http::{Method, StatusCode};

use super::body::{Content, RequestBody, ResponseBody};
use super::forward::Forwarded;
use super::response::Response;
use super::slices::Slicing;
use super::subject::{Reply, RequestId};
use super::{Answer, Exchange, Interim, Refusal};
use crate::cache::tags;
use crate::config::Tags;
use crate::http1::encode::has_no_content;
use crate::http1::head::ResponseHead;
use crate::upstream::Fault;

impl Exchange {
    pub(super) fn conclude_tunnel(mut self: Box<Self>, forwarded: Forwarded) -> Answer {
        let (head, call) = forwarded.into_parts();
        let Some((stream, received)) = call.into_tunnel() else {
            return Answer::Response(self.refuse(&Refusal::Upstream(Fault::Closed)));
        };
        self.subject.response = Some(head);
        Answer::Tunnel {
            response: self.hand_over(ResponseBody::new(Content::Empty)),
            stream,
            received,
        }
    }

    /// Nobody waits for an answer any more.
    pub(super) fn abandon(self: Box<Self>) {
        // In the middle of a plugin's call it has the subject, and drops it with its instance: nothing is left to write down.
        if self.subject.id == RequestId::NONE {
            return;
        }
        drop(self.refuse(&Refusal::ClientGone));
    }

    /// Weir says what is wrong.
    pub(super) fn refuse(mut self: Box<Self>, refusal: &Refusal) -> Response {
        self.refusal = Some(refusal.reason());
        let reply = refusal.reply(self.subject.id);
        self.conclude_reply(reply)
    }

    pub(super) fn conclude_reply(mut self: Box<Self>, reply: Reply) -> Response {
        self.cache_status = None;
        self.running = None;
        self.subject.response = Some(ResponseHead {
            status: reply.status,
            headers: reply.headers,
            ..ResponseHead::default()
        });
        self.conclude(ResponseBody::new(Content::Ready(reply.body)))
    }

    pub(super) fn conclude(mut self: Box<Self>, mut body: ResponseBody) -> Response {
        self.tell_cache_status(&mut body);
        self.complete_head(&mut body);
        self.hand_over(body)
    }

    /// What Weir adds to every response, and takes off.
    fn complete_head(&mut self, body: &mut ResponseBody) {
        let is_head = self.subject.request.method == Method::HEAD;
        let strips_tags = self.state.snapshot.config.cache.tags == Tags::Strip && self.route_uses_cache();
        let Some(response) = &mut self.subject.response else {
            return;
        };
        let headers = &mut response.headers;
        if strips_tags && !headers.is_empty() {
            tags::strip(headers);
        }
        let stored = body.head_mut();
        let is_stored = stored.is_some();
        match (&self.busy.client().policy.hsts, stored) {
            (Some(hsts), Some(head)) if !head.has(&STRICT_TRANSPORT_SECURITY) => {
                head.push(&STRICT_TRANSPORT_SECURITY, hsts.as_bytes());
            }
            (Some(hsts), None) => {
                headers.entry(STRICT_TRANSPORT_SECURITY).or_insert_with(|| hsts.clone());
            }
            _ => {}
        }
        if is_head || response.status == StatusCode::NOT_MODIFIED {
            let told = headers
                .get(CONTENT_LENGTH)
                .and_then(|value| value.to_str().ok()?.parse().ok());
            let has_no_content = has_no_content(response.status);
            body.headless(told.or(if is_head {
                // What is stored is known to be empty, what a server says nothing of is not.
                body.length()
                    .filter(|length| *length > 0 || (is_stored && !has_no_content))
            } else {
                None
            }));
        }
    }

    /// Hands the response to the connection, and with it the exchange, for its `finish`.
    fn hand_over(mut self: Box<Self>, body: ResponseBody) -> Response {
        // Nobody is to wait for what only the phases before this one needed.
        self.body = RequestBody::none();
        self.interim = Interim::Nowhere;
        self.fetch = None;
        self.slicing = Slicing::No;
        self.outgoing = body;
        Response::of(self)
    }
}
