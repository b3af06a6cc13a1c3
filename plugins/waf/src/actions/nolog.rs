//! `nolog`: a match is not in the log, nor in the audit event, unless `auditlog` follows.

use super::{Draft, Scope};
use crate::compile::plan::Logging;

pub(super) fn apply(_: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    draft.logging = Some(Logging::Silent);
    draft.auditing = Some(Logging::Silent);
    Ok(())
}
