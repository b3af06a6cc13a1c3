//! The last phase: what is counted and written down once the client has its answer, or is gone.

use std::task::{Context, Waker};
use std::time::Duration;

use super::Exchange;
use super::body::{Content, ResponseBody};
use crate::plugin::{Phase, Summary};
use crate::server::state::Finished;
use crate::telemetry::Record;

/// Whether the client was given the whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// All of it.
    Whole,
    /// The client went away, or the server broke off.
    Partial,
}

impl Exchange {
    /// Counts, logs and tells plugins.
    pub(super) fn finish(mut self: Box<Self>, delivery: Delivery) {
        let sent = self.outgoing.sent();
        if delivery == Delivery::Partial && self.refusal.is_none() {
            self.refusal = Some("client_gone");
        }
        let duration = self.started.elapsed();
        let status = self
            .subject
            .response
            .as_ref()
            .map_or(0, |response| response.status.as_u16());
        self.state.metrics.finished(&Finished {
            listener: &self.busy.client().listener,
            slot: self.busy.client().slot,
            route: self.route,
            status,
            duration,
            request_bytes: self.received.get(),
            response_bytes: sent,
            refusal: self.refusal,
        });
        self.running = None;
        if self.session.wants(Phase::OnFinish) {
            // The server's connection does not wait for plugins, nor does the memory that the body holds.
            self.outgoing = ResponseBody::new(Content::Empty);
            self.tell_plugins_apart(status, duration, sent);
        } else {
            self.log(status, duration, sent);
        }
    }

    /// The body is dropped in the middle of the connection's work, where nothing can be awaited. Plugins mostly answer at once; while
    /// others run, this one's exchange would have to leave its instance to them. (A function of its own, so that who has no plugins
    /// does not pay for the room that it takes on the stack.)
    #[inline(never)]
    fn tell_plugins_apart(self: Box<Self>, status: u16, duration: Duration, sent: u64) {
        let mut told = Box::pin(self.tell_plugins(status, duration, sent));
        let mut context = Context::from_waker(Waker::noop());
        if told.as_mut().poll(&mut context).is_pending() {
            tokio::task::spawn_local(told);
        }
    }

    async fn tell_plugins(mut self: Box<Self>, status: u16, duration: Duration, sent: u64) {
        let summary = Summary {
            status,
            duration: u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
            request_bytes: self.received.get(),
            response_bytes: sent,
        };
        let vacant = self.worker.vacant_subject();
        let subject = std::mem::replace(&mut self.subject, vacant);
        self.subject = self.session.on_finish(subject, summary).await;
        self.log(status, duration, sent);
    }

    fn log(&self, status: u16, duration: Duration, sent: u64) {
        self.worker.log(&Record {
            subject: &self.subject,
            listener: &self.busy.client().listener,
            status,
            request_bytes: self.received.get(),
            response_bytes: sent,
            duration,
            upstream_time: self.upstream_time,
            server: self.server.as_deref(),
            cache: self.cache,
            refusal: self.refusal,
            plugins: self.session.traces(),
        });
        for event in &self.subject.events {
            self.worker.log_event(event);
        }
    }
}
