//! `log`: a match is in the log, and in the audit event.

use super::{Draft, Scope};
use crate::compile::plan::Logging;

pub(super) fn apply(_: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    draft.logging = Some(Logging::Report);
    draft.auditing = Some(Logging::Report);
    Ok(())
}
