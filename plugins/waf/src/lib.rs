//! A web application firewall: SecLang rules, compiled once when the bundle is loaded, judge each request before the upstream
//! sees a byte of it, and responses where rules want to.
//!
//! This file is the adapter. What it adapts is pure and runs natively as well:
//!
//! 1. [`seclang`]: rule files to a syntax tree, every mistake with file and line;
//! 2. [`compile`]: the tree to a plan, with [`variables`], [`transformations`], [`operators`] and [`actions`] by name;
//! 3. [`evaluate`]: the plan and one exchange to a decision;
//! 4. [`casefile`]: requests with the rules that must and must not match them, beside each rule set.

pub mod actions;
pub mod bytes;
#[cfg(not(target_arch = "wasm32"))]
pub mod casefile;
pub mod compile;
pub mod config;
pub mod evaluate;
mod host;
pub mod operators;
pub mod problem;
pub mod seclang;
pub mod transformations;
pub mod variables;

use weir_sdk::head::{Received, ResponseHead};
use weir_sdk::prelude::*;
use weir_sdk::{Head, allocator};

use compile::plan::{Mode, Phase};
use config::Config;
use evaluate::{Answer, Cause, Decision, Disruption, Engine, RequestHead, Transaction};
use seclang::Files;

/// The plugin: its compiled rules, and nothing else.
#[derive(Debug)]
pub struct Waf {
    engine: Engine,
}

/// What is kept from phase to phase.
#[derive(Debug, Default)]
pub struct Exchange {
    transaction: Transaction,
    /// How many matches the access log knows of.
    noted: usize,
}

#[weir_sdk::plugin]
impl Plugin for Waf {
    type Config = Config;
    type State = Exchange;

    fn configure(config: Config, setup: &mut Setup) -> Result<Self, Error> {
        let engine = config.engine(&DataFiles(setup)).map_err(Error::new)?;
        // Every request walks through the plan, and an instance's memory is cold: what lies together comes together.
        allocator::settle();
        let engine = engine.compacted();
        engine.warm_up();
        let engine = engine.with_services(&host::Host);
        for warning in &engine.plan().warnings {
            log::warn(&warning.to_string());
        }
        setup.phases(wanted(&engine));
        Ok(Self { engine })
    }

    fn renew(&self, exchange: &mut Exchange) {
        exchange.transaction.clear();
        exchange.noted = 0;
    }

    fn park(&self, exchange: &Exchange) -> Option<Vec<u8>> {
        self.engine.park(&exchange.transaction).map(|mut parked| {
            parked.extend_from_slice(&(exchange.noted as u64).to_le_bytes());
            parked
        })
    }

    fn resume(&self, exchange: &mut Exchange, parked: &[u8]) -> Result<(), Error> {
        let strange = || Error::new("this is no exchange that was parked");
        let (parked, noted) = parked.split_last_chunk().ok_or_else(strange)?;
        self.engine
            .resume(&mut exchange.transaction, parked)
            .ok_or_else(strange)?;
        exchange.noted = usize::try_from(u64::from_le_bytes(*noted)).unwrap_or(usize::MAX);
        Ok(())
    }

    fn on_request(&self, exchange: &mut Exchange, request: &mut Request) -> Verdict {
        let Received { head, target, refused } = request.received();
        let head = understood(head, target);
        if let Some(word) = refused {
            self.look_at_refused(&mut exchange.transaction, head, word);
            self.note(exchange, request);
            return Verdict::Continue;
        }
        let follows = body_may_follow(&head);
        let transaction = &mut exchange.transaction;
        let decision = self.engine.request_head(transaction, head);
        if decision == Decision::Pass {
            match self.engine.request_body_limit(transaction) {
                Some(limit) if follows => return Verdict::Hold { limit },
                _ => return self.on_request_body(exchange, request, b"", Completeness::Complete),
            }
        }
        self.settle(exchange, request, decision)
    }

    fn on_request_body(
        &self,
        exchange: &mut Exchange,
        request: &mut Request,
        body: &[u8],
        completeness: Completeness,
    ) -> Verdict {
        let decision = self
            .engine
            .request_body(&mut exchange.transaction, body, known(completeness));
        self.settle(exchange, request, decision)
    }

    fn on_response(&self, exchange: &mut Exchange, request: &Request, response: &mut Response) -> Verdict {
        let ResponseHead { status, headers } = response.head();
        let plain = is_plain(&headers);
        let decision = self.engine.response_head(&mut exchange.transaction, status, headers);
        if decision == Decision::Pass
            && let Some(limit) = self.engine.response_body_limit(&exchange.transaction)
            && plain
        {
            return Verdict::Hold { limit };
        }
        self.settle(exchange, request, decision)
    }

    fn on_response_body(
        &self,
        exchange: &mut Exchange,
        request: &Request,
        _response: &mut Response,
        body: &[u8],
        completeness: Completeness,
    ) -> Verdict {
        let decision = self
            .engine
            .response_body(&mut exchange.transaction, body, known(completeness));
        self.settle(exchange, request, decision)
    }

