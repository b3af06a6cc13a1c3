//! What is left of a phase when everything that is known before a request comes has been worked out: the rules that have to be
//! asked, and what the certain ones between them leave in `TX`. CRS begins with some dozens of rules that set defaults, and skips
//! by a rule what belongs to other paranoia levels; of these nothing remains but a few assignments.

use std::ops::Range;

use super::foresight::{self, Certain, Foresight, Presence};
use super::names::Slot;
use super::plan::{Flow, Part, Phase, Preset, Rule, Subject, Target, Template};
use super::screens::{Interest, Screens};
use super::sieve;
use crate::bytes::leading_number;
use crate::operators::{Outcome, Test};
use crate::variables::Variable;

/// The steps of each phase.
#[derive(Debug, Clone, Default)]
pub struct Program {
    phases: [Vec<Step>; 5],
    /// For each step of a phase, the question of a rule that is asked only where its screen lets it through.
    questions: [Vec<Option<u16>>; 5],
    assignments: Vec<Assignment>,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Step {
    /// A rule is asked.
    Ask {
        /// An index of the plan's rules.
        rule: usize,
        /// Whether it looks at values.
        interest: Interest,
        /// What has to hold first.
        gate: Option<Gate>,
        /// The step after a match.
        after: usize,
    },
    /// Names get values.
    Assign {
        /// Which, and what; see [`Program::assignments`].
        range: Range<usize>,
        /// The rule of which this is left, where another one may have removed it: an index of the plan's rules.
        of: Option<usize>,
    },
}

impl Step {
    fn question(&self) -> Option<u16> {
        match self {
            Self::Ask {
                interest: Interest::Screened(screen),
                ..
            } => Some(screen.question),
            Self::Ask { .. } | Self::Assign { .. } => None,
        }
    }
}

/// A comparison of a name in `TX` with which a rule begins. Where it fails, as most do, nothing else of the rule is looked at.
#[derive(Debug, Clone)]
pub struct Gate {
    /// The name.
    pub slot: Slot,
    /// Whether its value is compared, or how many it has.
    pub subject: Subject,
    /// The comparison of the value (first) with the operand.
    pub compare: fn(i64, i64) -> bool,
    /// What it has to answer.
    pub wanted: Outcome,
    /// What the value is compared with.
    pub operand: Operand,
}

/// The second operand of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// A number.
    Number(i64),
    /// What a name in `TX` holds.
    Slot(Slot),
}

impl Gate {
    fn of(rule: &Rule) -> Option<Self> {
        let link = rule.links.first().filter(|link| link.transformations.is_none())?;
        let (Test::Number(compare), [target]) = (&link.operator.test, link.targets.as_slice()) else {
            return None;
        };
        let argument = &link.operator.argument;
        let operand = match argument.constant() {
            Some(text) => Operand::Number(leading_number(text)),
            None => Operand::Slot(foresight::slot_of(argument)?),
        };
        Some(Self {
            slot: foresight::named(target)?,
            subject: target.subject,
            compare: *compare,
            wanted: link.operator.wanted,
            operand,
        })
    }
}

/// A name in `TX`, and what it holds from here on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The name.
    pub slot: Slot,
    /// What it holds.
    pub value: Preset,
}

impl Program {
    /// The steps for these rules. `phases` are all rules of each phase, in order.
    pub(super) fn new(rules: &[Rule], phases: &[Vec<usize>; 5], screens: &Screens, foresight: &Foresight) -> Self {
        let mut program = Self::default();
        // A rule may ask for what matched last, which may be a certain one.
        let folds = !rules.iter().any(looks_back);
        for phase in Phase::ALL {
            let Some(list) = phases.get(phase.index()) else {
                continue;
            };
            let certain = |position: usize, index: usize| {
                let certain = foresight.certain.get(&index).filter(|_| folds)?;
                let next = position + 1;
                let target = rules.get(index)?.flow.target(position, list.len());
                // A jump goes without saying where nothing else leads to the rules in between.
                let between = list.get(next..target).unwrap_or_default();
                between
                    .iter()
                    .all(|rule| foresight.never.contains(*rule))
                    .then_some(certain)
            };
            let steps = program.steps(rules, list, screens, foresight, certain);
            let questions = steps.iter().map(Step::question).collect();
            if let (Some(place), Some(asked)) = (
                program.phases.get_mut(phase.index()),
                program.questions.get_mut(phase.index()),
            ) {
                (*place, *asked) = (steps, questions);
            }
        }
        program
    }

