//! `logdata:TEXT`: what of the match is reported.

use super::{Draft, Scope};
use crate::compile::template;

pub(super) fn apply(value: &str, draft: &mut Draft, scope: &mut Scope<'_>) -> Result<(), String> {
    draft.data = Some(template::compile(value, scope.names)?);
    Ok(())
}
