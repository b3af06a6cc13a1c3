//! The loop over the rules of a phase.

use super::link::{self, Position, Role};
use super::observe::{Attention, Glimpse, Observer};
use super::texts::Room;
use super::transaction::{Match, State, Transaction};
use super::tx::Value;
use super::{Answer, Cause, Decision, Disruption, audit, collect, effects, expand, screen};
use crate::bytes::leading_number;
use crate::compile::plan::{self, Allowance, Flow, Logging, Mode, Phase, Plan, Rule, Subject};
use crate::compile::program::{Assignment, Gate, Operand, Program, Step};
use crate::compile::screens::Interest;
use crate::operators::Outcome;

/// The status of a request whose values take more memory than they may.
const TOO_LARGE: u16 = 413;

/// Runs the rules of a phase, until one disrupts the transaction or ends the phase.
pub(super) fn phase<O: Observer>(plan: &Plan, tx: &mut Transaction, phase: Phase, observer: &mut O) -> Decision {
    if !runs(tx, phase) {
        return Decision::Pass;
    }
    observer.phase(phase);
    if has_nothing_to_do::<O>(plan, phase) {
        return Decision::Pass;
    }
    screen::refresh(plan, tx, phase);
    let ended = match &plan.program {
        Some(program) if O::ATTENTION == Attention::Nothing => open_rules(plan, tx, program, phase, observer),
        _ => all_rules(plan, tx, phase, observer),
    };
    match (ended, tx.texts.room(), tx.mode) {
        (Some(decision), ..) => decision,
        (None, Room::Exhausted, Mode::On) if phase != Phase::Logging => stop(
            tx,
            Disruption {
                cause: Cause::MemoryLimit,
                answer: Answer::Status(TOO_LARGE),
            },
        ),
        (None, ..) => Decision::Pass,
    }
}

/// Whether it was known when the rules were loaded that a phase changes nothing.
fn has_nothing_to_do<O: Observer>(plan: &Plan, phase: Phase) -> bool {
    let open = |program: &Program| !program.steps_of(phase).is_empty();
    O::ATTENTION == Attention::Nothing && !plan.program.as_ref().is_none_or(open)
}

/// Asks the rules of which the answer is not known before. Gives the decision of one that ends the phase.
fn open_rules(
    plan: &Plan,
    tx: &mut Transaction,
    program: &Program,
    phase: Phase,
    observer: &mut impl Observer,
) -> Option<Decision> {
    let steps = program.steps_of(phase);
    let mut at = 0;
    while let Some(due) = program.next_step(phase, at, screen::live(tx, phase)) {
        at = due + 1;
        let Some(step) = steps.get(due) else { break };
        match step {
            Step::Assign { of, .. } if of.is_some_and(|rule| tx.removed.contains(rule)) => {}
            Step::Assign { range, .. } => {
                for Assignment { slot, value } in program.assignments(range) {
                    effects::assign(tx, *slot, value);
                }
            }
            Step::Ask { gate: Some(gate), .. } if !is_open(tx, gate) => {}
            Step::Ask {
                rule, interest, after, ..
            } => match ask(plan, tx, *rule, *interest, observer) {
                Turn::NoMatch => {}
                Turn::Match => at = *after,
                Turn::End(decision) => return Some(decision),
            },
        }
    }
    None
}

/// The same, asking every rule: for those who watch, and to compare with.
fn all_rules(plan: &Plan, tx: &mut Transaction, phase: Phase, observer: &mut impl Observer) -> Option<Decision> {
    let rules = plan.phases.get(phase.index()).map(Vec::as_slice).unwrap_or_default();
    let mut at = 0;
    while let Some(&index) = rules.get(at) {
        at += 1;
        match ask(plan, tx, index, plan.screens.of(index), observer) {
            Turn::NoMatch => {}
            Turn::Match => match plan.rules.get(index).map(|rule| rule.flow) {
                Some(Flow::Skip(rules)) => at = at.saturating_add(rules),
                Some(Flow::Jump(position)) => at = position,
                Some(Flow::Next) | None => {}
            },
            Turn::End(decision) => return Some(decision),
        }
    }
    None
}

/// Whether the comparison with which a rule begins holds: as [`link::evaluate`] finds out, without what that needs for other rules.
fn is_open(tx: &Transaction, gate: &Gate) -> bool {
    let number = |value| match value {
        Value::Unset => None,
        Value::Number(number) => Some(number),
        Value::Text(text) => Some(leading_number(tx.texts.get(text))),
    };
    let value = match (tx.tx.get(gate.slot), gate.subject) {
        (Value::Unset, Subject::Count) => Some(0),
        (_, Subject::Count) => Some(1),
        (value, Subject::Values) => number(value),
    };
    let operand = match gate.operand {
        Operand::Number(number) => number,
        Operand::Slot(slot) => number(tx.tx.get(slot)).unwrap_or(0),
    };
    value.is_some_and(|value| Outcome::of((gate.compare)(value, operand)) == gate.wanted)
}

/// What follows from asking a rule.
enum Turn {
    NoMatch,
    Match,
    /// No rule is asked any more in this phase.
    End(Decision),
}

