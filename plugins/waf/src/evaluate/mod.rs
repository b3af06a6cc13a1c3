//! Judging one transaction: what the plan says about a request and its response.
//!
//! An [`Engine`] holds the plan; a [`Transaction`] holds all that is particular to one exchange. The engine's methods are called
//! in the order of the phases, each with what has become known: [`Engine::request_head`], [`Engine::request_body`],
//! [`Engine::response_head`], [`Engine::response_body`], [`Engine::finish`]. Each answers with a [`Decision`].
//!
//! - `transaction`: the state of one exchange, and how values are kept ([`texts`]) and transformed once.
//! - `collect`: from a target to the values that it names.
//! - `run`: the loop over the rules of a phase; `screen`: which of them need not look at any value, with what `memo` knows of
//!   values from earlier transactions; `link`: one rule over its values; `answers`: what operators said about short ones before;
//!   `effects`: `setvar` and `ctl`.
//! - `body`: how request bodies become arguments.
//! - [`observe`]: for tools that want to know what happens on the way.
//! - `parked`: a transaction as bytes, from one phase to the next.
//! - `kept`: collections that outlive a transaction, in the store that [`services`] give.

mod answers;
mod audit;
mod audit_lines;
mod body;
mod collect;
mod cookies;
mod effects;
mod expand;
mod kept;
mod link;
mod memo;
pub mod observe;
mod parked;
mod rare;
mod run;
mod screen;
pub mod services;
#[cfg(test)]
mod tests;
mod texts;
mod transaction;
mod tx;
mod urlencoded;
mod warm_up;
mod withheld;

pub use body::Completeness;
pub use transaction::{Match, RequestHead, Transaction};

use observe::{Observed, Observer, Unobserved};
use serde::{Deserialize, Serialize};
use services::{Services, Standalone};

use crate::compile::plan::{Access, AuditFormat, Mode, Phase, Plan};
use crate::compile::settings::Overflow;

/// A plan and the phases in which it is asked.
#[derive(Debug)]
pub struct Engine {
    plan: Plan,
    services: &'static dyn Services,
}

/// What happens to the exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It goes on.
    Pass,
    /// A rule disrupts it.
    Disrupt(Disruption),
}

/// How a rule, or a limit of the engine, disrupts an exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disruption {
    /// By what.
    pub cause: Cause,
    /// How.
    pub answer: Answer,
}

/// What disrupts an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// The rule with this id.
    Rule(u64),
    /// The request body is longer than `SecRequestBodyLimit`.
    BodyLimit,
    /// The response body is longer than `SecResponseBodyLimit`.
    ResponseBodyLimit,
    /// The values of the transaction take more memory than they may.
    MemoryLimit,
}

/// What the client gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// A response with this status.
    Status(u16),
    /// A response that sends it elsewhere.
    Redirect {
        /// The status.
        status: u16,
        /// The value of `Location`.
        location: Vec<u8>,
    },
    /// Nothing: the connection is closed.
    Close,
}

