//! `deprecatevar:session.score=60/300`: a number in a collection that is kept falls by 60 for every 300 seconds that have passed.

use super::setvar::{Place, place};
use super::{Draft, Scope};
use crate::compile::plan::{Effect, KeptChange};
use crate::compile::template;

pub(super) fn apply(value: &str, draft: &mut Draft, scope: &mut Scope<'_>) -> Result<(), String> {
    let parts = value
        .split_once('=')
        .and_then(|(target, rate)| Some((target, rate.split_once('/')?)));
    let Some((target, (amount, period))) = parts else {
        return Err(format!(
            "\"{value}\" is not a variable with a rate; write session.score=60/300 (60 in each 300 seconds)"
        ));
    };
    let (Place::Kept(collection), name) = place(target, scope.names)? else {
        return Err(format!("\"{target}\" ends with the transaction anyway"));
    };
    let change = KeptChange::Deprecate {
        amount: template::compile(amount.trim(), scope.names)?,
        period: template::compile(period.trim(), scope.names)?,
    };
    draft.effects.push(Effect::Keep {
        collection,
        name,
        change,
    });
    Ok(())
}
