//! `SecRuleUpdateActionById 12345 "deny,status:406"`: actions of rules that stand before it are changed as if the rules had been
//! written so. It happens to the syntax, before anything is compiled.

use crate::problem::Problems;
use crate::seclang::parse_actions;
use crate::seclang::syntax::{Action, Directive, Kind};

/// What happens to a request: one of them takes the place of another.
const DISRUPTIVE: &[&str] = &["allow", "block", "deny", "drop", "pass", "proxy", "redirect"];

/// Of these a rule has one, which a new one replaces. All others are added.
const SINGLE: &[&str] = &[
    "accuracy",
    "logdata",
    "maturity",
    "msg",
    "rev",
    "severity",
    "skip",
    "skipafter",
    "status",
    "ver",
];

/// One of a pair replaces the other.
const PAIRS: &[[&str; 2]] = &[["log", "nolog"], ["auditlog", "noauditlog"]];

/// Changes rules as the directives after them say, and leaves those directives out.
pub(super) fn apply(directives: &[Directive], problems: &mut Problems) -> Vec<Directive> {
    let mut changed: Vec<Directive> = Vec::with_capacity(directives.len());
    for directive in directives {
        match &directive.kind {
            Kind::Setting { name, arguments } if name.eq_ignore_ascii_case("SecRuleUpdateActionById") => {
                let result = update(&mut changed, arguments);
                problems.keep(&directive.place, result.map_err(|message| format!("{name}: {message}")));
            }
            _ => changed.push(directive.clone()),
        }
    }
    changed
}

fn update(directives: &mut [Directive], arguments: &[String]) -> Result<(), String> {
    let [rule, text] = arguments else {
        return Err("it takes a rule and a list of actions".to_owned());
    };
    let (id, link) = rule.split_once(':').unwrap_or((rule, "0"));
    let (Ok(id), Ok(link)) = (id.parse::<u64>(), link.parse::<usize>()) else {
        return Err(format!(
            "\"{rule}\" is not a rule's id, or with :1 the first rule chained to it"
        ));
    };
    let actions = parse_actions(text)?;
    if let Some(action) = actions
        .iter()
        .find(|action| matches!(action.name.as_str(), "id" | "phase" | "chain"))
    {
        return Err(format!("the action \"{}\" of a rule cannot be changed", action.name));
    }
    let has_id = |actions: &&mut Vec<Action>| {
        let id = id.to_string();
        actions
            .iter()
            .any(|action| action.name == "id" && action.value.as_deref() == Some(id.as_str()))
    };
    let mut rules = directives.iter_mut().filter_map(|directive| match &mut directive.kind {
        Kind::Rule(rule) => Some(&mut rule.actions),
        Kind::Action(actions) => Some(actions),
        _ => None,
    });
    let mut found = rules
        .find(has_id)
        .ok_or_else(|| format!("no rule {id} stands before it"))?;
    for _ in 0..link {
        let chained = found.iter().any(|action| action.name == "chain");
        found = rules
            .next()
            .filter(|_| chained)
            .ok_or_else(|| format!("the chain of rule {id} has no link {link}"))?;
    }
    for action in actions {
        replace(found, action);
    }
    Ok(())
}

fn replace(actions: &mut Vec<Action>, new: Action) {
    let name = new.name.as_str();
    let same_kind = |old: &str| {
        old == name && SINGLE.contains(&name)
            || DISRUPTIVE.contains(&old) && DISRUPTIVE.contains(&name)
            || PAIRS.iter().any(|pair| pair.contains(&old) && pair.contains(&name))
    };
    actions.retain(|old| !same_kind(&old.name));
    actions.push(new);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::seclang::{NoFiles, Source, parse};

    fn updated(text: &str) -> (Vec<String>, Problems) {
        let directives = parse(
            &[Source {
                name: "t.conf".into(),
                text: text.into(),
            }],
            &NoFiles,
        )
        .unwrap();
        let mut problems = Problems::default();
        let shown = |actions: &[Action]| {
            let shown = |action: &Action| match &action.value {
                Some(value) => format!("{}:{value}", action.name),
                None => action.name.clone(),
            };
            actions.iter().map(shown).collect::<Vec<_>>().join(",")
        };
        let rules = apply(&directives, &mut problems)
            .into_iter()
            .filter_map(|directive| match directive.kind {
                Kind::Rule(rule) => Some(shown(&rule.actions)),
                Kind::Action(actions) => Some(shown(&actions)),
                _ => None,
            });
        (rules.collect(), problems)
    }

    #[test]
    fn actions_are_replaced_and_added() {
        let (rules, problems) = updated(
            "SecRule ARGS x \"id:1,phase:2,deny,status:403,msg:'a',t:lowercase,chain\"\n\
             SecRule ARGS y \"setvar:tx.a=1\"\n\
             SecRuleUpdateActionById 1 \"pass,status:404,nolog,msg:'b',t:trim\"\n\
             SecRuleUpdateActionById 1:1 \"setvar:tx.b=2\"",
        );
        assert_eq!(
            rules,
            [
                "id:1,phase:2,t:lowercase,chain,pass,status:404,nolog,msg:b,t:trim",
                "setvar:tx.a=1,setvar:tx.b=2"
            ]
        );
        assert!(problems.0.is_empty(), "{problems}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (directive, word) in [
            ("SecRuleUpdateActionById 2 deny", "no rule 2"),
            ("SecRuleUpdateActionById 1:1 deny", "no link 1"),
            ("SecRuleUpdateActionById x deny", "\"x\""),
            ("SecRuleUpdateActionById 1 id:7", "\"id\""),
            ("SecRuleUpdateActionById 1", "takes a rule"),
        ] {
            let (_, problems) = updated(&format!("SecAction \"id:1,pass\"\n{directive}"));
            assert!(problems.to_string().contains(word), "{problems}");
        }
    }
}
