//! `setsid:%{REQUEST_COOKIES.session}`: opens `SESSION` for this session, which `SESSIONID` then names.

use super::{Draft, Scope};
use crate::compile::plan::{Effect, Persistent};
use crate::compile::template;

pub(super) fn apply(value: &str, draft: &mut Draft, scope: &mut Scope<'_>) -> Result<(), String> {
    draft.effects.push(Effect::Open {
        collection: Persistent::Session,
        key: template::compile(value.trim(), scope.names)?,
    });
    Ok(())
}
