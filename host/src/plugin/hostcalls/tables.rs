//! `tables`: large read-only maps.

use wasmtime::Result;
use wasmtime::component::{LinkerInstance, WasmList, WasmStr};

use super::{Caller, open, opened};
use crate::plugin::contract::IpAddress;
use crate::plugin::shared::tables::Table;
use crate::plugin::state::State;

pub(super) fn link(linker: &mut LinkerInstance<'_, State>) -> Result<()> {
    linker.func_wrap("open", |store: Caller<'_>, (name,): (WasmStr,)| {
        let name = name.to_str(&store)?;
        Ok((open(&store.data().services.tables, |table| table.name == *name),))
    })?;
    linker.func_wrap("size", |mut store: Caller<'_>, (handle,): (u32,)| {
        Ok((table(&mut store, handle)?.size(),))
    })?;
    linker.func_wrap("lookup", |mut store: Caller<'_>, (handle, key): (u32, WasmList<u8>)| {
        store.data_mut().read_tables = true;
        let table = opened(&store.data().services.tables, handle, "table")?;
        Ok((table.table.lookup(key.as_le_slice(&store)).map(<[u8]>::to_vec),))
    })?;
    linker.func_wrap(
        "longest-prefix",
        |mut store: Caller<'_>, (handle, key): (u32, WasmList<u8>)| {
            store.data_mut().read_tables = true;
            let table = opened(&store.data().services.tables, handle, "table")?;
            let found = table.table.longest_prefix(key.as_le_slice(&store));
            Ok((found.map(|(length, value)| (u32::try_from(length).unwrap_or(u32::MAX), value.to_vec())),))
        },
    )?;
    linker.func_wrap(
        "lookup-ip",
        |mut store: Caller<'_>, (handle, address): (u32, IpAddress)| {
            Ok((table(&mut store, handle)?.lookup_ip(address.into()).map(<[u8]>::to_vec),))
        },
    )
}

fn table<'a>(store: &'a mut Caller<'_>, handle: u32) -> Result<&'a Table> {
    store.data_mut().read_tables = true;
    Ok(&opened(&store.data().services.tables, handle, "table")?.table)
}
