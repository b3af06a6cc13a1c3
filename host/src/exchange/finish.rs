//! The last phase: what is counted and written down once the client has its answer, or is gone.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::body::Received;
use super::subject::Subject;
use crate::connection::Busy;
use crate::plugin::{Phase, Session, Summary};
use crate::server::state::{Finished, State};
use crate::server::worker::Worker;
use crate::telemetry::Record;
use crate::upstream::Fault;
use crate::upstream::balance::Running;

/// Everything that the end of an exchange needs. It travels with the response's body and runs when that is dropped.
pub struct Finish {
    /// The worker that served it.
    pub worker: Rc<Worker>,
    /// The snapshot that it ran with.
    pub state: Rc<State>,
    /// Whose request it was.
    pub busy: Busy,
    /// The heads.
    pub subject: Box<Subject>,
    /// The plugins.
    pub session: Session,
    /// When the request head was complete.
    pub started: Instant,
    /// The route's index, once routed.
    pub route: Option<usize>,
    /// Bytes of the request body.
    pub request_bytes: Received,
    /// From the request sent to the response head.
    pub upstream_time: Option<Duration>,
    /// The server that answered.
    pub server: Option<Arc<str>>,
    /// What the cache had to do with it.
    pub cache: &'static str,
    /// Why Weir itself answered, or what broke the answer off.
    pub refusal: Option<&'static str>,
    /// Keeps the server's count of running requests.
    pub running: Option<Running>,
}

impl std::fmt::Debug for Finish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Finish")
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// Whether the client was given the whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// All of it.
    Whole,
    /// The client went away, or the server broke off.
    Partial,
}

impl Finish {
    /// The body broke off.
    pub fn broken(&mut self, fault: &Fault) {
        self.refusal = Some(fault.as_str());
    }

    /// Counts, logs and tells plugins. `sent` are the bytes of the response's body.
    pub fn run(mut self: Box<Self>, sent: u64, delivery: Delivery) {
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
            request_bytes: self.request_bytes.get(),
            response_bytes: sent,
            refusal: self.refusal,
        });
        self.running = None;
        if self.session.wants(Phase::OnFinish) {
            self.tell_plugins_later(status, duration, sent);
        } else {
            self.log(status, duration, sent);
        }
    }

    /// The body is dropped in the middle of the connection's work, where nothing can be awaited. (A function of its own, so that who has no
    /// plugins does not pay for the room that it takes on the stack.)
    #[inline(never)]
    fn tell_plugins_later(self: Box<Self>, status: u16, duration: Duration, sent: u64) {
        tokio::task::spawn_local(self.tell_plugins(status, duration, sent));
    }

    async fn tell_plugins(mut self: Box<Self>, status: u16, duration: Duration, sent: u64) {
        let summary = Summary {
            status,
            duration: u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
            request_bytes: self.request_bytes.get(),
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
            request_bytes: self.request_bytes.get(),
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
