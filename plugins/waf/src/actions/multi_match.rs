//! `multiMatch`: the operator is asked about the value before the transformations and after each that changes it.

use super::{Draft, Scope};
use crate::compile::plan::Forms;

pub(super) fn apply(_: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    draft.forms = Some(Forms::Each);
    Ok(())
}
