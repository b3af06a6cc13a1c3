//! `metrics`: the plugin's own series.

use wasmtime::Result;
use wasmtime::component::{LinkerInstance, WasmStr};

use super::Caller;
use crate::plugin::state::State;

pub(super) fn link(linker: &mut LinkerInstance<'_, State>) -> Result<()> {
    linker.func_wrap("increment", |store: Caller<'_>, (name, by): (WasmStr, u64)| {
        store.data().services.metrics.increment(&name.to_str(&store)?, by);
        Ok(())
    })?;
    linker.func_wrap("set", |store: Caller<'_>, (name, value): (WasmStr, f64)| {
        store.data().services.metrics.set(&name.to_str(&store)?, value);
        Ok(())
    })
}
