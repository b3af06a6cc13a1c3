//! `data`: files of the bundle, while `configure` runs.

use wasmtime::Result;
use wasmtime::component::{LinkerInstance, WasmStr};

use super::Caller;
use crate::plugin::state::State;

pub(super) fn link(linker: &mut LinkerInstance<'_, State>) -> Result<()> {
    linker.func_wrap("read", |store: Caller<'_>, (name,): (WasmStr,)| {
        let name = name.to_str(&store)?;
        let state = store.data();
        let content = state.configures().then(|| state.services.data.get(&*name)).flatten();
        Ok((content.map(|data| data.content.to_vec()),))
    })?;
    linker.func_wrap("names", |store: Caller<'_>, ()| {
        let state = store.data();
        let names: Vec<String> = match state.configures() {
            true => state.services.data.keys().cloned().collect(),
            false => Vec::new(),
        };
        Ok((names,))
    })
}
