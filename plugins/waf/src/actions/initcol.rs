//! `initcol:ip=%{REMOTE_ADDR}`: opens a collection that outlives the transaction, `ip`, `global`, `resource`, `session` or `user`.

use super::{Draft, Scope};
use crate::compile::plan::{Effect, Persistent};
use crate::compile::template;

pub(super) fn apply(value: &str, draft: &mut Draft, scope: &mut Scope<'_>) -> Result<(), String> {
    let Some((name, key)) = value.split_once('=') else {
        return Err(format!("\"{value}\" has no key; write {value}=%{{REMOTE_ADDR}}"));
    };
    let Some(collection) = Persistent::find(name.trim()) else {
        return Err(format!(
            "\"{name}\" is not a collection that is kept; ip, global, resource, session and user are"
        ));
    };
    let key = template::compile(key.trim(), scope.names)?;
    draft.effects.push(Effect::Open { collection, key });
    Ok(())
}
