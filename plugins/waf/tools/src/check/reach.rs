//! Rules that never run: jumped over always, removed, switched off, or waiting for a body that is not looked at.

use std::collections::BTreeSet;

use weir_waf::compile::plan::{Access, Disruption, Flow, Mode, Phase, Plan, Rule};

use super::{Finding, Level};

pub(super) fn check(plan: &Plan) -> Vec<Finding> {
    let mut findings = Vec::new();
    let finding = |rule: &Rule, level, message| Finding {
        place: rule.place.clone(),
        level,
        message,
    };
    if plan.settings.mode == Mode::Off {
        findings.extend(
            plan.rules
                .first()
                .map(|rule| finding(rule, Level::Warning, "SecRuleEngine is Off: no rule runs".to_owned())),
        );
    }
    for (phase, access, directive) in [
        (Phase::RequestBody, plan.settings.request_body, "SecRequestBodyAccess"),
        (
            Phase::ResponseBody,
            plan.settings.response_body,
            "SecResponseBodyAccess",
        ),
    ] {
        let rules = plan.phases.get(phase.index()).map(Vec::as_slice).unwrap_or_default();
        let first = rules.iter().find_map(|index| plan.rules.get(*index));
        if let (Access::Off, Some(rule)) = (access, first) {
            let message = format!(
                "{directive} is Off: the {} rules of phase {} see no body",
                rules.len(),
                phase.index() + 1
            );
            findings.push(finding(rule, Level::Warning, message));
        }
    }
    let mut runs = BTreeSet::new();
    for rules in &plan.phases {
        runs.extend(rules.iter().copied());
        for (rule, by) in jumped_over(plan, rules) {
            let message = format!("rule {} is never asked: {by}", rule.id);
            findings.push(finding(rule, Level::Warning, message));
        }
    }
    for (index, rule) in plan.rules.iter().enumerate() {
        if !runs.contains(&index) {
            let message = format!("rule {} is removed by a directive and never runs", rule.id);
            findings.push(finding(rule, Level::Note, message));
        }
    }
    findings
}

/// The rules of a phase that evaluation can never come to.
fn jumped_over<'p>(plan: &'p Plan, rules: &[usize]) -> Vec<(&'p Rule, String)> {
    let landings: BTreeSet<usize> = rules
        .iter()
        .filter_map(|index| match plan.rules.get(*index)?.flow {
            Flow::Jump(position) => Some(position),
            _ => None,
        })
        .collect();
    let mut found = Vec::new();
    let mut dead: Option<(usize, String)> = None;
    for (at, index) in rules.iter().enumerate() {
        let Some(rule) = plan.rules.get(*index) else { continue };
        if dead
            .as_ref()
            .is_some_and(|(end, _)| at >= *end || landings.contains(&at))
        {
            dead = None;
        }
        match &dead {
            Some((_, by)) => found.push((rule, by.clone())),
            None => dead = always_leaves(rule, at),
        }
    }
    found
}

/// Where evaluation goes on after a rule that always matches, where that is not the next rule.
fn always_leaves(rule: &Rule, at: usize) -> Option<(usize, String)> {
    let [only] = rule.links.as_slice() else { return None };
    if !only.targets.is_empty() {
        return None;
    }
    match (&rule.disruption, rule.flow) {
        (Disruption::Pass, Flow::Next) => None,
        (Disruption::Pass, Flow::Skip(rules)) => Some((
            at + 1 + rules,
            format!("the rule {} before it always matches and skips it", rule.id),
        )),
        (Disruption::Pass, Flow::Jump(position)) => Some((
            position,
            format!("the rule {} before it always matches and jumps over it", rule.id),
        )),
        _ => Some((
            usize::MAX,
            format!("the rule {} before it always matches and ends the phase", rule.id),
        )),
    }
}
