//! `setvar:tx.score=+5`: changes a value in `TX` or in a collection that is kept: `=x` sets, `=+x` adds, `=-x` subtracts, no value
//! sets 1, `!tx.name` removes. Each value that matches a rule does it once.

use super::{Draft, Scope};
use crate::compile::names::Names;
use crate::compile::plan::{Change, Effect, KeptChange, Persistent, SetVariable, Template, TxName};
use crate::compile::template;

pub(super) fn apply(value: &str, draft: &mut Draft, scope: &mut Scope<'_>) -> Result<(), String> {
    let (target, change) = match value.strip_prefix('!') {
        Some(target) => (target, Change::Remove),
        None => {
            let (target, text) = value.split_once('=').unwrap_or((value, "1"));
            (target, change(text.trim_start(), scope.names)?)
        }
    };
    let effect = match place(target, scope.names)? {
        (Place::Kept(collection), name) => Effect::Keep {
            collection,
            name,
            change: KeptChange::Set(change),
        },
        (Place::Transaction, name) => {
            let name = match name.constant() {
                Some(name) => TxName::Slot(scope.names.intern(name)),
                None => TxName::Dynamic(name),
            };
            Effect::Set(SetVariable { name, change })
        }
    };
    draft.effects.push(effect);
    Ok(())
}

/// Where a variable is.
pub(super) enum Place {
    /// In `TX`.
    Transaction,
    /// In a collection that outlives the transaction.
    Kept(Persistent),
}

/// Reads `tx.name`, `ip.name`, `tx.%{macro}`.
pub(super) fn place(target: &str, names: &mut Names) -> Result<(Place, Template), String> {
    let target = target.trim();
    let Some((collection, name)) = target.split_once(['.', ':']) else {
        return Err(format!("\"{target}\" has no collection; write tx.{target}"));
    };
    let place = match Persistent::find(collection) {
        Some(collection) => Place::Kept(collection),
        None if collection.eq_ignore_ascii_case("tx") => Place::Transaction,
        None => {
            return Err(format!(
                "\"{target}\" is not in a collection that can be changed; tx, ip, global, resource, session and user can"
            ));
        }
    };
    let name = template::compile(name, names)?;
    if name.constant() == Some(b"") {
        return Err(format!("\"{target}\" has no name after the dot"));
    }
    Ok((place, name))
}

fn change(text: &str, names: &mut Names) -> Result<Change, String> {
    Ok(match text.as_bytes().first() {
        Some(b'+') => Change::Add(template::compile(text.get(1..).unwrap_or_default(), names)?),
        Some(b'-') => Change::Subtract(template::compile(text.get(1..).unwrap_or_default(), names)?),
        _ => Change::Assign(template::compile(text, names)?),
    })
}
