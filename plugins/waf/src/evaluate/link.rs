//! One rule of a chain over its values.

use super::answers::Question;
use super::texts::{Room, TextId};
use super::transaction::{Datum, Item, Key, Transaction};
use super::tx::Value;
use super::{collect, effects, expand, memo, screen};
use crate::bytes::leading_number;
use crate::compile::names::Slot;
use crate::compile::plan::{Capture, Forms, Link, Plan, Rule, Subject};
use crate::compile::screens::{Interest, Screen, Side, Validity};
use crate::compile::sieve;
use crate::operators::{Outcome, Test};
use crate::transformations::Touches;
use crate::variables::Variable;

/// Which link of which rule runs.
#[derive(Clone, Copy)]
pub(super) struct Position<'p> {
    pub(super) index: usize,
    pub(super) rule: &'p Rule,
    pub(super) link: &'p Link,
    pub(super) number: usize,
    pub(super) role: Role,
    /// The bit that says whether the test of a negated operator may hold; see [`Screen::denial`].
    pub(super) denial: Option<(Side, u16)>,
}

/// Whether a link starts its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Starter,
    Follower,
}

/// Asks the operator about every value of the targets. Each match has its effects; one is enough for the link to match.
pub(super) fn evaluate(plan: &Plan, tx: &mut Transaction, at: Position<'_>) -> Outcome {
    let mut outcome = Outcome::NoMatch;
    if at.link.targets.is_empty() {
        // A SecAction looks at nothing and always matches.
        matched(plan, tx, at, None, Outcome::NoMatch);
        return Outcome::Match;
    }
    let mut items = std::mem::take(&mut tx.scratch);
    let mut origins = std::mem::take(&mut tx.origins);
    items.clear();
    origins.clear();
    let screen = match (at.role, plan.screens.of(at.index)) {
        (Role::Starter, Interest::Screened(screen)) if screen.subject == Subject::Values => Some(screen),
        _ => None,
    };
    let at = Position {
        denial: screen.and_then(|screen| Some((screen.side, screen.denial?))),
        ..at
    };
    for target in &at.link.targets {
        match screen {
            // Most values of a rule that may match are none in which it may.
            Some(screen) => screen::candidates(plan, tx, screen, target, &mut items, &mut origins),
            None => collect::collect(plan, tx, target, &mut items),
        }
    }
    if !items.is_empty() {
        let argument = Argument::of(plan, tx, at.link);
        for (number, item) in items.iter().enumerate() {
            if is_excluded(plan, tx, at.index, *item) {
                continue;
            }
            if about_item(plan, tx, at, *item, &argument, outcome) == Outcome::Match {
                outcome = Outcome::Match;
            } else if let (Some(screen), Some(origin)) = (screen, origins.get(number))
                && lasts(tx, screen)
            {
                screen::learn(tx, screen, *origin);
            }
        }
    }
    tx.scratch = items;
    tx.origins = origins;
    outcome
}

/// Whether the answer that a rule just gave about a value is the one that it always gives: a value that found no room, or a
/// pattern that reached its limit, says nothing about the next time.
fn lasts(tx: &Transaction, screen: Screen) -> bool {
    screen.validity == Validity::Lasting && tx.texts.room() == Room::Enough && tx.pattern_limits != Outcome::Exceeded
}

/// What values are compared with, expanded once for all values of a link.
enum Argument<'p> {
    Number(i64),
    /// As it is written.
    Constant(&'p [u8]),
    /// Made of macros.
    Text(TextId),
}

impl<'p> Argument<'p> {
    fn of(plan: &Plan, tx: &mut Transaction, link: &'p Link) -> Self {
        let argument = &link.operator.argument;
        match (&link.operator.test, argument.constant()) {
            (Test::Number(_), _) => Self::Number(expand::number(plan, tx, argument)),
            (_, Some(constant)) => Self::Constant(constant),
            (_, None) => Self::Text(expand::text(plan, tx, argument)),
        }
    }
}

/// Whether a `ctl` action took this value away from this rule.
pub(super) fn is_excluded(plan: &Plan, tx: &Transaction, rule: usize, item: Item) -> bool {
    let mut excluded = tx.excluded.iter().filter_map(|at| plan.exclusions.get(*at));
    excluded.any(|exclusion| {
        exclusion.variable == item.variable
            && plan
                .picks
                .get(exclusion.rules)
                .is_some_and(|rules| rules.contains(rule))
            && collect::selects(plan, tx, &exclusion.selector, item.key)
    })
}

