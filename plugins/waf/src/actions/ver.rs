//! `ver:TEXT`: the rule set's name and version.

use super::{Draft, Scope};

pub(super) fn apply(value: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    draft.version = Some(value.into());
    Ok(())
}
