//! `setuid:%{ARGS.username}`: opens `USER` for this user, whom `USERID` then names.

use super::{Draft, Scope};
use crate::compile::plan::{Effect, Persistent};
use crate::compile::template;

pub(super) fn apply(value: &str, draft: &mut Draft, scope: &mut Scope<'_>) -> Result<(), String> {
    draft.effects.push(Effect::Open {
        collection: Persistent::User,
        key: template::compile(value.trim(), scope.names)?,
    });
    Ok(())
}
