//! `kv`: a bounded store with expiry.

use wasmtime::Result;
use wasmtime::component::{LinkerInstance, WasmList};

use super::Caller;
use crate::plugin::contract::Replacement;
use crate::plugin::state::State;

const MILLISECOND: u64 = 1_000_000;

pub(super) fn link(linker: &mut LinkerInstance<'_, State>) -> Result<()> {
    linker.func_wrap("get", |store: Caller<'_>, (key,): (WasmList<u8>,)| {
        let services = &store.data().services;
        Ok((services.kv.get(key.as_le_slice(&store), services.clock.monotonic()),))
    })?;
    linker.func_wrap(
        "set",
        |store: Caller<'_>, (key, value, ttl): (WasmList<u8>, WasmList<u8>, u64)| {
            let services = &store.data().services;
            let (key, value, ttl) = (
                key.as_le_slice(&store),
                value.as_le_slice(&store),
                ttl.saturating_mul(MILLISECOND),
            );
            Ok((services.kv.set(key, value, ttl, services.clock.monotonic()),))
        },
    )?;
    linker.func_wrap("replace", replace)?;
    linker.func_wrap("delete", |store: Caller<'_>, (key,): (WasmList<u8>,)| {
        store.data().services.kv.delete(key.as_le_slice(&store));
        Ok(())
    })?;
    linker.func_wrap("add", |store: Caller<'_>, (key, by, ttl): (WasmList<u8>, i64, u64)| {
        let services = &store.data().services;
        let ttl = ttl.saturating_mul(MILLISECOND);
        Ok((services
            .kv
            .add(key.as_le_slice(&store), by, ttl, services.clock.monotonic()),))
    })
}

/// Key, expected value, value, and time to live in milliseconds.
type Replace = (WasmList<u8>, Option<WasmList<u8>>, WasmList<u8>, u64);

fn replace(store: Caller<'_>, (key, expected, value, ttl): Replace) -> Result<(Replacement,)> {
    let services = &store.data().services;
    let replaced = services.kv.replace(
        key.as_le_slice(&store),
        expected.as_ref().map(|expected| expected.as_le_slice(&store)),
        value.as_le_slice(&store),
        ttl.saturating_mul(MILLISECOND),
        services.clock.monotonic(),
    );
    Ok((replaced.into(),))
}