    /// The steps of a phase.
    #[must_use]
    pub fn steps_of(&self, phase: Phase) -> &[Step] {
        self.phases.get(phase.index()).map(Vec::as_slice).unwrap_or_default()
    }

    /// From a step on, the first one that is to be done, when of the questions of the phase's side these are open.
    #[must_use]
    pub fn next_step(&self, phase: Phase, from: usize, open: &[u64]) -> Option<usize> {
        let questions = self.questions.get(phase.index())?.get(from..)?;
        let is_due = |question: &Option<u16>| question.is_none_or(|question| sieve::has(open, usize::from(question)));
        questions.iter().position(is_due).map(|skipped| from + skipped)
    }

    /// The assignments of a step.
    #[must_use]
    pub fn assignments(&self, range: &Range<usize>) -> &[Assignment] {
        self.assignments.get(range.clone()).unwrap_or_default()
    }

    fn steps<'f>(
        &mut self,
        rules: &[Rule],
        list: &[usize],
        screens: &Screens,
        foresight: &Foresight,
        certain: impl Fn(usize, usize) -> Option<&'f Certain>,
    ) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        // For each position of the phase the step at which it stands.
        let mut starts = Vec::with_capacity(list.len() + 1);
        let mut landings = vec![false; list.len() + 1];
        for (position, &index) in list.iter().enumerate() {
            let target = rules.get(index).map(|rule| rule.flow.target(position, list.len()));
            if let Some(landing) = target.and_then(|target| landings.get_mut(target))
                && target != Some(position + 1)
            {
                *landing = true;
            }
        }
        for (position, &index) in list.iter().enumerate() {
            starts.push(steps.len());
            if foresight.never.contains(index) {
                continue;
            }
            let Some(Certain { assignments, presence }) = certain(position, index) else {
                steps.push(Step::Ask {
                    rule: index,
                    interest: screens.of(index),
                    gate: rules.get(index).and_then(Gate::of),
                    after: position,
                });
                continue;
            };
            if assignments.is_empty() {
                continue;
            }
            let start = self.assignments.len();
            self.assignments.extend_from_slice(assignments);
            let lands = landings.get(position).copied().unwrap_or(true);
            let end = self.assignments.len();
            match (steps.last_mut(), presence) {
                (Some(Step::Assign { range, of: None }), Presence::Always) if !lands => range.end = end,
                (_, presence) => steps.push(Step::Assign {
                    range: start..end,
                    of: (*presence == Presence::UnlessRemoved).then_some(index),
                }),
            }
        }
        starts.push(steps.len());
        for step in &mut steps {
            if let Step::Ask { rule, after, .. } = step {
                let target = rules.get(*rule).map(|rule| rule.flow.target(*after, list.len()));
                *after = target
                    .and_then(|target| starts.get(target))
                    .copied()
                    .unwrap_or(usize::MAX);
            }
        }
        steps
    }
}

impl Flow {
    /// The position at which evaluation goes on after a match at a position of a phase of so many rules.
    pub(super) fn target(self, position: usize, rules: usize) -> usize {
        let next = position + 1;
        match self {
            Self::Next => next,
            Self::Skip(skipped) => next.saturating_add(skipped),
            Self::Jump(position) => position.max(next),
        }
        .min(rules)
    }
}

/// Whether a rule, before anything in it has matched, asks for what matched before it.
fn looks_back(rule: &Rule) -> bool {
    let Some(first) = rule.links.first() else {
        return false;
    };
    let last_match = |target: &Target| {
        matches!(
            target.variable,
            Variable::MatchedVar | Variable::MatchedVarName | Variable::MatchedVars | Variable::MatchedVarsNames
        )
    };
    first.targets.iter().any(last_match) || targets(&first.operator.argument).any(last_match)
}