/// Asks about one value, in one or in each of its forms.
fn about_item(
    plan: &Plan,
    tx: &mut Transaction,
    at: Position<'_>,
    item: Item,
    argument: &Argument<'_>,
    so_far: Outcome,
) -> Outcome {
    let chain = at.link.transformations;
    let Some((index, chain)) = chain.and_then(|index| Some((index, plan.transformations.get(index)?))) else {
        return about_form(plan, tx, at, item, argument, so_far);
    };
    let text = collect::text(tx, item.value);
    if let Touches::Bytes(bytes) = &chain.touches
        && !bytes.intersects(&tx.texts.present(text))
    {
        return about_form(plan, tx, at, item.with(text), argument, so_far);
    }
    if at.link.forms == Forms::Last {
        let form = tx.texts.last_form(text, index, &chain.steps);
        return about_form(plan, tx, at, item.with(form), argument, so_far);
    }
    let mut outcome = about_form(plan, tx, at, item.with(text), argument, so_far);
    let mut form = text;
    for &transformation in &chain.steps {
        let next = tx.texts.transformed(form, transformation);
        if next != form {
            let so_far = if outcome == Outcome::Match { outcome } else { so_far };
            if about_form(plan, tx, at, item.with(next), argument, so_far) == Outcome::Match {
                outcome = Outcome::Match;
            }
        }
        form = next;
    }
    outcome
}

fn about_form(
    plan: &Plan,
    tx: &mut Transaction,
    at: Position<'_>,
    item: Item,
    argument: &Argument<'_>,
    so_far: Outcome,
) -> Outcome {
    let operator = &at.link.operator;
    let (answer, item) = match (&operator.test, argument, item.value) {
        (Test::Number(compare), Argument::Number(argument), Datum::Number(value)) => {
            (Outcome::of(compare(value, *argument)), item)
        }
        (Test::Number(compare), Argument::Number(argument), Datum::Text(value)) => {
            let value = leading_number(tx.texts.get(value));
            (Outcome::of(compare(value, *argument)), item)
        }
        (_, argument, value) => {
            let text = collect::text(tx, value);
            (ask(plan, tx, at, text, argument), item.with(text))
        }
    };
    if answer != operator.wanted {
        if answer == Outcome::Exceeded {
            tx.pattern_limits = answer;
        }
        return Outcome::NoMatch;
    }
    if at.link.capture == Capture::Keep && answer == Outcome::Match {
        keep_groups(tx, item, &operator.test);
    }
    matched(plan, tx, at, Some(item), so_far);
    Outcome::Match
}

/// What the operator says about a text.
fn ask(plan: &Plan, tx: &mut Transaction, at: Position<'_>, text: TextId, argument: &Argument<'_>) -> Outcome {
    if is_denied(plan, tx, at, text) {
        return Outcome::NoMatch;
    }
    let present = tx.texts.present(text);
    let value = tx.texts.get(text);
    let (compared, varying) = match argument {
        Argument::Constant(constant) => (*constant, None),
        Argument::Text(text) => (tx.texts.get(*text), Some(tx.texts.get(*text))),
        Argument::Number(_) => (&[][..], None),
    };
    let test = &at.link.operator.test;
    if !test.is_dear(compared) {
        return test.ask(value, &present, compared);
    }
    let question = Question {
        rule: at.index,
        link: at.number,
        argument: varying,
    };
    tx.answers
        .ask(plan, question, value, || test.ask(value, &present, compared))
}

/// Whether the sieve, which has seen every long value, has said already that the test of a negated operator does not hold.
fn is_denied(plan: &Plan, tx: &mut Transaction, at: Position<'_>, text: TextId) -> bool {
    let Some((side, question)) = at.denial else {
        return false;
    };
    let Some(sieve) = plan.screens.sieves.get(side.index()) else {
        return false;
    };
    tx.texts.get(text).len() > memo::LONGEST && !sieve::has(tx.texts.sifted(text, side, sieve), usize::from(question))
}

/// `TX:0` to `TX:9` are parts of the value that matched; they share its bytes.
fn keep_groups(tx: &mut Transaction, item: Item, test: &Test) {
    let Datum::Text(text) = item.value else { return };
    if let Some(said) = test.says(tx.texts.get(text)) {
        let said = tx.texts.push(&said);
        return tx.tx.set(Slot::group(0), Value::Text(said));
    }
    for (index, group) in test.groups(tx.texts.get(text)).iter().enumerate() {
        let value = match group {
            Some((start, end)) => Value::Text(tx.texts.part(text, *start, *end)),
            None => Value::Unset,
        };
        tx.tx.set(Slot::group(index), value);
    }
}

/// A value has matched: it becomes the last one, and the link's effects happen. `so_far` tells whether one did before.
fn matched(plan: &Plan, tx: &mut Transaction, at: Position<'_>, item: Option<Item>, so_far: Outcome) {
    if at.role == Role::Starter && so_far == Outcome::NoMatch {
        tx.matched.clear();
    }
    let nothing = Item {
        variable: Variable::MatchedVar,
        key: Key::None,
        value: Datum::Number(1),
    };
    tx.remember(item.unwrap_or(nothing));
    if let Some(severity) = at.rule.severity {
        tx.highest_severity = tx.highest_severity.min(severity.0);
    }
    for effect in &at.link.effects {
        effects::apply(plan, tx, effect);
    }
}
