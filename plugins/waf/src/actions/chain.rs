//! `chain`: the rule matches only if the next one does too.

use super::{Chained, Draft, Scope};

pub(super) fn apply(_: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    draft.chained = Chained::ToNext;
    Ok(())
}
