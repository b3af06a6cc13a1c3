//! The end of the spine: how the last phase before `finish` ended, made into an answer for the connection.

use http::header::{CONTENT_LENGTH, STRICT_TRANSPORT_SECURITY};
use http::{Method, Response, StatusCode};

use super::body::{Content, ResponseBody};
use super::finish::Finish;
use super::forward::Forwarded;
use super::subject::{Reply, RequestId};
use super::{Answer, Exchange, Refusal};
use crate::cache::tags;
use crate::config::Tags;
use crate::http1::encode::has_no_content;

impl Exchange {
    pub(super) fn conclude_tunnel(mut self, forwarded: Forwarded) -> Answer {
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

    /// The answer to what never became a request, of which the connection sees to the end itself.
    pub(super) fn refuse(self, refusal: &Refusal) -> Response<ResponseBody> {
        match self.conclude_refusal(refusal) {
            Answer::Response(response) | Answer::Last(response) => response,
            _ => Response::new(ResponseBody::new(Content::Empty)),
        }
    }

    /// Nobody waits for an answer any more.
    pub(super) fn abandon(self) {
        // In the middle of a plugin's call it has the subject, and drops it with its instance: nothing is left to write down.
        if self.subject.id == RequestId::NONE {
            return;
        }
        drop(self.conclude_refusal(&Refusal::ClientGone));
    }

    pub(super) fn conclude_refusal(mut self, refusal: &Refusal) -> Answer {
        self.refusal = Some(refusal.reason());
        let reply = refusal.reply(self.subject.id);
        match self.conclude_reply(reply) {
            Answer::Response(response) if refusal.ends_connection() => Answer::Last(response),
            answer => answer,
        }
    }

    pub(super) fn conclude_reply(mut self, reply: Reply) -> Answer {
        self.fetch = None;
        self.cache_status = None;
        self.running = None;
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = reply.status;
        parts.headers = reply.headers;
        self.subject.response = Some(parts);
        self.conclude(ResponseBody::new(Content::Ready(reply.body)))
    }

    /// Hands the response to the connection, and the exchange to its `finish`.
    pub(super) fn conclude(mut self, mut body: ResponseBody) -> Answer {
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
}
