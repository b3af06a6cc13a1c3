//! `drop`: the connection is closed without an answer.

use super::{Draft, Scope, Verb};

pub(super) fn apply(_: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    draft.verb = Some(Verb::Drop);
    Ok(())
}