fn targets(template: &Template) -> impl Iterator<Item = &Target> {
    template.parts.iter().filter_map(|part| match part {
        Part::Macro(target) => Some(target),
        Part::Literal(_) => None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::plan::Plan;
    use super::*;
    use crate::seclang::{NoFiles, Source, parse};

    /// What is left of a phase: ids of rules, and assignments as `name=value`.
    fn left(text: &str, phase: Phase) -> Vec<String> {
        let source = Source {
            name: "t.conf".into(),
            text: text.into(),
        };
        let directives = parse(&[source], &NoFiles).unwrap();
        let presets = vec![("level".to_owned(), Preset::Number(1))];
        let plan: Plan = super::super::compile(&directives, &presets, &NoFiles).unwrap();
        let program = plan.program.as_ref().unwrap();
        let shown = |assignment: &Assignment| {
            let name = String::from_utf8_lossy(plan.names.name(assignment.slot)).into_owned();
            match &assignment.value {
                Preset::Number(number) => format!("{name}={number}"),
                Preset::Text(text) => format!("{name}='{}'", String::from_utf8_lossy(text)),
            }
        };
        program
            .steps_of(phase)
            .iter()
            .flat_map(|step| match step {
                Step::Ask { rule, after, .. } => vec![format!("{}>{after}", plan.rules[*rule].id)],
                Step::Assign { range, of } => {
                    let of = of.map(|index| format!("{}:", plan.rules[index].id)).unwrap_or_default();
                    let assignments = program.assignments(range).iter();
                    assignments.map(|assignment| of.clone() + &shown(assignment)).collect()
                }
            })
            .collect()
    }

    #[test]
    fn what_is_certain_becomes_assignments() {
        let text = "SecAction \"id:1,phase:1,nolog,setvar:tx.a=5,setvar:tx.b=GET POST\"\n\
                    SecRule &TX:a \"@eq 0\" \"id:2,phase:1,nolog,setvar:tx.a=6\"\n\
                    SecRule &TX:c \"@eq 0\" \"id:3,phase:1,nolog,setvar:tx.c=%{tx.a},setvar:tx.c=+2\"\n\
                    SecRule REQUEST_URI \"@rx x\" \"id:4,phase:1\"\n\
                    SecRule TX:c \"@eq 7\" \"id:5,phase:1,nolog,setvar:tx.d=007\"";
        assert_eq!(
            left(text, Phase::RequestHeaders),
            ["a=5", "b='GET POST'", "c=5", "c=7", "4>2", "d='007'"]
        );
    }

    #[test]
    fn jumps_over_what_never_runs_go_without_saying() {
        let text = "SecRule TX:level \"@lt 2\" \"id:1,phase:2,nolog,skipAfter:END\"\n\
                    SecRule ARGS \"@rx a\" \"id:2,phase:2\"\nSecMarker END\nSecRule ARGS \"@rx b\" \"id:3,phase:2\"";
        assert_eq!(left(text, Phase::RequestBody), ["3>1"]);
    }

    #[test]
    fn what_may_be_removed_is_left_with_its_rule() {
        let text = "SecRule ARGS \"@rx x\" \"id:1,phase:1,nolog,ctl:ruleRemoveByTag=core\"\n\
                    SecAction \"id:2,phase:1,nolog,tag:core,setvar:tx.a=1\"\n\
                    SecRule TX:level \"@lt 2\" \"id:3,phase:1,nolog,tag:core,skipAfter:END\"\n\
                    SecRule ARGS \"@rx a\" \"id:4,phase:1,tag:core\"\nSecMarker END";
        assert_eq!(left(text, Phase::RequestHeaders), ["1>1", "2:a=1"]);
    }

    #[test]
    fn what_somebody_sees_is_asked() {
        for actions in [
            "log,setvar:tx.a=1",
            "nolog,auditlog,setvar:tx.a=1",
            "nolog,deny",
            "nolog,ctl:auditEngine=On",
            "nolog,severity:'CRITICAL'",
            "nolog,setvar:tx.a=%{REMOTE_ADDR}",
            "nolog,setvar:tx.%{REMOTE_ADDR}=1",
        ] {
            let text = format!("SecAction \"id:1,phase:1,{actions}\"");
            assert_eq!(left(&text, Phase::RequestHeaders), ["1>1"], "{actions}");
        }
        let text = "SecAction \"id:1,phase:1,nolog,setvar:tx.a=1\"\nSecRule MATCHED_VAR \"@rx 1\" \"id:2,phase:1\"";
        assert_eq!(left(text, Phase::RequestHeaders), ["1>1", "2>2"]);
    }

    #[test]
    fn an_assignment_that_is_jumped_over_stands_alone() {
        let text = "SecAction \"id:1,phase:1,nolog,setvar:tx.a=1\"\n\
                    SecRule REQUEST_URI \"@rx x\" \"id:2,phase:1,nolog,skipAfter:ON\"\n\
                    SecAction \"id:3,phase:1,nolog,setvar:tx.b=1\"\nSecMarker ON\n\
                    SecAction \"id:4,phase:1,nolog,setvar:tx.c=1\"\nSecRule REQUEST_URI \"@rx y\" \"id:5,phase:1\"";
        assert_eq!(left(text, Phase::RequestHeaders), ["a=1", "2>3", "b=1", "c=1", "5>5"]);
    }
}
