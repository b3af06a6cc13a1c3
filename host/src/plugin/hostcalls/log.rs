//! `log`: lines under the plugin's name.

use wasmtime::Result;
use wasmtime::component::{LinkerInstance, WasmStr};
use weir_sdk::contract::cut;

use super::Caller;
use crate::plugin::contract::Level;
use crate::plugin::state::State;

/// Bytes of a message that are kept.
const MESSAGE_BYTES: usize = 4096;

pub(super) fn link(linker: &mut LinkerInstance<'_, State>) -> Result<()> {
    linker.func_wrap("write", |store: Caller<'_>, (level, message): (Level, WasmStr)| {
        let state = store.data();
        if !state.services.log.admit() {
            return Ok(());
        }
        let message = message.to_str(&store)?;
        let message = cut(&message, MESSAGE_BYTES);
        let (plugin, request) = (&*state.services.name, state.subject.id);
        match level {
            Level::Debug => tracing::debug!(target: "weir::plugin", plugin, %request, "{message}"),
            Level::Info => tracing::info!(target: "weir::plugin", plugin, %request, "{message}"),
            Level::Warn => tracing::warn!(target: "weir::plugin", plugin, %request, "{message}"),
            Level::Error => tracing::error!(target: "weir::plugin", plugin, %request, "{message}"),
        }
        Ok(())
    })
}
