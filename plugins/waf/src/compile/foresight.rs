//! Which rules can never match, whatever a request holds: those whose question about `TX` is answered when the rules are loaded,
//! and those that are always jumped over. With CRS these are the rules of every paranoia level but the configured ones, and all
//! that they would ask of a value. And which are certain to match, with nothing to show for it but values in `TX`: the defaults
//! that a rule set begins with.
//!
//! The rules are gone through once, in the order of the phases, with what is known about each name in `TX`. Rules only jump
//! forward, so all ways to a rule are known before it comes. Where two ways meet, what they disagree about is unknown.

use std::collections::HashMap;

use super::names::{Names, Slot};
use super::plan::{
    Capture, Change, Control, Disruption, Effect, Exclusion, Link, Logging, Part, Phase, Preset, Rule, RuleSet,
    Selector, SetVariable, Subject, Target, Template, TxName,
};
use super::program::Assignment;
use crate::bytes::leading_number;
use crate::operators::{Outcome, Test};
use crate::variables::Variable;

/// `TX:0` to `TX:9` change with every match that is captured.
const GROUPS: usize = 10;

/// What there is to know about a plan.
pub(super) struct Known<'p> {
    pub(super) rules: &'p [Rule],
    pub(super) phases: &'p [Vec<usize>; 5],
    pub(super) names: &'p Names,
    pub(super) presets: &'p [(Slot, Preset)],
    pub(super) picks: &'p [RuleSet],
    pub(super) exclusions: &'p [Exclusion],
}

/// What is known before any request comes.
#[derive(Debug, Default)]
pub(super) struct Foresight {
    /// The rules that can never match.
    pub(super) never: RuleSet,
    /// Rules that match whenever they are asked.
    pub(super) certain: HashMap<usize, Certain>,
}

/// A rule of which it is known what it does.
#[derive(Debug)]
pub(super) struct Certain {
    /// What it leaves in `TX`, which is all that it does.
    pub(super) assignments: Vec<Assignment>,
    /// Whether it is asked at all.
    pub(super) presence: Presence,
}

/// Whether a rule is there when its turn comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Always,
    /// A rule before may have removed it.
    UnlessRemoved,
}

/// Goes through the rules.
pub(super) fn of(known: &Known<'_>) -> Foresight {
    let mut walk = Walk {
        known,
        found: Foresight::default(),
        removed: Vec::new(),
        narrowed: Vec::new(),
    };
    let mut state = vec![Held::Unset; known.names.len()];
    for group in state.iter_mut().take(GROUPS) {
        *group = Held::Unknown;
    }
    for (slot, preset) in known.presets {
        set(&mut state, *slot, Held::of(preset));
    }
    for phase in Phase::ALL {
        let end = walk.phase(phase, &state);
        // Every phase but the first may be skipped.
        match end {
            Some(end) if phase == Phase::RequestHeaders => state = end,
            Some(end) => join(&mut state, &end),
            None => {}
        }
    }
    walk.found
}

/// What a name in `TX` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Unset,
    Number(i64),
    /// Anything, or nothing.
    Unknown,
}

impl Held {
    fn of(preset: &Preset) -> Self {
        match preset {
            Preset::Number(number) => Self::Number(*number),
            Preset::Text(_) => Self::Unknown,
        }
    }
}

/// What each slot holds.
type State = Vec<Held>;

/// Whether a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Always,
    Never,
    Open,
}

struct Walk<'k, 'p> {
    known: &'k Known<'p>,
    found: Foresight,
    /// Picks of rules that a rule before may have removed.
    removed: Vec<usize>,
    /// Picks of rules from which a rule before may have taken a part of `TX`.
    narrowed: Vec<usize>,
}

impl Walk<'_, '_> {
    /// Goes through the rules of a phase; gives what is known at its end, where that can be reached.
    fn phase(&mut self, phase: Phase, entry: &State) -> Option<State> {
        let known = self.known;
        let list = known.phases.get(phase.index())?;
        let mut states: Vec<Option<State>> = vec![None; list.len() + 1];
        reach(&mut states, 0, entry);
        for (position, &index) in list.iter().enumerate() {
            let state = states.get_mut(position).and_then(Option::take);
            let (Some(state), Some(rule)) = (state, known.rules.get(index)) else {
                self.found.never.insert(index);
                continue;
            };
            let next = position + 1;
            let answer = self.answer(index, rule, &state);
            if answer == Answer::Never {
                self.found.never.insert(index);
                reach(&mut states, next, &state);
                continue;
            }
            let removable = self.has(&self.removed, index);
            let mut after = state.clone();
            let sure = answer == Answer::Always && matches_once(rule);
            let once = sure && !removable;
            let mut assigned = (sure && leaves_no_trace(rule)).then(Vec::new);
            for effect in rule.links.iter().flat_map(|link| &link.effects) {
                let assignment = assignment(effect, &after);
                assigned = assigned.zip(assignment).map(|(mut assigned, assignment)| {
                    assigned.push(assignment);
                    assigned
                });
                self.apply(effect, once, &mut after);
            }
            if let Some(assignments) = assigned {
                let presence = if removable {
                    Presence::UnlessRemoved
                } else {
                    Presence::Always
                };
                self.found.certain.insert(index, Certain { assignments, presence });
            }
            let target = rule.flow.target(position, list.len());
            reach(&mut states, target, &after);
            if rule.disruption != Disruption::Pass || ends_phase(rule) {
                reach(&mut states, list.len(), &after);
            }
            let jumped = list.get(next..target).unwrap_or_default();
            if answer == Answer::Open || (removable && !self.removed_together(index, jumped)) {
                reach(&mut states, next, &after);
            }
        }
        states.pop().flatten()
    }

