//! `skipAfter:MARKER`: after a match, evaluation goes on after the `SecMarker` of that name.

use super::{Draft, Scope, WrittenFlow};

pub(super) fn apply(value: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    draft.flow = WrittenFlow::After(value.to_owned());
    Ok(())
}
