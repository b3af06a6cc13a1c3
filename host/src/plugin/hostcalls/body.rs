//! `body`: how much of a body the plugin wants to see.

use wasmtime::Result;
use wasmtime::component::LinkerInstance;

use super::Caller;
use crate::plugin::state::State;

pub(super) fn link(linker: &mut LinkerInstance<'_, State>) -> Result<()> {
    linker.func_wrap("hold", |mut store: Caller<'_>, (limit,): (u64,)| {
        store.data_mut().hold = Some(limit);
        Ok(())
    })
}
