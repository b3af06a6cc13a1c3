//! `tag:TEXT`: a label, by which other directives and actions pick rules.

use super::{Draft, Scope};

pub(super) fn apply(value: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    draft.tags.push(value.into());
    Ok(())
}
