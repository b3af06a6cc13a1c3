//! Actions (`deny`, `setvar`): what a rule does when it matches. One file each. An action is applied once, when the rules are
//! loaded, to the [`Draft`] of its rule; nothing of it is interpreted when rules run.

mod accuracy;
mod allow;
mod audit_log;
mod block;
mod capture;
mod chain;
mod ctl;
mod deny;
mod deprecatevar;
mod drop;
mod expirevar;
mod id;
mod initcol;
mod log;
mod logdata;
mod maturity;
mod msg;
mod multi_match;
mod no_audit_log;
mod nolog;
mod pass;
mod phase;
mod redirect;
mod rev;
mod sanitise;
mod setenv;
mod setrsc;
mod setsid;
mod setuid;
mod setvar;
mod severity;
mod skip;
mod skip_after;
mod status;
mod t;
mod tag;
mod ver;

use std::sync::Arc;

use crate::compile::names::Names;
use crate::compile::pick::Picks;
use crate::compile::plan::{Allowance, Capture, Effect, Exclusion, Forms, Logging, Phase, Severity, Template};
use crate::problem::unknown;
use crate::seclang::syntax::Action;

/// A rule, or a link of a chain, while its actions are read.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) id: Option<u64>,
    pub(crate) phase: Option<Phase>,
    pub(crate) chained: Chained,
    pub(crate) verb: Option<Verb>,
    pub(crate) status: Option<u16>,
    pub(crate) flow: WrittenFlow,
    /// Whether a match is in the log.
    pub(crate) logging: Option<Logging>,
    /// Whether a match is in the audit event; as in the log, where nothing says so.
    pub(crate) auditing: Option<Logging>,
    pub(crate) message: Option<Template>,
    /// The message as written, for what picks rules by it.
    pub(crate) message_text: String,
    pub(crate) data: Option<Template>,
    pub(crate) severity: Option<Severity>,
    pub(crate) tags: Vec<Arc<str>>,
    pub(crate) version: Option<Arc<str>>,
    pub(crate) revision: Option<Arc<str>>,
    pub(crate) maturity: Option<u8>,
    pub(crate) accuracy: Option<u8>,
    /// Indices of [`crate::transformations::ALL`].
    pub(crate) transformations: Vec<usize>,
    pub(crate) capture: Option<Capture>,
    pub(crate) forms: Option<Forms>,
    pub(crate) effects: Vec<Effect>,
    /// What a reader of the rules should know.
    pub(crate) caveats: Vec<&'static str>,
}

/// Whether the next rule belongs to this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Chained {
    /// `chain`
    ToNext,
    #[default]
    No,
}

/// What happens to the request, as written.
#[derive(Debug, PartialEq)]
pub(crate) enum Verb {
    Pass,
    Block,
    Deny,
    Drop,
    Allow(Allowance),
    Redirect(Template),
}

/// Where evaluation goes on, as written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum WrittenFlow {
    #[default]
    Next,
    Skip(usize),
    After(String),
}

/// What actions need to know of the rules around them.
pub(crate) struct Scope<'a> {
    pub(crate) names: &'a mut Names,
    pub(crate) picks: &'a mut Picks,
    pub(crate) exclusions: &'a mut Vec<Exclusion>,
}

/// Where a list of actions stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// On a rule, or the first of a chain.
    Starter,
    /// On a later rule of a chain.
    Link,
    /// In `SecDefaultAction`.
    Default,
}

struct Kind {
    name: &'static str,
    value: Value,
    place: Place,
    apply: fn(&str, &mut Draft, &mut Scope<'_>) -> Result<(), String>,
}

/// Whether an action has a value after a colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Required,
    Absent,
    Optional,
}

/// Where an action may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// On every rule of a chain, and in defaults.
    Anywhere,
    /// On the first rule of a chain, and in defaults.
    Starter,
    /// On the first rule of a chain only.
    StarterOnly,
    /// On every rule of a chain, not in defaults.
    Rules,
}

