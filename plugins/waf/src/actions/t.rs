//! `t:lowercase`: a transformation after those that are there; `t:none` removes them.

use super::{Draft, Scope};
use crate::problem::unknown;
use crate::transformations;

pub(super) fn apply(value: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    if value.eq_ignore_ascii_case("none") {
        draft.transformations.clear();
        return Ok(());
    }
    match transformations::find(value) {
        Some(index) => draft.transformations.push(index),
        None => {
            return Err(unknown(
                "transformation",
                value,
                transformations::ALL.iter().map(|t| t.name),
            ));
        }
    }
    Ok(())
}
