//! Policy: WebAssembly components, called in the phases of an exchange.
//!
//! From a bundle to a call, and the file where each step happens:
//!
//! 1. [`runtime`] takes a bundle and makes a [`Generation`] of it, off the serving path: [`contract`] checks each component,
//!    [`artefact`] finds what was compiled before (in a [`folder`]), [`snapshot`] runs `configure` once and keeps the memory,
//!    [`selftest`] sends the bundle's own requests through the whole chain.
//! 2. [`chain`] is what a worker has of a generation (warm instances), and what an exchange has of a worker ([`Session`]).
//! 3. [`instance`] is one plugin in its own memory; [`state`] is what it has on the host's side, [`hostcalls`] what it may call,
//!    [`engine`] what stops it, and [`failure`] what is told when it fails.
//! 4. [`shared`] outlives exchanges and generations: rate limits, tables, key-value data.

mod artefact;
mod chain;
mod contract;
mod custom;
mod engine;
mod failure;
mod folder;
mod generation;
mod hostcalls;
mod instance;
mod interest;
mod matcher;
mod phases;
mod runtime;
mod seat;
mod selftest;
pub mod shared;
mod snapshot;
mod state;
mod subjects;

use std::sync::Arc;

use crate::exchange::subject::Reply;

pub use chain::{Chain, Session};
pub use generation::{Generation, PluginStatus};
pub use phases::PhaseSet;
pub use runtime::Runtime;
pub use selftest::run_case;

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
    /// Every phase, in the order of an exchange.
    pub const ALL: [Self; 5] = [
        Self::OnRequest,
        Self::OnRequestBody,
        Self::OnResponse,
        Self::OnResponseBody,
        Self::OnFinish,
    ];

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
    /// Every cause.
    pub const ALL: [Self; 6] = [
        Self::Trap,
        Self::Deadline,
        Self::Memory,
        Self::Exhausted,
        Self::Denied,
        Self::Invalid,
    ];

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
