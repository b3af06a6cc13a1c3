//! `block`: what the phase's `SecDefaultAction` says.

use super::{Draft, Scope, Verb};

pub(super) fn apply(_: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    draft.verb = Some(Verb::Block);
    Ok(())
}
