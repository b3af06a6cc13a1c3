//! `log`: a match is reported.

use super::{Draft, Scope};
use crate::compile::plan::Logging;

pub(super) fn apply(_: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    draft.logging = Some(Logging::Report);
    Ok(())
}
