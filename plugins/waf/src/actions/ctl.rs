//! `ctl:ruleRemoveById=9100100`: changes how the rest of this transaction is judged.

use super::{Draft, Scope};
use crate::compile::pick::{By, Pick};
use crate::compile::plan::{BodyProcessor, Control, Effect, Exclusion};
use crate::compile::{settings, target};
use crate::problem::unknown;
use crate::seclang::parse_targets;
use crate::variables;

const NAMES: &[&str] = &[
    "ruleEngine",
    "auditEngine",
    "auditLogParts",
    "ruleRemoveById",
    "ruleRemoveByTag",
    "ruleRemoveByMsg",
    "ruleRemoveTargetById",
    "ruleRemoveTargetByTag",
    "ruleRemoveTargetByMsg",
    "requestBodyAccess",
    "requestBodyProcessor",
    "forceRequestBodyVariable",
    "requestBodyLimit",
    "responseBodyAccess",
    "responseBodyLimit",
];

/// What Weir reads and cannot follow, and what that means.
const INERT: &[(&str, &str)] = &[
    (
        "debugLogLevel",
        "ctl:debugLogLevel has no effect: there is no debug log",
    ),
    ("hashEngine", "ctl:hashEngine has no effect: links are not signed"),
    (
        "hashEnforcement",
        "ctl:hashEnforcement has no effect: links are not signed",
    ),
    (
        "parseXmlIntoArgs",
        "ctl:parseXmlIntoArgs has no effect: XML does not become arguments; look at XML:/* and XML://@*",
    ),
];

pub(super) fn apply(value: &str, draft: &mut Draft, scope: &mut Scope<'_>) -> Result<(), String> {
    let Some((name, value)) = value.split_once('=') else {
        return Err(format!("\"{value}\" has no =; write name=value"));
    };
    let (name, value) = (name.trim(), value.trim());
    if let Some((_, caveat)) = INERT.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        draft.caveats.push(caveat);
        return Ok(());
    }
    let control = match name.to_ascii_lowercase().as_str() {
        "ruleengine" => Control::Engine(settings::mode(value)?),
        "auditengine" => Control::AuditEngine(settings::audit_mode(value)?),
        // An audit event has one form, which leaves nothing out that a part would add.
        "auditlogparts" => return settings::audit_parts(value),
        "ruleremovebyid" => remove(By::Id, value, scope)?,
        "ruleremovebytag" => remove(By::Tag, value, scope)?,
        "ruleremovebymsg" => remove(By::Message, value, scope)?,
        "ruleremovetargetbyid" => remove_target(By::Id, value, scope)?,
        "ruleremovetargetbytag" => remove_target(By::Tag, value, scope)?,
        "ruleremovetargetbymsg" => remove_target(By::Message, value, scope)?,
        "requestbodyaccess" => Control::RequestBodyAccess(settings::access(value)?),
        "forcerequestbodyvariable" => Control::ForceRequestBodyVariable(settings::access(value)?),
        "requestbodylimit" => Control::RequestBodyLimit(settings::number(value)?),
        "responsebodylimit" => Control::ResponseBodyLimit(settings::number(value)?),
        "responsebodyaccess" => Control::ResponseBodyAccess(settings::access(value)?),
        "requestbodyprocessor" => Control::RequestBodyProcessor(match value.to_ascii_uppercase().as_str() {
            "URLENCODED" => BodyProcessor::UrlEncoded,
            "JSON" => BodyProcessor::Json,
            "MULTIPART" => BodyProcessor::Multipart,
            "XML" => BodyProcessor::Xml,
            "RAW" => BodyProcessor::Raw,
            _ => return Err(format!("\"{value}\" is not URLENCODED, JSON, XML, MULTIPART or RAW")),
        }),
        _ => return Err(unknown("setting", name, NAMES.iter().copied())),
    };
    draft.effects.push(Effect::Control(control));
    Ok(())
}

fn remove(by: By, value: &str, scope: &mut Scope<'_>) -> Result<Control, String> {
    Ok(Control::RemoveRules(scope.picks.add(Pick::parse(by, value)?)))
}

/// `RULES;VARIABLE` or `RULES;VARIABLE:name`.
fn remove_target(by: By, value: &str, scope: &mut Scope<'_>) -> Result<Control, String> {
    let Some((rules, variable)) = value.split_once(';') else {
        return Err(format!("\"{value}\" names no variable; write {value};ARGS:name"));
    };
    let written = parse_targets(variable)?;
    let [written] = written.as_slice() else {
        return Err(format!("\"{variable}\" is not one variable"));
    };
    let variable = variables::find(&written.variable)?;
    let selector = target::selector(variable, &written.selector, scope.names)?;
    scope.exclusions.push(Exclusion {
        rules: scope.picks.add(Pick::parse(by, rules)?),
        variable,
        selector,
    });
    Ok(Control::RemoveTarget(scope.exclusions.len() - 1))
}