impl Engine {
    /// An engine for a plan, with no world around it.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            services: &Standalone,
        }
    }

    /// The same engine in a world.
    #[must_use]
    pub fn with_services(self, services: &'static dyn Services) -> Self {
        Self { services, ..self }
    }

    /// What it runs.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Phase 1. Starts the transaction.
    pub fn request_head(&self, transaction: &mut Transaction, head: RequestHead) -> Decision {
        self.observed(&mut Unobserved).request_head(transaction, head)
    }

    /// Whether the body of the request is to be held and given to [`Engine::request_body`], and how much of it.
    #[must_use]
    pub fn request_body_limit(&self, transaction: &Transaction) -> Option<u64> {
        let wanted = transaction.mode != Mode::Off && transaction.request_body == Access::On;
        wanted.then(|| self.request_limit(transaction))
    }

    /// Phase 2, with the body as far as it is known; empty where there is none or it is not looked at.
    pub fn request_body(&self, transaction: &mut Transaction, body: &[u8], completeness: Completeness) -> Decision {
        self.observed(&mut Unobserved)
            .request_body(transaction, body, completeness)
    }

    /// Phase 3.
    pub fn response_head(
        &self,
        transaction: &mut Transaction,
        status: u16,
        headers: impl IntoIterator<Item = (String, Vec<u8>)>,
    ) -> Decision {
        self.observed(&mut Unobserved)
            .response_head(transaction, status, headers)
    }

    /// Whether the body of the response is to be held and given to [`Engine::response_body`], and how much of it.
    #[must_use]
    pub fn response_body_limit(&self, transaction: &Transaction) -> Option<u64> {
        let settings = &self.plan.settings;
        let has_rules = self.has_rules(Phase::ResponseBody);
        let wanted = has_rules && transaction.mode != Mode::Off && transaction.response_body == Access::On;
        (wanted && transaction.response_is_one_of(&settings.response_body_types))
            .then(|| transaction.response_limit.unwrap_or(settings.response_body_limit))
    }

    /// Phase 4.
    pub fn response_body(&self, transaction: &mut Transaction, body: &[u8], completeness: Completeness) -> Decision {
        self.observed(&mut Unobserved)
            .response_body(transaction, body, completeness)
    }

    /// Phase 5. There is nothing left to decide. Collections that outlive the transaction are written back.
    pub fn finish(&self, transaction: &mut Transaction) {
        self.observed(&mut Unobserved).finish(transaction);
    }

    /// All that a transaction holds between two phases, for [`Engine::resume`]; nothing where it has to stay where it is.
    #[must_use]
    pub fn park(&self, transaction: &Transaction) -> Option<Vec<u8>> {
        parked::park(transaction)
    }

    /// Makes of a transaction that has not started the one that was parked. Nothing where that cannot be read.
    pub fn resume(&self, transaction: &mut Transaction, parked: &[u8]) -> Option<()> {
        parked::resume(&self.plan, self.services, transaction, parked)
    }

    /// The audit event of a transaction that is over: a line of JSON, where there is to be one. `status` is what the client got.
    #[must_use]
    pub fn audit_event(&self, transaction: &Transaction, status: u16) -> Option<String> {
        audit::event(self, transaction, status)
    }

    /// The events of a transaction that is over, in the format that the operator has chosen. `status` is what the client got.
    #[must_use]
    pub fn audit_events(&self, transaction: &Transaction, status: u16) -> Vec<String> {
        match self.plan.settings.audit_format {
            AuditFormat::Json => audit::event(self, transaction, status).into_iter().collect(),
            AuditFormat::Lines => audit_lines::lines(self, transaction),
        }
    }

    /// Says that the proxy refuses the request by itself, and why: what rules decided is worth knowing, and has no effect.
    pub fn refuse(&self, transaction: &mut Transaction, word: String) {
        transaction.refused = Some(word);
    }

    /// Whether any rule runs in a phase.
    #[must_use]
    pub fn has_rules(&self, phase: Phase) -> bool {
        self.plan
            .phases
            .get(phase.index())
            .is_some_and(|rules| !rules.is_empty())
    }

    /// A name in `TX`, as a number; nothing where it is unset.
    #[must_use]
    pub fn tx_number(&self, transaction: &Transaction, name: &str) -> Option<i64> {
        transaction.tx_number(&self.plan, name)
    }

    /// Asks every rule about every value, and not only those that may match. The result is the same, and tests prove it.
    pub fn remove_screens(&mut self) {
        self.plan.screens.remove();
        self.plan.program = None;
    }

    /// Judges a few ordinary requests, so that what automata build while they run is there before the first real one.
    pub fn warm_up(&self) {
        warm_up::run(self);
    }

    /// The same engine, with somebody who is told what it does.
    pub fn observed<'e, 'o, O: Observer>(&'e self, observer: &'o mut O) -> Observed<'e, 'o, O> {
        Observed { engine: self, observer }
    }

    /// Moves the plan together in memory: compiling it left its parts wherever there was room.
    #[must_use]
    pub fn compacted(self) -> Self {
        Self {
            plan: self.plan.clone(),
            ..self
        }
    }

    fn start(&self, transaction: &mut Transaction, head: RequestHead) {
        transaction.start(&self.plan, self.services, head);
    }

    /// The body, before rules run. A body that is too long may be refused by itself.
    fn take_body(&self, transaction: &mut Transaction, body: &[u8], completeness: Completeness) -> Decision {
        let limit = usize::try_from(self.request_limit(transaction)).unwrap_or(usize::MAX);
        let (body, completeness) = match body.get(..limit) {
            Some(start) if start.len() < body.len() => (start, Completeness::Cut),
            _ => (body, completeness),
        };
        if transaction.mode != Mode::Off && transaction.request_body == Access::On {
            transaction.take_body(&self.plan, body, completeness);
        }
        let reject = completeness == Completeness::Cut
            && self.plan.settings.request_body_overflow == Overflow::Reject
            && transaction.mode == Mode::On;
        if reject {
            let disruption = Disruption {
                cause: Cause::BodyLimit,
                answer: Answer::Status(413),
            };
            return run::stop(transaction, disruption);
        }
        Decision::Pass
    }

    /// The body of a response, before rules run. One that is too long may be withheld by itself.
    fn take_response_body(&self, transaction: &mut Transaction, body: &[u8], completeness: Completeness) -> Decision {
        transaction.take_response_body(body, completeness);
        let reject = completeness == Completeness::Cut
            && self.plan.settings.response_body_overflow == Overflow::Reject
            && transaction.mode == Mode::On;
        if reject {
            let disruption = Disruption {
                cause: Cause::ResponseBodyLimit,
                answer: Answer::Status(500),
            };
            return run::stop(transaction, disruption);
        }
        Decision::Pass
    }

    fn request_limit(&self, transaction: &Transaction) -> u64 {
        transaction
            .request_limit
            .unwrap_or(self.plan.settings.request_body_limit)
    }

    fn write_back(&self, transaction: &mut Transaction) {
        transaction.write_back(&self.plan);
    }

    fn run(&self, transaction: &mut Transaction, phase: Phase, observer: &mut impl Observer) -> Decision {
        run::phase(&self.plan, transaction, phase, observer)
    }
}