    fn has(&self, picks: &[usize], rule: usize) -> bool {
        let mut sets = picks.iter().filter_map(|pick| self.known.picks.get(*pick));
        sets.any(|set| set.contains(rule))
    }

    /// Whether other rules are gone wherever this one is, so that they do not run in its place.
    fn removed_together(&self, rule: usize, others: &[usize]) -> bool {
        let sets = self.removed.iter().filter_map(|pick| self.known.picks.get(*pick));
        let mut sets = sets.filter(|set| set.contains(rule));
        sets.all(|set| others.iter().all(|other| set.contains(*other)))
    }

    fn answer(&self, index: usize, rule: &Rule, state: &State) -> Answer {
        let Some((last, before)) = rule.links.split_last() else {
            return Answer::Open;
        };
        let first = before.first().unwrap_or(last);
        if !first.targets.is_empty() && ask(first, state) == Some(Outcome::NoMatch) {
            return Answer::Never;
        }
        let whole = !self.has(&self.narrowed, index);
        let holds = |link: &Link| link.targets.is_empty() || (whole && ask(link, state) == Some(Outcome::Match));
        // What a link changes is not followed into the links after it.
        let settled = before.iter().all(|link| link.effects.is_empty());
        if settled && rule.links.iter().all(holds) {
            Answer::Always
        } else {
            Answer::Open
        }
    }

    /// What an effect makes of a state; `once` where it is sure to happen, and to happen once.
    fn apply(&mut self, effect: &Effect, once: bool, state: &mut State) {
        match effect {
            Effect::Set(SetVariable { name, change }) => match name {
                TxName::Slot(slot) => {
                    let before = get(state, *slot);
                    let changed = changed(change, before, state);
                    let after = match (change, once) {
                        (_, true) => changed,
                        (Change::Assign(_) | Change::Remove, false) if before == changed => changed,
                        _ => Held::Unknown,
                    };
                    set(state, *slot, after);
                }
                TxName::Dynamic(template) => self.forget(template, state),
            },
            Effect::Control(Control::RemoveRules(pick)) => self.removed.push(*pick),
            Effect::Control(Control::RemoveTarget(exclusion)) => {
                let known = self.known.exclusions.get(*exclusion);
                let of_tx = known.filter(|exclusion| exclusion.variable == Variable::Tx);
                self.narrowed.extend(of_tx.map(|exclusion| exclusion.rules));
            }
            Effect::Control(_)
            | Effect::Open { .. }
            | Effect::Keep { .. }
            | Effect::Sanitise(_)
            | Effect::SetEnvironment { .. } => {}
        }
    }

    /// A name with macros can be any name that starts as it does.
    fn forget(&self, name: &Template, state: &mut State) {
        let start = match name.parts.first() {
            Some(Part::Literal(start)) => start.to_ascii_lowercase(),
            _ => Vec::new(),
        };
        for (index, held) in state.iter_mut().enumerate() {
            if self.known.names.name(Slot::at(index)).starts_with(&start) {
                *held = Held::Unknown;
            }
        }
    }
}

fn ends_phase(rule: &Rule) -> bool {
    let mut effects = rule.links.iter().flat_map(|link| &link.effects);
    effects.any(|effect| matches!(effect, Effect::Control(Control::Engine(_))))
}

/// Whether the effects of a rule that matches happen no more than once: each value that matches has them.
fn matches_once(rule: &Rule) -> bool {
    rule.links
        .iter()
        .all(|link| link.targets.len() <= 1 || link.effects.is_empty())
}

/// Whether a match of a rule changes nothing but `TX` and where evaluation goes on.
fn leaves_no_trace(rule: &Rule) -> bool {
    rule.logging == Logging::Silent
        && rule.auditing == Logging::Silent
        && rule.severity.is_none()
        && rule.disruption == Disruption::Pass
        && rule.links.iter().all(|link| link.capture == Capture::Forget)
}

