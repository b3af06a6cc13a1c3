//! `msg:TEXT`: what is said about a match.

use super::{Draft, Scope};
use crate::compile::template;

pub(super) fn apply(value: &str, draft: &mut Draft, scope: &mut Scope<'_>) -> Result<(), String> {
    draft.message = Some(template::compile(value, scope.names)?);
    draft.message_text = value.to_owned();
    Ok(())
}
