//! `cache`: what the shared cache does with the exchange.

use http::HeaderValue;
use wasmtime::Result;
use wasmtime::component::{LinkerInstance, WasmList};
use weir_sdk::contract;

use super::{Caller, Edited};
use crate::exchange::subject::Storing;
use crate::plugin::contract::EditError;
use crate::plugin::state::State;

pub(super) fn link(linker: &mut LinkerInstance<'_, State>) -> Result<()> {
    linker.func_wrap("bypass", |mut store: Caller<'_>, ()| {
        let state = store.data_mut();
        if !(state.request_is_open() || state.response_is_open()) {
            return Ok((Err(EditError::TooLate),));
        }
        state.subject.caching.storing = Storing::Bypassed;
        Ok((Ok(()),))
    })?;
    linker.func_wrap("set-key", set_key)?;
    linker.func_wrap("set-lifetime", |mut store: Caller<'_>, (seconds,): (u32,)| {
        let state = store.data_mut();
        if !state.response_is_open() {
            return Ok((Err(EditError::TooLate),));
        }
        state.subject.caching.lifetime = Some(seconds);
        Ok((Ok(()),))
    })?;
    linker.func_wrap("add-tag", add_tag)
}

fn set_key(mut store: Caller<'_>, (key,): (WasmList<u8>,)) -> Result<Edited> {
    if !store.data().request_is_open() {
        return Ok((Err(EditError::TooLate),));
    }
    let key = key.as_le_slice(&store);
    if let Err(error) = contract::check_target(key) {
        return Ok((Err(error.into()),));
    }
    let key = key.into();
    store.data_mut().subject.caching.key = Some(key);
    Ok((Ok(()),))
}

fn add_tag(mut store: Caller<'_>, (tag,): (WasmList<u8>,)) -> Result<Edited> {
    let state = store.data();
    if !(state.request_is_open() || state.response_is_open()) {
        return Ok((Err(EditError::TooLate),));
    }
    if state.subject.caching.tags.len() >= contract::CACHE_TAGS {
        return Ok((Err(EditError::InvalidValue),));
    }
    let tag = tag.as_le_slice(&store);
    if let Err(error) = contract::check_cache_tag(tag) {
        return Ok((Err(error.into()),));
    }
    let Ok(tag) = HeaderValue::from_bytes(tag) else {
        return Ok((Err(EditError::InvalidValue),));
    };
    store.data_mut().subject.caching.tags.push(tag);
    Ok((Ok(()),))
}
