//! Looking over the engine's shoulder: which rules are asked, what they see and what they answer, for tools that explain a verdict
//! or measure what a rule costs.
//!
//! An [`Observer`] is a type parameter, and the one that the plugin runs with, [`Unobserved`], has nothing to do: what is here costs
//! nothing on the way of a request. What a rule sees is worked out again for the observer ([`Glimpse::look`]), by the same steps but
//! without effects, so that the evaluator has no second job.

use std::ops::Range;

use super::transaction::{Datum, Item, Transaction};
use super::tx::Value;
use super::{Completeness, Decision, Engine, RequestHead, collect, expand, link};
use crate::bytes::{ByteSet, leading_number};
use crate::compile::plan::{Forms, Link, Phase, Plan, Rule, Subject};
use crate::operators::{Outcome, Test};
use crate::transformations;

/// Is told what the engine does. Each method does nothing unless it is implemented.
pub trait Observer {
    /// What it wants to be told of.
    const ATTENTION: Attention = Attention::EveryRule;

    /// A phase begins.
    fn phase(&mut self, _phase: Phase) {}

    /// A link of a rule is about to be asked; the first is 0.
    fn before(&mut self, _glimpse: &mut Glimpse<'_>) {}

    /// A rule was asked, and all of its links matched or one did not. Its effects have happened.
    fn after(&mut self, _glimpse: &mut Glimpse<'_>, _outcome: Outcome) {}
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    const ATTENTION: Attention = Attention::Nothing;
}

/// What an observer wants to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attention {
    /// Every rule that is asked, also where its answer was known when the rules were loaded.
    EveryRule,
    /// Nothing, so that the engine is free to ask as little as it can.
    Nothing,
}

/// An engine that somebody watches. Its methods are those of [`Engine`], by the same names.
#[derive(Debug)]
pub struct Observed<'e, 'o, O> {
    pub(super) engine: &'e Engine,
    pub(super) observer: &'o mut O,
}

impl<O: Observer> Observed<'_, '_, O> {
    /// See [`Engine::request_head`].
    pub fn request_head(&mut self, transaction: &mut Transaction, head: RequestHead) -> Decision {
        self.engine.start(transaction, head);
        self.engine.run(transaction, Phase::RequestHeaders, self.observer)
    }

    /// See [`Engine::request_body`].
    pub fn request_body(&mut self, transaction: &mut Transaction, body: &[u8], completeness: Completeness) -> Decision {
        match self.engine.take_body(transaction, body, completeness) {
            Decision::Pass => self.engine.run(transaction, Phase::RequestBody, self.observer),
            refused => refused,
        }
    }

    /// See [`Engine::response_head`].
    pub fn response_head(
        &mut self,
        transaction: &mut Transaction,
        status: u16,
        headers: impl IntoIterator<Item = (String, Vec<u8>)>,
    ) -> Decision {
        transaction.take_response(status, headers);
        self.engine.run(transaction, Phase::ResponseHeaders, self.observer)
    }

    /// See [`Engine::response_body`].
    pub fn response_body(
        &mut self,
        transaction: &mut Transaction,
        body: &[u8],
        completeness: Completeness,
    ) -> Decision {
        let decision = self.engine.take_response_body(transaction, body, completeness);
        if decision != Decision::Pass {
            return decision;
        }
        self.engine.run(transaction, Phase::ResponseBody, self.observer)
    }

    /// See [`Engine::finish`].
    pub fn finish(&mut self, transaction: &mut Transaction) {
        let _ = self.engine.run(transaction, Phase::Logging, self.observer);
        self.engine.write_back(transaction);
    }
}

/// The moment at which an observer is told something.
#[derive(Debug)]
pub struct Glimpse<'a> {
    pub(super) plan: &'a Plan,
    pub(super) tx: &'a mut Transaction,
    pub(super) index: usize,
    pub(super) link: usize,
}

/// A value that a link is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// For example `ARGS:q`; of a number of values, `&ARGS:q`.
    pub name: String,
    /// As it was received.
    pub value: Vec<u8>,
    /// What each transformation that changed it made of it, in order.
    pub steps: Vec<(&'static str, Vec<u8>)>,
    /// What the operator says.
    pub answer: Answer,
}

/// What the operator says about a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This is what the link looks for.
    Match {
        /// The form of the value that matched.
        form: Vec<u8>,
        /// Which part of it did.
        part: Range<usize>,
    },
    /// It is not.
    NoMatch,
    /// A `ctl` action took the value away from the rule.
    Excluded,
}

