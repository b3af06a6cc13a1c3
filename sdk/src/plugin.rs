//! The trait that a plugin implements, and what its methods are told and answer.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Error, Phases, Reply, Request, Response, Setup};

/// A plugin: a value made once by [`configure`](Plugin::configure), and a method for each phase that it has a say in.
///
/// Every phase has a default that goes on. Put [`#[weir_sdk::plugin]`](macro@crate::plugin) on the `impl`: it sees which of
/// the methods are there, and Weir calls no other.
///
/// One instance serves one exchange at a time, so `&self` is never shared; it is not `&mut`, because the value belongs to all
/// exchanges and must not remember one of them. What belongs to an exchange is kept in [`State`](Plugin::State), and from its first
/// phase to its last the exchange has the instance to itself, unless the plugin can [`park`](Plugin::park) it.
pub trait Plugin: Sized + 'static {
    /// The plugin's part of `bundle.toml`, `[plugin.config]`. Use [`Empty`] for none.
    type Config: DeserializeOwned;

    /// What is kept from one phase to the next of the same exchange. It starts as its default in the exchange's first phase
    /// and is [renewed](Plugin::renew) after `on_finish`, or when the instance's next exchange starts.
    type State: Default;

    /// The phases of which the plugin has a method. Filled in by the attribute.
    const PHASES: Phases = Phases::ALL;

    /// Makes the plugin. Runs once, when the bundle is loaded, before any traffic; every instance starts with a copy of the
    /// memory as it is afterwards. So do the expensive things here.
    ///
    /// # Errors
    /// What is wrong with the configuration, and what would be right: it stops the activation and is shown to the operator.
    fn configure(config: Self::Config, setup: &mut Setup) -> Result<Self, Error>;

    /// Makes the state of an exchange that is over into that of a new one: its default. A plugin with much to allocate may
    /// empty it instead and keep the memory; nothing of the exchange that is over may be left to see.
    fn renew(&self, state: &mut Self::State) {
        *state = Self::State::default();
    }

    /// Writes down all that the state holds, in a form that [`resume`](Plugin::resume) reads. With both, exchanges that wait for an
    /// upstream or a slow client need no instance: a worker serves them by turns in one that its processor has in its caches.
    /// Called between two phases when another exchange needs the instance; afterwards the state is [renewed](Plugin::renew).
    ///
    /// `None`, the default, means that the state has to stay where it is. It is also asked for once after `configure`, about a
    /// state that is new: a plugin that cannot park even that is not asked again.
    fn park(&self, _state: &Self::State) -> Option<Vec<u8>> {
        None
    }

    /// Makes of a state that is new the one that [`park`](Plugin::park) wrote down, in this instance or another one.
    ///
    /// # Errors
    /// When it cannot be read: a failure of the plugin.
    fn resume(&self, _state: &mut Self::State, _parked: &[u8]) -> Result<(), Error> {
        Err(Error::new("this plugin parks nothing"))
    }

    /// The request head is complete and routed; nothing has gone upstream.
    fn on_request(&self, _state: &mut Self::State, _request: &mut Request) -> Verdict {
        Verdict::Continue
    }

    /// The body for which `on_request` answered [`Verdict::Hold`]; nothing has gone upstream. Called with an empty body where
    /// the request has none.
    fn on_request_body(
        &self,
        _state: &mut Self::State,
        _request: &mut Request,
        _body: &[u8],
        _completeness: Completeness,
    ) -> Verdict {
        Verdict::Continue
    }

    /// The response head is there; the client has seen nothing of it. Only for what an upstream answered: what plugins make of
    /// it is what the cache stores, and answers that Weir or a plugin made do not pass here.
    fn on_response(&self, _state: &mut Self::State, _request: &Request, _response: &mut Response) -> Verdict {
        Verdict::Continue
    }

    /// The body for which `on_response` answered [`Verdict::Hold`]; the client has seen nothing of the response.
    fn on_response_body(
        &self,
        _state: &mut Self::State,
        _request: &Request,
        _response: &mut Response,
        _body: &[u8],
        _completeness: Completeness,
    ) -> Verdict {
        Verdict::Continue
    }

    /// The exchange is over. There is nothing left to decide; notes still reach the access log.
    fn on_finish(&self, _state: &mut Self::State, _request: &Request, _summary: &Summary) {}
}

/// What a phase wants to happen next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Continue,
    /// Hold the message until this many bytes of its body are there, or all of it, then call the body phase. The smaller of
    /// this and the manifest's `limits.body` counts. The next hop sees no byte before that phase has answered. In a body
    /// phase it is [`Continue`](Verdict::Continue), because a body is held once; in a phase of a head it is a failure of the
    /// plugin when it has no body phase.
    Hold {
        /// In bytes.
        limit: u64,
    },
    /// Answer the client with this. In the request phases nothing is sent upstream; in the response phases it replaces the
    /// upstream's response.
    Reply(Reply),
    /// Close the client's connection without an answer.
    Close,
}

/// Whether a body phase sees all of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// This is the whole body.
    Complete,
    /// The body is longer than what was held: this is its start.
    Cut,
}

/// What [`Plugin::on_finish`] is told about an exchange.
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

/// The configuration of a plugin that has none: any key in it is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Empty {}