    fn on_finish(&self, exchange: &mut Exchange, request: &Request, summary: &Summary) {
        self.engine.finish(&mut exchange.transaction);
        self.note(exchange, request);
        for event in self.engine.audit_events(&exchange.transaction, summary.status) {
            request.event(&event);
        }
    }
}

impl Waf {
    /// Tells the access log, and turns a decision into a verdict.
    fn settle(&self, exchange: &mut Exchange, request: &Request, decision: Decision) -> Verdict {
        self.note(exchange, request);
        let Decision::Disrupt(Disruption { cause, answer }) = decision else {
            return Verdict::Continue;
        };
        match cause {
            Cause::Rule(id) => request.note("refused-by", &id.to_string()),
            Cause::BodyLimit => request.note("refused-by", "request body limit"),
            Cause::ResponseBodyLimit => request.note("refused-by", "response body limit"),
            Cause::MemoryLimit => request.note("refused-by", "memory limit"),
        }
        match answer {
            Answer::Close => Verdict::Close,
            Answer::Status(status) => Verdict::Reply(
                Reply::text(
                    status,
                    format!("This request was refused. Its id is {}.\n", request.id()),
                )
                .header("cache-control", "no-store"),
            ),
            Answer::Redirect { status, location } => Verdict::Reply(
                Reply::new(status)
                    .header("location", location)
                    .header("cache-control", "no-store"),
            ),
        }
    }

    /// What Weir refuses is judged for the log alone. It has no body, and neither do its rules miss one.
    fn look_at_refused(&self, transaction: &mut Transaction, head: RequestHead, word: String) {
        if self.engine.request_head(transaction, head) == Decision::Pass {
            self.engine
                .request_body(transaction, b"", evaluate::Completeness::Complete);
        }
        self.engine.refuse(transaction, word);
    }

    /// The rules that matched since the last note, with the variable in which, and the score so far.
    fn note(&self, exchange: &mut Exchange, request: &Request) {
        let matches = exchange.transaction.matches();
        let Some(new) = matches.get(exchange.noted..).filter(|new| !new.is_empty()) else {
            return;
        };
        let shown: Vec<String> = new
            .iter()
            .map(|found| format!("{} {}", found.id, found.variable))
            .collect();
        request.note("rules", &shown.join(", "));
        if let Some(score) = self.engine.tx_number(&exchange.transaction, config::SCORE) {
            request.note("score", &score.to_string());
        }
        exchange.noted = matches.len();
    }
}

/// The files that the manifest gives to the plugin.
struct DataFiles<'a>(&'a Setup);

impl Files for DataFiles<'_> {
    fn read(&self, name: &str) -> Option<Vec<u8>> {
        self.0.data(name)
    }

    fn names(&self) -> Vec<String> {
        self.0.data_names()
    }
}

/// The phases in which there is something to do. `ctl` can switch an engine off, but never on.
fn wanted(engine: &Engine) -> Phases {
    if engine.plan().settings.mode == Mode::Off {
        return Phases::NONE;
    }
    let has = |phase, wanted| if engine.has_rules(phase) { wanted } else { Phases::NONE };
    Phases::ON_REQUEST
        | Phases::ON_REQUEST_BODY
        | has(Phase::ResponseHeaders, Phases::ON_RESPONSE)
        | has(Phase::ResponseBody, Phases::ON_RESPONSE | Phases::ON_RESPONSE_BODY)
        | has(Phase::Logging, Phases::ON_FINISH)
        | match engine.plan().keeps_collections() || engine.plan().settings.writes_events() {
            true => Phases::ON_FINISH,
            false => Phases::NONE,
        }
}

fn understood(head: Head, target: Option<Vec<u8>>) -> RequestHead {
    let Head {
        client,
        method,
        version,
        host,
        id,
        path,
        query,
        mut headers,
    } = head;
    // HTTP/2 says the host in a pseudo-header (RFC 9113 §8.3.1); rules look for the field of HTTP/1.1.
    if version == "2" && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        headers.insert(0, ("host".to_owned(), host.clone().into_bytes()));
    }
    RequestHead {
        client,
        method,
        version,
        host,
        path,
        query,
        target,
        headers,
        id,
    }
}

/// Whether a body may follow the head: HTTP/1 says so there (RFC 9112 §6.3), HTTP/2 need not.
fn body_may_follow(head: &RequestHead) -> bool {
    let mut length = None;
    for (name, value) in &head.headers {
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return true;
        }
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.as_slice());
        }
    }
    match length {
        Some(length) => length.iter().any(|&digit| digit != b'0'),
        None => !head.version.starts_with('1'),
    }
}

/// Rules read bytes, so a compressed body says nothing to them.
fn is_plain(headers: &[(String, Vec<u8>)]) -> bool {
    let coding = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-encoding"));
    coding.is_none_or(|(_, coding)| coding.eq_ignore_ascii_case(b"identity"))
}

fn known(completeness: Completeness) -> evaluate::Completeness {
    match completeness {
        Completeness::Complete => evaluate::Completeness::Complete,
        Completeness::Cut => evaluate::Completeness::Cut,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_cases_hold() {
        weir_sdk::testing::run_cases::<super::Waf>("cases.toml");
    }
}
