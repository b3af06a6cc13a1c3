//! `id:NUMBER`: the rule's number, unique among all rules.

use super::{Draft, Scope, number};

pub(super) fn apply(value: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    draft.id = Some(number(value, 1, 999_999_999_999)?);
    Ok(())
}
