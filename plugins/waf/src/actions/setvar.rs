//! `setvar:tx.score=+5`: changes a value in `TX`: `=x` sets, `=+x` adds, `=-x` subtracts, no value sets 1, `!tx.name` removes.
//! Each value that matches a rule does it once.

use super::{Draft, Scope};
use crate::compile::names::Names;
use crate::compile::plan::{Change, Effect, SetVariable, TxName};
use crate::compile::template;

pub(super) fn apply(value: &str, draft: &mut Draft, scope: &mut Scope<'_>) -> Result<(), String> {
    let (target, change) = match value.strip_prefix('!') {
        Some(target) => (target, Change::Remove),
        None => {
            let (target, text) = value.split_once('=').unwrap_or((value, "1"));
            (target, change(text.trim_start(), scope.names)?)
        }
    };
    let Some((collection, name)) = target.trim().split_once(['.', ':']) else {
        return Err(format!("\"{target}\" has no collection; write tx.{target}"));
    };
    if !collection.eq_ignore_ascii_case("tx") {
        return Err(format!(
            "\"{target}\" is not in tx; other collections are not supported yet"
        ));
    }
    let template = template::compile(name, scope.names)?;
    let name = match template.constant() {
        Some(b"") => return Err(format!("\"{target}\" has no name after the dot")),
        Some(name) => TxName::Slot(scope.names.intern(name)),
        None => TxName::Dynamic(template),
    };
    draft.effects.push(Effect::Set(SetVariable { name, change }));
    Ok(())
}

fn change(text: &str, names: &mut Names) -> Result<Change, String> {
    Ok(match text.as_bytes().first() {
        Some(b'+') => Change::Add(template::compile(text.get(1..).unwrap_or_default(), names)?),
        Some(b'-') => Change::Subtract(template::compile(text.get(1..).unwrap_or_default(), names)?),
        _ => Change::Assign(template::compile(text, names)?),
    })
}
