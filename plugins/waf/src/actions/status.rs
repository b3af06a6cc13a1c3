//! `status:CODE`: the status that `deny` and `redirect` answer with.

use super::{Draft, Scope, number};

pub(super) fn apply(value: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    draft.status = Some(number(value, 200, 599)? as u16);
    Ok(())
}
