//! Policy: WebAssembly components, called in the phases of an exchange.

pub mod shared;

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use crate::exchange::subject::{Reply, Subject};

/// A step of an exchange in which plugins may have a say. The words are the same in WIT, SDK, metrics, logs and docs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The request head is complete and routed; nothing has gone upstream.
    OnRequest,
    /// The held request body is complete, or cut at its limit; nothing has gone upstream.
    OnRequestBody,
    /// The response head is there; the client has seen nothing of it.
    OnResponse,
    /// The held response body is complete, or cut at its limit; the client has seen nothing of it.
    OnResponseBody,
    /// The exchange is over.
    OnFinish,
}

impl Phase {
    /// The phase's name in metrics, logs and manifests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnRequest => "on_request",
            Self::OnRequestBody => "on_request_body",
            Self::OnResponse => "on_response",
            Self::OnResponseBody => "on_response_body",
            Self::OnFinish => "on_finish",
        }
    }
}

/// What the plugins together want to happen next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Go on.
    Continue,
    /// Read the body up to this many bytes, holding everything else, and call the body phase.
    Hold(u64),
    /// Answer with this.
    Reply(Reply),
    /// Close the connection without an answer.
    Close,
    /// A plugin whose policy is `closed` failed.
    Fail(Failure),
}

/// A plugin's failure, as far as the exchange is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The plugin's name in the bundle.
    pub plugin: Arc<str>,
    /// Why.
    pub cause: Cause,
}

/// Why a plugin failed: a closed list, used as a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The guest trapped.
    Trap,
    /// The call took longer than its deadline.
    Deadline,
    /// The instance wanted more memory than its limit.
    Memory,
    /// No instance was free.
    Exhausted,
    /// The plugin used a service that its manifest does not grant.
    Denied,
    /// The plugin's answer makes no sense (a status of 9999, a verdict that the phase does not have).
    Invalid,
}

impl Cause {
    /// The cause's name in metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Exhausted => "exhausted",
            Self::Denied => "denied",
            Self::Invalid => "invalid",
        }
    }
}

/// What one plugin did in one phase of one exchange, for the access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The plugin's name in the bundle.
    pub plugin: Arc<str>,
    /// The phase.
    pub phase: Phase,
    /// `continue`, `hold`, `reply`, `close`, or a cause of failure.
    pub verdict: &'static str,
    /// CPU time in the plugin, in nanoseconds.
    pub nanos: u64,
}

/// What `on_finish` is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// The status that the client got.
    pub status: u16,
    /// From the first byte of the request head to the last byte of the response, in microseconds.
    pub duration: u64,
    /// Bytes of the request body.
    pub request_bytes: u64,
    /// Bytes of the response body.
    pub response_bytes: u64,
}

/// The plugins of one bundle, compiled, configured and linked: immutable and shared by all workers.
pub struct Generation {}

impl Generation {
    /// A generation without plugins.
    #[must_use]
    pub fn empty() -> Self {
        Self {}
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generation").finish_non_exhaustive()
    }
}

/// One worker's plugins of one generation: its warm instances. Never leaves its thread.
pub struct Chain {}

impl Chain {
    /// Makes the first instances of every plugin.
    ///
    /// # Errors
    /// When an instance cannot be made.
    pub fn new(_generation: &Arc<Generation>) -> anyhow::Result<Rc<Self>> {
        Ok(Rc::new(Self {}))
    }

    /// The plugins whose matcher fits this exchange. Costs nothing where there are none.
    #[must_use]
    pub fn begin(self: &Rc<Self>, _subject: &Subject) -> Session {
        Session {}
    }
}

/// The plugins of one exchange. Instances that it holds go back to the worker when it is dropped.
pub struct Session {}

#[allow(clippy::unused_async, reason = "the interface, before its implementation")]
impl Session {
    /// A session without plugins.
    #[must_use]
    pub fn none() -> Self {
        Self {}
    }

    /// Whether any plugin wants this phase (for body phases: asked for it by holding).
    #[must_use]
    pub fn wants(&self, _phase: Phase) -> bool {
        false
    }

    /// Calls every plugin in the bundle's order until one decides.
    pub async fn on_request(&mut self, subject: Box<Subject>) -> (Box<Subject>, Decision) {
        (subject, Decision::Continue)
    }

    /// Calls the plugins that held the request. `complete` is false when the body was cut at the limit.
    pub async fn on_request_body(
        &mut self,
        subject: Box<Subject>,
        _body: &Bytes,
        _complete: bool,
    ) -> (Box<Subject>, Decision) {
        (subject, Decision::Continue)
    }

    /// Calls every plugin, in reverse order, until one decides. The subject has a response.
    pub async fn on_response(&mut self, subject: Box<Subject>) -> (Box<Subject>, Decision) {
        (subject, Decision::Continue)
    }

    /// Calls the plugins that held the response.
    pub async fn on_response_body(
        &mut self,
        subject: Box<Subject>,
        _body: &Bytes,
        _complete: bool,
    ) -> (Box<Subject>, Decision) {
        (subject, Decision::Continue)
    }

    /// Tells every plugin that wants to know. There is nothing left to decide.
    pub async fn on_finish(&mut self, subject: Box<Subject>, _summary: Summary) -> Box<Subject> {
        subject
    }

    /// What has been called so far, in order.
    #[must_use]
    pub fn traces(&self) -> &[Trace] {
        &[]
    }
}