static KINDS: &[Kind] = {
    use Place::{Anywhere, Rules, Starter, StarterOnly};
    use Value::{Absent, Optional, Required};
    &[
        Kind {
            name: "accuracy",
            value: Required,
            place: StarterOnly,
            apply: accuracy::apply,
        },
        Kind {
            name: "allow",
            value: Optional,
            place: Starter,
            apply: allow::apply,
        },
        Kind {
            name: "auditlog",
            value: Absent,
            place: Anywhere,
            apply: audit_log::apply,
        },
        Kind {
            name: "block",
            value: Absent,
            place: StarterOnly,
            apply: block::apply,
        },
        Kind {
            name: "capture",
            value: Absent,
            place: Rules,
            apply: capture::apply,
        },
        Kind {
            name: "chain",
            value: Absent,
            place: Rules,
            apply: chain::apply,
        },
        Kind {
            name: "ctl",
            value: Required,
            place: Rules,
            apply: ctl::apply,
        },
        Kind {
            name: "deny",
            value: Absent,
            place: Starter,
            apply: deny::apply,
        },
        Kind {
            name: "drop",
            value: Absent,
            place: Starter,
            apply: drop::apply,
        },
        Kind {
            name: "id",
            value: Required,
            place: StarterOnly,
            apply: id::apply,
        },
        Kind {
            name: "initcol",
            value: Required,
            place: Rules,
            apply: initcol::apply,
        },
        Kind {
            name: "log",
            value: Absent,
            place: Anywhere,
            apply: log::apply,
        },
        Kind {
            name: "logdata",
            value: Required,
            place: Rules,
            apply: logdata::apply,
        },
        Kind {
            name: "maturity",
            value: Required,
            place: StarterOnly,
            apply: maturity::apply,
        },
        Kind {
            name: "msg",
            value: Required,
            place: StarterOnly,
            apply: msg::apply,
        },
        Kind {
            name: "multimatch",
            value: Absent,
            place: Rules,
            apply: multi_match::apply,
        },
        Kind {
            name: "noauditlog",
            value: Absent,
            place: Anywhere,
            apply: no_audit_log::apply,
        },
        Kind {
            name: "nolog",
            value: Absent,
            place: Anywhere,
            apply: nolog::apply,
        },
        Kind {
            name: "pass",
            value: Absent,
            place: Starter,
            apply: pass::apply,
        },
        Kind {
            name: "phase",
            value: Required,
            place: Starter,
            apply: phase::apply,
        },
        Kind {
            name: "redirect",
            value: Required,
            place: Starter,
            apply: redirect::apply,
        },
        Kind {
            name: "rev",
            value: Required,
            place: StarterOnly,
            apply: rev::apply,
        },
        Kind {
            name: "sanitisearg",
            value: Required,
            place: Rules,
            apply: sanitise::argument,
        },
        Kind {
            name: "sanitizearg",
            value: Required,
            place: Rules,
            apply: sanitise::argument,
        },
        Kind {
            name: "sanitisematched",
            value: Absent,
            place: Rules,
            apply: sanitise::matched,
        },
        Kind {
            name: "sanitizematched",
            value: Absent,
            place: Rules,
            apply: sanitise::matched,
        },
        Kind {
            name: "sanitisematchedbytes",
            value: Optional,
            place: Rules,
            apply: sanitise::matched_bytes,
        },
        Kind {
            name: "sanitizematchedbytes",
            value: Optional,
            place: Rules,
            apply: sanitise::matched_bytes,
        },
        Kind {
            name: "sanitiserequestheader",
            value: Required,
            place: Rules,
            apply: sanitise::request_header,
        },
        Kind {
            name: "sanitizerequestheader",
            value: Required,
            place: Rules,
            apply: sanitise::request_header,
        },
        Kind {
            name: "sanitiseresponseheader",
            value: Required,
            place: Rules,
            apply: sanitise::response_header,
        },
        Kind {
            name: "sanitizeresponseheader",
            value: Required,
            place: Rules,
            apply: sanitise::response_header,
        },
        Kind {
            name: "deprecatevar",
            value: Required,
            place: Rules,
            apply: deprecatevar::apply,
        },
        Kind {
            name: "expirevar",
            value: Required,
            place: Rules,
            apply: expirevar::apply,
        },
        Kind {
            name: "setenv",
            value: Required,
            place: Rules,
            apply: setenv::apply,
        },
        Kind {
            name: "setrsc",
            value: Required,
            place: Rules,
            apply: setrsc::apply,
        },
        Kind {
            name: "setsid",
            value: Required,
            place: Rules,
            apply: setsid::apply,
        },
        Kind {
            name: "setuid",
            value: Required,
            place: Rules,
            apply: setuid::apply,
        },
        Kind {
            name: "setvar",
            value: Required,
            place: Rules,
            apply: setvar::apply,
        },
        Kind {
            name: "severity",
            value: Required,
            place: StarterOnly,
            apply: severity::apply,
        },
        Kind {
            name: "skip",
            value: Required,
            place: StarterOnly,
            apply: skip::apply,
        },
        Kind {
            name: "skipafter",
            value: Required,
            place: StarterOnly,
            apply: skip_after::apply,
        },
        Kind {
            name: "status",
            value: Required,
            place: Starter,
            apply: status::apply,
        },
        Kind {
            name: "t",
            value: Required,
            place: Anywhere,
            apply: t::apply,
        },
        Kind {
            name: "tag",
            value: Required,
            place: StarterOnly,
            apply: tag::apply,
        },
        Kind {
            name: "ver",
            value: Required,
            place: StarterOnly,
            apply: ver::apply,
        },
    ]
};

