//! `redirect:URL`: the client is sent elsewhere, with the rule's `status`, 302 unless it says another.

use super::{Draft, Scope, Verb};
use crate::compile::template;

pub(super) fn apply(value: &str, draft: &mut Draft, scope: &mut Scope<'_>) -> Result<(), String> {
    draft.verb = Some(Verb::Redirect(template::compile(value, scope.names)?));
    Ok(())
}
