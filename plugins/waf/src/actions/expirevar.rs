//! `expirevar:ip.blocked=3600`: a value in a collection that is kept ends after so many seconds.

use super::setvar::{Place, place};
use super::{Draft, Scope};
use crate::compile::plan::{Effect, KeptChange};
use crate::compile::template;

pub(super) fn apply(value: &str, draft: &mut Draft, scope: &mut Scope<'_>) -> Result<(), String> {
    let Some((target, seconds)) = value.split_once('=') else {
        return Err(format!("\"{value}\" says no time; write {value}=60 (seconds)"));
    };
    let (Place::Kept(collection), name) = place(target, scope.names)? else {
        return Err(format!("\"{target}\" ends with the transaction anyway"));
    };
    let seconds = template::compile(seconds.trim(), scope.names)?;
    draft.effects.push(Effect::Keep {
        collection,
        name,
        change: KeptChange::Expire(seconds),
    });
    Ok(())
}