/// Actions that Weir reads and cannot follow, and what that means.
const INERT: &[(&str, &str)] = &[
    ("append", "the action append has no effect: responses are not changed"),
    (
        "pause",
        "the action pause has no effect: a request that waits costs more than one that is refused",
    ),
    ("prepend", "the action prepend has no effect: responses are not changed"),
    (
        "xmlns",
        "the action xmlns has no effect: XML:/* and XML://@* name no elements",
    ),
];

/// Actions that Weir does not have, because a rule with them means something that would not happen, and what to do.
const REFUSED: &[(&str, &str)] = &[
    ("exec", "programs are not run; read the audit events"),
    ("proxy", "routes say where requests go; use deny, drop or redirect"),
];

/// Applies one action.
pub(crate) fn apply(action: &Action, role: Role, draft: &mut Draft, scope: &mut Scope<'_>) -> Result<(), String> {
    let name = action.name.as_str();
    if let Some((_, caveat)) = INERT.iter().find(|(known, _)| *known == name) {
        draft.caveats.push(caveat);
        return Ok(());
    }
    let Some(kind) = KINDS.iter().find(|kind| kind.name == name) else {
        return Err(match REFUSED.iter().find(|(known, _)| *known == name) {
            Some((_, advice)) => format!("there is no action \"{name}\": {advice}"),
            None => unknown("action", name, KINDS.iter().map(|kind| kind.name)),
        });
    };
    match (role, kind.place) {
        (Role::Starter, _)
        | (Role::Link, Place::Anywhere | Place::Rules)
        | (Role::Default, Place::Anywhere | Place::Starter) => {}
        (Role::Link, _) => return Err(format!("the action \"{name}\" belongs to the first rule of a chain")),
        (Role::Default, _) => return Err(format!("the action \"{name}\" has no place in SecDefaultAction")),
    }
    let value = match (kind.value, action.value.as_deref()) {
        (Value::Required, None | Some("")) => return Err(format!("the action \"{name}\" needs a value: {name}:...")),
        (Value::Absent, Some(value)) => {
            return Err(format!("the action \"{name}\" takes no value and has \"{value}\""));
        }
        (_, value) => value.unwrap_or_default(),
    };
    (kind.apply)(value, draft, scope).map_err(|message| format!("the action \"{name}\": {message}"))
}

