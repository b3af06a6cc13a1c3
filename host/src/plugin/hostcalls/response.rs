//! `response`: the response head, from `on-response` on.

use http::{HeaderMap, StatusCode};
use wasmtime::Result;
use wasmtime::component::{LinkerInstance, WasmList, WasmStr};
use weir_sdk::contract;

use super::{Caller, Change, Edited, edit, first, lines, values};
use crate::plugin::contract::EditError;
use crate::plugin::state::State;

pub(super) fn link(linker: &mut LinkerInstance<'_, State>) -> Result<()> {
    linker.func_wrap("status", |store: Caller<'_>, ()| {
        Ok((store
            .data()
            .subject
            .response
            .as_ref()
            .map_or(0, |response| response.status.as_u16()),))
    })?;
    linker.func_wrap("header", |store: Caller<'_>, (name,): (WasmStr,)| {
        let name = name.to_str(&store)?;
        Ok((received(store.data()).and_then(|headers| first(headers, &name)),))
    })?;
    linker.func_wrap("header-values", |store: Caller<'_>, (name,): (WasmStr,)| {
        let name = name.to_str(&store)?;
        Ok((received(store.data())
            .map(|headers| values(headers, &name))
            .unwrap_or_default(),))
    })?;
    linker.func_wrap("headers", |store: Caller<'_>, ()| {
        Ok((received(store.data()).map(lines).unwrap_or_default(),))
    })?;

    linker.func_wrap("set-status", |mut store: Caller<'_>, (status,): (u16,)| {
        Ok((set_status(store.data_mut(), status),)) as Result<Edited>
    })?;
    linker.func_wrap(
        "set-header",
        |mut store: Caller<'_>, (name, value): (WasmStr, WasmList<u8>)| {
            edit(&mut store, headers, &name, Change::Set(&value))
        },
    )?;
    linker.func_wrap(
        "append-header",
        |mut store: Caller<'_>, (name, value): (WasmStr, WasmList<u8>)| {
            edit(&mut store, headers, &name, Change::Append(&value))
        },
    )?;
    linker.func_wrap("remove-header", |mut store: Caller<'_>, (name,): (WasmStr,)| {
        edit(&mut store, headers, &name, Change::Remove)
    })
}

fn received(state: &State) -> Option<&HeaderMap> {
    state.subject.response.as_ref().map(|response| &response.headers)
}

/// The response's headers, while the client has seen nothing of it.
fn headers(state: &mut State) -> Option<&mut HeaderMap> {
    if !state.response_is_open() {
        return None;
    }
    state.subject.response.as_mut().map(|response| &mut response.headers)
}

fn set_status(state: &mut State, status: u16) -> std::result::Result<(), EditError> {
    if !state.response_is_open() {
        return Err(EditError::TooLate);
    }
    contract::check_status(status)?;
    let response = state.subject.response.as_mut().ok_or(EditError::TooLate)?;
    response.status = StatusCode::from_u16(status).map_err(|_| EditError::InvalidValue)?;
    Ok(())
}