/// What an effect leaves in `TX`, where that is all and is known.
fn assignment(effect: &Effect, state: &State) -> Option<Assignment> {
    let Effect::Set(SetVariable {
        name: TxName::Slot(slot),
        change,
    }) = effect
    else {
        return None;
    };
    let value = match (change, changed(change, get(state, *slot), state)) {
        (Change::Assign(template), after) => match (template.constant(), after) {
            (Some(text), _) => Preset::assigned(text),
            // Written out and read again, a negative number would become text.
            (None, Held::Number(number)) if number >= 0 => Preset::assigned(number.to_string().as_bytes()),
            _ => return None,
        },
        (Change::Add(_) | Change::Subtract(_), Held::Number(number)) => Preset::Number(number),
        _ => return None,
    };
    Some(Assignment { slot: *slot, value })
}

/// What a question about names in `TX` is answered; nothing where that depends on the request.
fn ask(link: &Link, state: &State) -> Option<Outcome> {
    if link.transformations.is_some() {
        return None;
    }
    // Of several values, one that matches is enough.
    let mut so_far = Some(Outcome::NoMatch);
    for target in &link.targets {
        match ask_about(link, target, state) {
            Some(Outcome::Match) => return Some(Outcome::Match),
            Some(_) => {}
            None => so_far = None,
        }
    }
    so_far
}

fn ask_about(link: &Link, target: &Target, state: &State) -> Option<Outcome> {
    let Test::Number(compare) = &link.operator.test else {
        return None;
    };
    let held = get(state, named(target)?);
    let value = match (held, target.subject) {
        (Held::Unknown, _) => return None,
        (Held::Unset, Subject::Values) => return Some(Outcome::NoMatch),
        (Held::Unset, Subject::Count) => 0,
        (Held::Number(_), Subject::Count) => 1,
        (Held::Number(number), Subject::Values) => number,
    };
    let argument = number(&link.operator.argument, state)?;
    Some(Outcome::of(
        Outcome::of(compare(value, argument)) == link.operator.wanted,
    ))
}

/// The slot of a target that is one name in `TX`.
pub(super) fn named(target: &Target) -> Option<Slot> {
    match &target.selector {
        Selector::Slot(slot) if target.variable == Variable::Tx && target.excluded.is_empty() => Some(*slot),
        _ => None,
    }
}

fn changed(change: &Change, before: Held, state: &State) -> Held {
    let add = |sign: i64, template: &Template| {
        let before = match before {
            Held::Unset => 0,
            Held::Number(number) => number,
            Held::Unknown => return Held::Unknown,
        };
        match number(template, state).and_then(|number| before.checked_add(sign.checked_mul(number)?)) {
            Some(sum) => Held::Number(sum),
            None => Held::Unknown,
        }
    };
    match change {
        Change::Add(template) => add(1, template),
        Change::Subtract(template) => add(-1, template),
        Change::Remove => Held::Unset,
        Change::Assign(template) => match template.constant() {
            // Only what is written as a number becomes one; anything else is text.
            Some(text) if leading_number(text).to_string().as_bytes() == text && text.len() < 18 => {
                Held::Number(leading_number(text))
            }
            Some(_) => Held::Unknown,
            None => match slot_of(template).map(|slot| get(state, slot)) {
                Some(Held::Number(number)) => Held::Number(number),
                _ => Held::Unknown,
            },
        },
    }
}

/// A text as a number.
fn number(template: &Template, state: &State) -> Option<i64> {
    if let Some(text) = template.constant() {
        return Some(leading_number(text));
    }
    match get(state, slot_of(template)?) {
        Held::Number(number) => Some(number),
        Held::Unset => Some(0),
        Held::Unknown => None,
    }
}

/// The slot of a text that is nothing but one macro.
pub(super) fn slot_of(template: &Template) -> Option<Slot> {
    match template.parts.as_slice() {
        [Part::Macro(target)] if target.subject == Subject::Values => named(target),
        _ => None,
    }
}

fn get(state: &State, slot: Slot) -> Held {
    state.get(slot.index()).copied().unwrap_or(Held::Unknown)
}

fn set(state: &mut State, slot: Slot, held: Held) {
    if slot.index() >= GROUPS
        && let Some(place) = state.get_mut(slot.index())
    {
        *place = held;
    }
}

/// There is a way to a position, with this state.
fn reach(states: &mut [Option<State>], position: usize, state: &State) {
    match states.get_mut(position) {
        Some(Some(known)) => join(known, state),
        Some(unreached) => *unreached = Some(state.clone()),
        None => {}
    }
}

