//! `interest`: what a plugin has something to say about.

use wasmtime::Result;
use wasmtime::component::LinkerInstance;

use super::{Caller, opened};
use crate::plugin::contract::Condition;
use crate::plugin::failure::Denied;
use crate::plugin::interest::Interest;
use crate::plugin::shared::tables::Table;
use crate::plugin::state::State;

pub(super) fn link(linker: &mut LinkerInstance<'_, State>) -> Result<()> {
    linker.func_wrap("only", |mut store: Caller<'_>, (any_of,): (Vec<Condition>,)| {
        let state = store.data_mut();
        if !state.configures() {
            return Err(
                Denied("only `configure` can say what a plugin takes part in (`interest.only`)".to_owned()).into(),
            );
        }
        for condition in &any_of {
            check(state, condition)?;
        }
        state.interest = Interest::only(&any_of);
        Ok(())
    })
}

/// A table that can never hold the key is a mistake of the plugin's, and would leave it out of everything.
fn check(state: &State, condition: &Condition) -> Result<()> {
    let table = |handle: u32| Ok::<_, wasmtime::Error>(&opened(&state.services.tables, handle, "table")?.table);
    let wrong = |kind: &str| Denied(format!("a condition of `interest.only` needs a table of kind `{kind}`"));
    match *condition {
        Condition::ClientInTable(handle) if !matches!(**table(handle)?, Table::Ip(_)) => Err(wrong("ip").into()),
        Condition::PathInTable(handle) | Condition::HostAndPathInTable(handle)
            if matches!(**table(handle)?, Table::Ip(_)) =>
        {
            Err(wrong("exact").into())
        }
        _ => Ok(()),
    }
}
