//! `annotations`: what the access log shows under the plugin's name, and lines beside it.

use wasmtime::Result;
use wasmtime::component::{LinkerInstance, WasmStr};
use weir_sdk::contract::{EVENT_BYTES, EVENTS, NOTE_KEY_BYTES, NOTE_VALUE_BYTES, cut};

use super::Caller;
use crate::exchange::subject::Note;
use crate::plugin::state::State;

/// Notes that an exchange keeps, of all its plugins.
const NOTES: usize = 64;

pub(super) fn link(linker: &mut LinkerInstance<'_, State>) -> Result<()> {
    linker.func_wrap("note", |mut store: Caller<'_>, (key, value): (WasmStr, WasmStr)| {
        if store.data().subject.notes.len() >= NOTES {
            return Ok(());
        }
        let key = cut(&key.to_str(&store)?, NOTE_KEY_BYTES).to_owned();
        let value = cut(&value.to_str(&store)?, NOTE_VALUE_BYTES).to_owned();
        let state = store.data_mut();
        let plugin = state.services.name.clone();
        state.subject.notes.push(Note { plugin, key, value });
        Ok(())
    })?;
    linker.func_wrap("event", |mut store: Caller<'_>, (line,): (WasmStr,)| {
        if store.data().subject.events.len() >= EVENTS {
            return Ok(());
        }
        let line = line.to_str(&store)?;
        if line.len() <= EVENT_BYTES {
            let line = line.replace(|c: char| c.is_ascii_control(), " ");
            store.data_mut().subject.events.push(line);
        }
        Ok(())
    })
}
