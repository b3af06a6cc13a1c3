//! `setenv:name=value`: sets a name in `ENV`, `!name` removes it. `ENV` holds what rules put there, and nothing of the proxy's own
//! environment.

use super::{Draft, Scope};
use crate::compile::plan::Effect;
use crate::compile::template;

pub(super) fn apply(value: &str, draft: &mut Draft, scope: &mut Scope<'_>) -> Result<(), String> {
    let (name, value) = match value.strip_prefix('!') {
        Some(name) => (name, None),
        None => {
            let (name, value) = value.split_once('=').unwrap_or((value, "1"));
            (name, Some(template::compile(value, scope.names)?))
        }
    };
    let name = template::compile(name.trim(), scope.names)?;
    draft.effects.push(Effect::SetEnvironment { name, value });
    Ok(())
}