/// Asks a rule that may match; where it does, it is reported and has its consequences for the transaction.
fn ask(plan: &Plan, tx: &mut Transaction, index: usize, interest: Interest, observer: &mut impl Observer) -> Turn {
    match interest {
        Interest::Looks => {}
        Interest::Screened(screen) if screen::may_match(tx, screen) => {}
        Interest::Screened(_) | Interest::Never => return Turn::NoMatch,
    }
    let Some(rule) = plan.rules.get(index) else {
        return Turn::NoMatch;
    };
    if tx.removed.contains(index) || evaluate(plan, tx, index, rule, observer) == Outcome::NoMatch {
        return Turn::NoMatch;
    }
    report(plan, tx, index, rule);
    match disrupt(plan, tx, rule) {
        Next::GoOn if tx.mode == Mode::Off => Turn::End(Decision::Pass),
        Next::GoOn => Turn::Match,
        Next::EndOfPhase => Turn::End(Decision::Pass),
        Next::Disrupt(disruption) => Turn::End(stop(tx, disruption)),
    }
}

fn runs(tx: &Transaction, phase: Phase) -> bool {
    if tx.mode == Mode::Off || tx.head.is_none() {
        return false;
    }
    if phase == Phase::Logging {
        return true;
    }
    let allowed = match tx.allowed {
        None | Some(Allowance::Phase) => false,
        Some(Allowance::Transaction) => true,
        Some(Allowance::Request) => phase <= Phase::RequestBody,
    };
    !allowed && tx.state == State::Running
}

/// Asks a rule.
fn evaluate(plan: &Plan, tx: &mut Transaction, index: usize, rule: &Rule, observer: &mut impl Observer) -> Outcome {
    let outcome = links(plan, tx, index, rule, observer);
    let mut glimpse = Glimpse {
        plan,
        tx,
        index,
        link: 0,
    };
    observer.after(&mut glimpse, outcome);
    outcome
}

/// All links of a rule, until one does not match.
fn links(plan: &Plan, tx: &mut Transaction, index: usize, rule: &Rule, observer: &mut impl Observer) -> Outcome {
    tx.rule = Some(index);
    for (number, link) in rule.links.iter().enumerate() {
        let role = if number == 0 { Role::Starter } else { Role::Follower };
        let mut glimpse = Glimpse {
            plan,
            tx: &mut *tx,
            index,
            link: number,
        };
        observer.before(&mut glimpse);
        if link::evaluate(
            plan,
            tx,
            Position {
                index,
                rule,
                link,
                number,
                role,
                denial: None,
            },
        ) == Outcome::NoMatch
        {
            return Outcome::NoMatch;
        }
        // Values that found no room are empty, and what rules would say about them is worth nothing.
        if tx.texts.room() == Room::Exhausted {
            return Outcome::NoMatch;
        }
    }
    Outcome::Match
}

/// What a match leads to.
enum Next {
    GoOn,
    EndOfPhase,
    Disrupt(Disruption),
}

fn disrupt(plan: &Plan, tx: &mut Transaction, rule: &Rule) -> Next {
    if tx.mode != Mode::On {
        return Next::GoOn;
    }
    let answer = match &rule.disruption {
        plan::Disruption::Pass => return Next::GoOn,
        plan::Disruption::Allow(allowance) => {
            tx.allowed = Some(*allowance);
            return Next::EndOfPhase;
        }
        plan::Disruption::Deny(status) => Answer::Status(*status),
        plan::Disruption::Drop => Answer::Close,
        plan::Disruption::Redirect { status, location } => Answer::Redirect {
            status: *status,
            location: expand::bytes(plan, tx, location).into_owned(),
        },
    };
    Next::Disrupt(Disruption {
        cause: Cause::Rule(rule.id),
        answer,
    })
}

/// The transaction is disrupted, and remembers by what.
pub(super) fn stop(tx: &mut Transaction, disruption: Disruption) -> Decision {
    tx.state = State::Disrupted;
    tx.disruption = Some(disruption.clone());
    Decision::Disrupt(disruption)
}

fn report(plan: &Plan, tx: &mut Transaction, index: usize, rule: &Rule) {
    if rule.logging == Logging::Silent && rule.auditing == Logging::Silent {
        return;
    }
    tx.report(rule.logging, |tx| {
        let mut shown = |template: Option<&plan::Template>| {
            template.map(|template| String::from_utf8_lossy(&expand::bytes(plan, tx, template)).into_owned())
        };
        let message = shown(rule.message.as_ref()).unwrap_or_default();
        let data = rule.links.iter().rev().find_map(|link| link.data.as_ref());
        let data = shown(data).unwrap_or_default();
        let item = tx.matched.last().copied();
        let variable = item.map(|item| collect::name(plan, tx, item)).unwrap_or_default();
        let value = item.map(|item| collect::text(tx, item.value));
        let value = value.map(|value| audit::value_excerpt(tx.texts.get(value)));
        Match {
            id: rule.id,
            rule: index,
            value: value.unwrap_or_default(),
            message,
            data,
            variable: String::from_utf8_lossy(&variable).into_owned(),
        }
    });
}
