//! `deny`: the request is answered with the rule's `status`, 403 unless it says another.

use super::{Draft, Scope, Verb};

pub(super) fn apply(_: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    draft.verb = Some(Verb::Deny);
    Ok(())
}
