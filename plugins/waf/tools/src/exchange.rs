//! One request through all phases, the way the plugin takes it through them.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use weir_waf::compile::plan::{Rule, Severity};
use weir_waf::evaluate::observe::{Observed, Observer, Unobserved};
use weir_waf::evaluate::{Answer, Completeness, Decision, Disruption, Engine, Match, Transaction};

use crate::http::{Framing, Received, Refusal, Request};
use crate::origin::{self, Response};

/// What the client gets in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// A response with this status.
    Status(u16),
    /// No response that could be read.
    None,
}

/// Whether rules were asked about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// They were, as far as it could be read.
    Yes,
    /// They were not: the proxy refused it before.
    No,
}

/// What became of a request.
#[derive(Debug)]
pub struct Judged {
    /// Whether rules were asked.
    pub asked: Asked,
    /// What the client gets.
    pub reply: Reply,
    /// What the rules decided in this process, by the first phase that did not let the exchange go on.
    pub decision: Decision,
    /// Why the proxy refused the request by itself, where it did.
    pub refusal: Option<Refusal>,
    /// The rules that matched and are reported.
    pub matches: Vec<Match>,
    /// How many more there were than are kept.
    pub unreported: usize,
    /// What the origin answered, where it was asked and its answer let through.
    pub response: Option<Response>,
}

/// Judges what arrived, with a transaction that can be asked afterwards.
pub fn judge(engine: &Engine, received: &Received, transaction: &mut Transaction) -> Judged {
    judge_observed(engine, received, transaction, &mut Unobserved)
}

/// The same, with somebody who is told what the engine does.
pub fn judge_observed(
    engine: &Engine,
    received: &Received,
    transaction: &mut Transaction,
    observer: &mut impl Observer,
) -> Judged {
    let (reply, decision, response) = match &received.request {
        None => (Reply::Status(400), Decision::Pass, None),
        Some(request) => phases(engine, request, received.refusal, transaction, observer),
    };
    Judged {
        asked: Asked::Yes,
        reply,
        decision,
        refusal: received.refusal,
        matches: transaction.matches().to_vec(),
        unreported: transaction.unreported(),
        response,
    }
}

fn phases(
    engine: &Engine,
    request: &Request,
    refusal: Option<Refusal>,
    transaction: &mut Transaction,
    observer: &mut impl Observer,
) -> (Reply, Decision, Option<Response>) {
    let mut passed = None;
    let mut observed = engine.observed(observer);
    let mut decision = observed.request_head(transaction, request.head.clone());
    if decision == Decision::Pass {
        decision = observed.request_body(transaction, &request.body, Completeness::Complete);
    }
    let mut reply = reply_to(&decision);
    if decision == Decision::Pass {
        let response = match refusal {
            Some(_) => Response::text(400, ""),
            None => origin::answer(request),
        };
        decision = respond(engine, &mut observed, &response, transaction);
        reply = match &decision {
            // To a request line without a version the response has no status line (RFC 1945 §3.1).
            Decision::Pass if request.framing == Framing::Bare => Reply::None,
            Decision::Pass => Reply::Status(response.status),
            disrupted => reply_to(disrupted),
        };
        passed = (decision == Decision::Pass).then_some(response);
    }
    observed.finish(transaction);
    (reply, decision, passed)
}

fn respond<O: Observer>(
    engine: &Engine,
    observed: &mut Observed<'_, '_, O>,
    response: &Response,
    transaction: &mut Transaction,
) -> Decision {
    let decision = observed.response_head(transaction, response.status, response.headers.iter().cloned());
    if decision == Decision::Pass
        && let Some(limit) = engine.response_body_limit(transaction)
    {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let (body, completeness) = match response.body.get(..limit) {
            Some(start) if start.len() < response.body.len() => (start, Completeness::Cut),
            _ => (response.body.as_slice(), Completeness::Complete),
        };
        return observed.response_body(transaction, body, completeness);
    }
    decision
}

fn reply_to(decision: &Decision) -> Reply {
    match decision {
        Decision::Pass => Reply::Status(200),
        Decision::Disrupt(Disruption { answer, .. }) => match answer {
            Answer::Status(status) | Answer::Redirect { status, .. } => Reply::Status(*status),
            Answer::Close => Reply::None,
        },
    }
}

impl Judged {
    /// The ids of the rules that matched.
    #[must_use]
    pub fn ids(&self) -> BTreeSet<u64> {
        self.matches.iter().map(|found| found.id).collect()
    }
}

/// Matches as lines of a log in ModSecurity's format, for tests and people that look for its texts.
#[derive(Debug)]
pub struct LogLines<'e> {
    rules: HashMap<u64, &'e Rule>,
}

impl<'e> LogLines<'e> {
    /// For the rules of an engine.
    #[must_use]
    pub fn new(engine: &'e Engine) -> Self {
        Self {
            rules: engine.plan().rules.iter().map(|rule| (rule.id, rule)).collect(),
        }
    }

    /// One line.
    #[must_use]
    pub fn line(&self, found: &Match) -> String {
        let mut line = format!("Warning. Matched at {}.", found.variable);
        let mut part = |name: &str, value: &dyn std::fmt::Display| {
            // Writing to a string cannot fail.
            let _ = write!(line, " [{name} \"{value}\"]");
        };
        let rule = self.rules.get(&found.id);
        if let Some(rule) = rule {
            part("file", &rule.place.file);
            part("line", &rule.place.line);
        }
        part("id", &found.id);
        part("msg", &found.message);
        part("data", &found.data);
        if let Some(rule) = rule {
            if let Some(severity) = rule.severity {
                part(
                    "severity",
                    Severity::NAMES.get(usize::from(severity.0)).unwrap_or(&"UNKNOWN"),
                );
            }
            if let Some(version) = &rule.version {
                part("ver", version);
            }
            for tag in &rule.tags {
                part("tag", tag);
            }
        }
        line
    }
}
