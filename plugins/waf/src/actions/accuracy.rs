//! `accuracy:NUMBER`: how few false alarms the rule has, 1 to 9.

use super::{Draft, Scope, number};

pub(super) fn apply(value: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    draft.accuracy = Some(number(value, 1, 9)? as u8);
    Ok(())
}