fn join(known: &mut State, other: &State) {
    for (held, other) in known.iter_mut().zip(other) {
        if held != other {
            *held = Held::Unknown;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::plan::Plan;
    use super::super::screens::Interest;
    use super::*;
    use crate::seclang::{NoFiles, Source, parse};

    /// The ids of the rules that never match, with `tx.level` preset to 1.
    fn never(text: &str) -> Vec<u64> {
        let source = Source {
            name: "t.conf".into(),
            text: text.into(),
        };
        let directives = parse(&[source], &NoFiles).unwrap();
        let presets = vec![("level".to_owned(), Preset::Number(1))];
        let plan: Plan = super::super::compile(&directives, &presets, &NoFiles).unwrap();
        let never = |index: &usize| plan.screens.of(*index) == Interest::Never;
        (0..plan.rules.len())
            .filter(never)
            .map(|index| plan.rules[index].id)
            .collect()
    }

    const LEVELS: &str = "SecRule TX:level \"@lt 2\" \"id:10,phase:2,tag:core,skipAfter:END\"\n\
                          SecRule ARGS \"@rx a\" \"id:11,phase:2,tag:core\"\nSecMarker END\n\
                          SecRule ARGS \"@rx b\" \"id:12,phase:2,tag:core\"\n";

    #[test]
    fn what_is_always_jumped_over_never_matches() {
        assert_eq!(never(LEVELS), [11]);
        assert_eq!(
            never(&format!("SecAction \"id:1,phase:1,setvar:tx.level=1\"\n{LEVELS}")),
            [11]
        );
        assert_eq!(
            never(&format!("SecAction \"id:1,phase:1,setvar:tx.level=2\"\n{LEVELS}")),
            [10]
        );
        assert_eq!(
            never(&format!("SecAction \"id:1,phase:1,setvar:tx.level=+1\"\n{LEVELS}")),
            [10]
        );
    }

    #[test]
    fn what_depends_on_the_request_is_open() {
        for before in [
            "SecRule ARGS \"@rx x\" \"id:1,phase:1,setvar:tx.level=2\"",
            "SecRule ARGS \"@rx x\" \"id:1,phase:1,setvar:tx.le%{MATCHED_VAR}=2\"",
            "SecAction \"id:1,phase:1,setvar:tx.level=%{ARGS.x}\"",
            "SecRule ARGS \"@rx x\" \"id:1,phase:2,skip:1\"",
            "SecRule ARGS \"@rx x\" \"id:1,phase:1,ctl:ruleRemoveById=10\"",
            "SecRule ARGS \"@rx x\" \"id:1,phase:1,ctl:ruleRemoveTargetById=10;TX:level\"",
            "SecRule ARGS \"@rx x\" \"id:1,phase:1,setvar:tx.level=2,chain\"\nSecRule ARGS \"@rx y\" \"t:none\"",
        ] {
            assert_eq!(never(&format!("{before}\n{LEVELS}")), Vec::<u64>::new(), "{before}");
        }
        let elsewhere = "SecRule ARGS \"@rx x\" \"id:1,phase:1,setvar:tx.other%{MATCHED_VAR}=2\"";
        assert_eq!(never(&format!("{elsewhere}\n{LEVELS}")), [11]);
    }

    #[test]
    fn rules_that_are_removed_together_stay_jumped_over() {
        let before = "SecRule ARGS \"@rx x\" \"id:1,phase:1,ctl:ruleRemoveByTag=core\"";
        assert_eq!(never(&format!("{before}\n{LEVELS}")), [11]);
    }

    #[test]
    fn a_chain_of_known_answers_is_known() {
        let chain = "SecRule &TX:slice \"@eq 0\" \"id:1,phase:1,nolog,chain,skipAfter:END\"\n\
                     SecRule &TX:count \"@eq 0\" \"t:none\"\n\
                     SecRule ARGS \"@rx a\" \"id:2,phase:1\"\nSecMarker END";
        assert_eq!(never(chain), [2]);
        let set = "SecRule ARGS \"@rx x\" \"id:9,phase:1,setvar:tx.count=1\"";
        assert_eq!(never(&format!("{set}\n{chain}")), Vec::<u64>::new());
    }

    #[test]
    fn defaults_are_known_where_they_are_set() {
        let rules = "SecRule &TX:score \"@eq 0\" \"id:1,phase:1,setvar:tx.score=5\"\n\
                     SecRule &TX:score \"@eq 0\" \"id:2,phase:1,setvar:tx.score=6\"\n\
                     SecRule TX:score \"@ge 6\" \"id:3,phase:1\"\nSecRule TX:score \"@ge %{tx.level}\" \"id:4,phase:1\"";
        assert_eq!(never(rules), [2, 3]);
    }
}
