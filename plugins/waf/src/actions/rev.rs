//! `rev:TEXT`: the rule's revision.

use super::{Draft, Scope};

pub(super) fn apply(value: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    draft.revision = Some(value.into());
    Ok(())
}
