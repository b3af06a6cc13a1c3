//! `setrsc:%{REQUEST_FILENAME}`: opens `RESOURCE` for this resource.

use super::{Draft, Scope};
use crate::compile::plan::{Effect, Persistent};
use crate::compile::template;

pub(super) fn apply(value: &str, draft: &mut Draft, scope: &mut Scope<'_>) -> Result<(), String> {
    draft.effects.push(Effect::Open {
        collection: Persistent::Resource,
        key: template::compile(value.trim(), scope.names)?,
    });
    Ok(())
}
