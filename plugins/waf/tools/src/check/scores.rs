//! Scores: what a rule adds must fit how severe it says it is, and somebody must read the sum.

use std::collections::BTreeSet;

use weir_waf::compile::names::Slot;
use weir_waf::compile::plan::{Change, Effect, Link, Part, Plan, Rule, Selector, Target, Template, TxName};
use weir_waf::variables::Variable;

use super::{Finding, Level};

/// The names in `TX` by which the Core Rule Set, and others like it, say what a match of a severity adds.
const BY_SEVERITY: &[(u8, &str, &[u8])] = &[
    (2, "CRITICAL", b"critical_anomaly_score"),
    (3, "ERROR", b"error_anomaly_score"),
    (4, "WARNING", b"warning_anomaly_score"),
    (5, "NOTICE", b"notice_anomaly_score"),
];

pub(super) fn check(plan: &Plan) -> Vec<Finding> {
    let read = Read::of(plan);
    let mut findings = Vec::new();
    for rule in &plan.rules {
        let mut unread = BTreeSet::new();
        for (slot, template) in additions(rule) {
            findings.extend(misfit(plan, rule, template));
            if !read.reads(plan, slot) {
                unread.insert(String::from_utf8_lossy(plan.names.name(slot)).into_owned());
            }
        }
        findings.extend(unread.into_iter().map(|name| Finding {
            place: rule.place.clone(),
            level: Level::Warning,
            message: format!(
                "rule {} adds to tx.{name}, which no rule reads: the score goes nowhere",
                rule.id
            ),
        }));
    }
    findings
}

/// What a rule adds to names in `TX`.
fn additions(rule: &Rule) -> impl Iterator<Item = (Slot, &Template)> {
    rule.links
        .iter()
        .flat_map(|link| &link.effects)
        .filter_map(|effect| match effect {
            Effect::Set(set) => match (&set.name, &set.change) {
                (TxName::Slot(slot), Change::Add(template)) => Some((*slot, template)),
                _ => None,
            },
            _ => None,
        })
}

fn misfit(plan: &Plan, rule: &Rule, added: &Template) -> Option<Finding> {
    let [
        Part::Macro(Target {
            selector: Selector::Slot(slot),
            ..
        }),
    ] = added.parts.as_slice()
    else {
        return None;
    };
    let name = plan.names.name(*slot);
    let (level, word, _) = BY_SEVERITY.iter().find(|(_, _, known)| *known == name)?;
    let severity = rule.severity?;
    if severity.0 == *level {
        return None;
    }
    let said = BY_SEVERITY
        .iter()
        .find(|(level, _, _)| *level == severity.0)
        .map_or("another", |(_, word, _)| word);
    Some(Finding {
        place: rule.place.clone(),
        level: Level::Warning,
        message: format!(
            "rule {} has the severity {said} and adds the score of {word} (tx.{})",
            rule.id,
            String::from_utf8_lossy(name)
        ),
    })
}

/// Which names in `TX` are read.
struct Read<'p> {
    slots: BTreeSet<usize>,
    patterns: Vec<&'p Selector>,
    everything: bool,
}

impl<'p> Read<'p> {
    fn of(plan: &'p Plan) -> Self {
        let mut read = Self {
            slots: BTreeSet::new(),
            patterns: Vec::new(),
            everything: false,
        };
        for rule in &plan.rules {
            read.template(rule.message.as_ref());
            for link in &rule.links {
                read.link(link);
            }
        }
        read
    }

    fn link(&mut self, link: &'p Link) {
        for target in &link.targets {
            self.target(target);
        }
        self.template(Some(&link.operator.argument));
        self.template(link.data.as_ref());
        for effect in &link.effects {
            if let Effect::Set(set) = effect {
                if let TxName::Dynamic(name) = &set.name {
                    self.template(Some(name));
                }
                match &set.change {
                    Change::Assign(template) | Change::Add(template) | Change::Subtract(template) => {
                        self.template(Some(template));
                    }
                    Change::Remove => {}
                }
            }
        }
    }

    fn template(&mut self, template: Option<&'p Template>) {
        for part in template.map(|template| template.parts.as_slice()).unwrap_or_default() {
            if let Part::Macro(target) = part {
                self.target(target);
            }
        }
    }

    fn target(&mut self, target: &'p Target) {
        if target.variable != Variable::Tx {
            return;
        }
        match &target.selector {
            Selector::Slot(slot) => drop(self.slots.insert(slot.index())),
            Selector::Whole => self.everything = true,
            other => self.patterns.push(other),
        }
    }

    fn reads(&self, plan: &Plan, slot: Slot) -> bool {
        let name = plan.names.name(slot);
        let fits = |selector: &&Selector| match selector {
            Selector::Pattern(pattern) => pattern.is_match(name),
            Selector::Name(wanted) => name.eq_ignore_ascii_case(wanted),
            _ => false,
        };
        self.everything || self.slots.contains(&slot.index()) || self.patterns.iter().any(fits)
    }
}