impl<'a> Glimpse<'a> {
    /// The rule that it is about.
    #[must_use]
    pub fn rule(&self) -> Option<&'a Rule> {
        self.plan.rules.get(self.index)
    }

    /// The rule's index in the plan.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The link that it is about.
    #[must_use]
    pub fn link(&self) -> usize {
        self.link
    }

    /// A name in `TX`, as text; nothing where it is unset.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        self.shown(self.tx.tx.get_named(&self.plan.names, name.as_bytes(), &self.tx.texts))
    }

    /// What `TX` holds.
    #[must_use]
    pub fn variables(&self) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let slots = self.tx.tx.slots().filter_map(|(at, value)| {
            let name = self.plan.names.name(crate::compile::names::Slot::at(at));
            Some((text(name), self.shown(value)?))
        });
        let dynamic = self.tx.tx.dynamic();
        slots
            .chain(dynamic.filter_map(|(name, value)| Some((text(self.tx.texts.get(name)), self.shown(value)?))))
            .collect()
    }

    fn shown(&self, value: Value) -> Option<String> {
        match value {
            Value::Unset => None,
            Value::Number(number) => Some(number.to_string()),
            Value::Text(text) => Some(String::from_utf8_lossy(self.tx.texts.get(text)).into_owned()),
        }
    }

    /// What the operator compares values with, macros expanded; empty where it has no such argument.
    pub fn argument(&mut self) -> String {
        let Some(link) = self.current() else {
            return String::new();
        };
        let argument = expand::bytes(self.plan, self.tx, &link.operator.argument);
        String::from_utf8_lossy(&argument).into_owned()
    }

    /// The values that the link is asked about, and what it says to each. Nothing changes.
    pub fn look(&mut self) -> Vec<Seen> {
        let Some(link) = self.current() else {
            return Vec::new();
        };
        let mut seen = Vec::new();
        let mut items = Vec::new();
        for target in &link.targets {
            items.clear();
            collect::collect(self.plan, self.tx, target, &mut items);
            seen.extend(items.iter().map(|item| self.seen(link, *item, target.subject)));
        }
        seen
    }

    fn current(&self) -> Option<&'a Link> {
        self.rule()?.links.get(self.link)
    }

    fn seen(&mut self, link: &Link, item: Item, subject: Subject) -> Seen {
        let (plan, tx) = (self.plan, &mut *self.tx);
        let mut name = String::from_utf8_lossy(&collect::name(plan, tx, item)).into_owned();
        if subject == Subject::Count {
            name.insert(0, '&');
        }
        let text = collect::text(tx, item.value);
        let value = tx.texts.get(text).to_vec();
        let chain = link.transformations.and_then(|index| plan.transformations.get(index));
        let mut form = text;
        let mut steps = Vec::new();
        for &step in chain.map(|chain| chain.steps.as_slice()).unwrap_or_default() {
            let next = tx.texts.transformed(form, step);
            if next != form {
                let name = transformations::ALL.get(step).map_or("?", |known| known.name);
                steps.push((name, tx.texts.get(next).to_vec()));
            }
            form = next;
        }
        let answer = if link::is_excluded(plan, tx, self.index, item) {
            Answer::Excluded
        } else {
            let last = steps.last().map_or(&value, |(_, form)| form);
            let earlier = std::iter::once(&value).chain(steps.iter().map(|(_, form)| form));
            let forms: Vec<&Vec<u8>> = match link.forms {
                Forms::Last => vec![last],
                Forms::Each => earlier.collect(),
            };
            self.answer(link, item.value, &forms)
        };
        Seen {
            name,
            value,
            steps,
            answer,
        }
    }

    fn answer(&mut self, link: &Link, datum: Datum, forms: &[&Vec<u8>]) -> Answer {
        let operator = &link.operator;
        let number = expand::number(self.plan, self.tx, &operator.argument);
        let argument = expand::bytes(self.plan, self.tx, &operator.argument);
        for form in forms {
            let present = ByteSet::present_in(form);
            let outcome = match (&operator.test, datum) {
                (Test::Number(compare), Datum::Number(value)) if forms.len() == 1 => {
                    Outcome::of(compare(value, number))
                }
                (Test::Number(compare), _) => Outcome::of(compare(leading_number(form), number)),
                (test, _) => test.ask(form, &present, &argument),
            };
            if outcome == operator.wanted {
                let part = match (outcome, &operator.test) {
                    (Outcome::Match, test) => part(test, form, &argument),
                    (Outcome::NoMatch | Outcome::Exceeded, _) => 0..form.len(),
                };
                return Answer::Match {
                    form: (*form).clone(),
                    part,
                };
            }
        }
        Answer::NoMatch
    }
}

/// Which part of a value made the operator match.
fn part(test: &Test, form: &[u8], argument: &[u8]) -> Range<usize> {
    let found = match test {
        Test::Outside(allowed) => form
            .iter()
            .position(|&byte| !allowed.contains(byte))
            .map(|at| at..at + 1),
        Test::Text(_) => memchr::memmem::find(form, argument).map(|at| at..at + argument.len()),
        _ => test
            .groups(form)
            .first()
            .and_then(|group| group.as_ref().map(|(start, end)| *start as usize..*end as usize)),
    };
    found.filter(|part| !part.is_empty()).unwrap_or(0..form.len())
}
