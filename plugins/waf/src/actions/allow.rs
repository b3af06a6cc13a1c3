//! `allow`: the remaining rules are skipped: all of them, those of this `phase`, or those of the `request` phases.

use super::{Draft, Scope, Verb};
use crate::compile::plan::Allowance;

pub(super) fn apply(value: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    draft.verb = Some(Verb::Allow(match value.to_ascii_lowercase().as_str() {
        "" => Allowance::Transaction,
        "phase" => Allowance::Phase,
        "request" => Allowance::Request,
        _ => return Err(format!("\"{value}\" is not phase or request")),
    }));
    Ok(())
}