/// A whole number in a range.
fn number(text: &str, least: u64, most: u64) -> Result<u64, String> {
    match text.trim().parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("\"{text}\" is not a whole number from {least} to {most}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn drafted(actions: &[(&str, Option<&str>)], role: Role) -> Result<Draft, String> {
        let (mut names, mut picks, mut exclusions) = (Names::default(), Picks::default(), Vec::new());
        let mut scope = Scope {
            names: &mut names,
            picks: &mut picks,
            exclusions: &mut exclusions,
        };
        let mut draft = Draft::default();
        for (name, value) in actions {
            let action = Action {
                name: (*name).to_owned(),
                value: value.map(str::to_owned),
            };
            apply(&action, role, &mut draft, &mut scope)?;
        }
        Ok(draft)
    }

    #[test]
    fn actions_fill_the_draft() {
        let draft = drafted(
            &[
                ("id", Some("9100")),
                ("phase", Some("request")),
                ("deny", None),
                ("status", Some("406")),
                ("nolog", None),
                ("severity", Some("critical")),
                ("t", Some("none")),
                ("t", Some("lowercase")),
                ("t", Some("urlDecodeUni")),
                ("skipafter", Some("END")),
                ("setvar", Some("tx.a=+%{tx.b}")),
                ("ctl", Some("ruleRemoveTargetById=100-200;ARGS:password")),
            ],
            Role::Starter,
        )
        .unwrap();
        assert_eq!(draft.id, Some(9100));
        assert_eq!(draft.phase, Some(Phase::RequestBody));
        assert_eq!((draft.verb, draft.status), (Some(Verb::Deny), Some(406)));
        assert_eq!(draft.logging, Some(Logging::Silent));
        assert_eq!(draft.severity, Some(Severity(2)));
        assert_eq!(draft.transformations.len(), 2);
        assert_eq!(draft.flow, WrittenFlow::After("END".into()));
        assert_eq!(draft.effects.len(), 2);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases: [(&str, Option<&str>, Role, &str); 19] = [
            ("denny", None, Role::Starter, "nearest known one is \"deny\""),
            ("initcol", Some("tx=1"), Role::Starter, "\"tx\""),
            ("exec", Some("/bin/x"), Role::Starter, "not run"),
            ("proxy", Some("http://x"), Role::Starter, "routes"),
            ("sanitisearg", None, Role::Starter, "needs a value"),
            ("id", None, Role::Starter, "needs a value"),
            ("id", Some("x"), Role::Starter, "\"x\""),
            ("deny", Some("x"), Role::Starter, "takes no value"),
            ("deny", None, Role::Link, "first rule"),
            ("id", Some("1"), Role::Default, "SecDefaultAction"),
            ("t", Some("lowcase"), Role::Starter, "\"lowercase\""),
            ("phase", Some("6"), Role::Starter, "\"6\""),
            ("severity", Some("bad"), Role::Starter, "\"bad\""),
            ("status", Some("99"), Role::Starter, "99"),
            ("setvar", Some("args.x=1"), Role::Starter, "args.x"),
            ("expirevar", Some("tx.x=1"), Role::Starter, "tx.x"),
            ("deprecatevar", Some("ip.x=1"), Role::Starter, "60/300"),
            ("ctl", Some("rulEngine=On"), Role::Starter, "\"ruleEngine\""),
            ("ctl", Some("ruleRemoveTargetById=1"), Role::Starter, ";"),
        ];
        for (name, value, role, expected) in cases {
            let message = drafted(&[(name, value)], role).map(|_| ()).unwrap_err();
            assert!(message.contains(expected), "{name}: {message}");
        }
    }
}
