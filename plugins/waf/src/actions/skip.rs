//! `skip:NUMBER`: after a match, so many rules of the phase are skipped.

use super::{Draft, Scope, WrittenFlow, number};

pub(super) fn apply(value: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    draft.flow = WrittenFlow::Skip(number(value, 1, 1_000_000)? as usize);
    Ok(())
}
