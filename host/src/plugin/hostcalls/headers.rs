//! Reading and changing headers: the functions that `request` and `response` have in common.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use wasmtime::Result;
use wasmtime::component::{LinkerInstance, WasmList, WasmStr};
use weir_sdk::contract;

use super::{Caller, Edited};
use crate::http1::salvage::Salvaged;
use crate::plugin::contract::{EditError, HeaderLine};
use crate::plugin::state::State;

/// A message that has headers.
pub(super) trait Message: 'static {
    /// Its headers; `None` while there is no such message.
    fn headers(state: &State) -> Option<&HeaderMap>;
    /// Its headers, in the phases in which they can be changed.
    fn headers_mut(state: &mut State) -> Option<&mut HeaderMap>;
    /// The words of a head that Weir refuses, which stand for the headers.
    fn salvaged(_state: &State) -> Option<&Salvaged> {
        None
    }
}

pub(super) fn link<M: Message>(linker: &mut LinkerInstance<'_, State>) -> Result<()> {
    linker.func_wrap("header", |store: Caller<'_>, (name,): (WasmStr,)| {
        let name = name.to_str(&store)?;
        let state = store.data();
        let value = match M::salvaged(state) {
            Some(head) => head.values(name.as_bytes()).next().map(<[u8]>::to_vec),
            None => M::headers(state).and_then(|headers| headers.get(&*name)).map(bytes),
        };
        Ok((value,))
    })?;
    linker.func_wrap("header-values", |store: Caller<'_>, (name,): (WasmStr,)| {
        let name = name.to_str(&store)?;
        let values = |headers: &HeaderMap| headers.get_all(&*name).iter().map(bytes).collect::<Vec<_>>();
        let state = store.data();
        let values = match M::salvaged(state) {
            Some(head) => head.values(name.as_bytes()).map(<[u8]>::to_vec).collect(),
            None => M::headers(state).map(values).unwrap_or_default(),
        };
        Ok((values,))
    })?;
    linker.func_wrap("headers", |store: Caller<'_>, ()| {
        let lines = |headers: &HeaderMap| headers.iter().map(line).collect::<Vec<_>>();
        let state = store.data();
        let lines = match M::salvaged(state) {
            Some(head) => head.fields.iter().map(word).collect(),
            None => M::headers(state).map(lines).unwrap_or_default(),
        };
        Ok((lines,))
    })?;

    linker.func_wrap(
        "set-header",
        |mut store: Caller<'_>, (name, value): (WasmStr, WasmList<u8>)| {
            let checked = |store: &Caller<'_>| header(store, &name, &value);
            edit::<M, _>(&mut store, checked, |headers, (name, value)| {
                headers.insert(name, value);
            })
        },
    )?;
    linker.func_wrap(
        "append-header",
        |mut store: Caller<'_>, (name, value): (WasmStr, WasmList<u8>)| {
            let checked = |store: &Caller<'_>| header(store, &name, &value);
            edit::<M, _>(&mut store, checked, |headers, (name, value)| {
                headers.append(name, value);
            })
        },
    )?;
    linker.func_wrap("remove-header", |mut store: Caller<'_>, (name,): (WasmStr,)| {
        let checked = |store: &Caller<'_>| header_name(store, &name);
        edit::<M, _>(&mut store, checked, |headers, name| {
            headers.remove(name);
        })
    })
}

/// Changes headers, in the phases in which they can be changed, by something that a plugin may write.
fn edit<M: Message, T>(
    store: &mut Caller<'_>,
    checked: impl FnOnce(&Caller<'_>) -> Result<Checked<T>>,
    change: impl FnOnce(&mut HeaderMap, T),
) -> Result<Edited> {
    if M::headers_mut(store.data_mut()).is_none() {
        return Ok((Err(EditError::TooLate),));
    }
    let written = checked(store)?;
    let headers = M::headers_mut(store.data_mut()).ok_or(EditError::TooLate);
    Ok((written.and_then(|written| headers.map(|headers| change(headers, written))),))
}

type Checked<T> = std::result::Result<T, EditError>;

/// A header that a plugin may write.
fn header(store: &Caller<'_>, name: &WasmStr, value: &WasmList<u8>) -> Result<Checked<(HeaderName, HeaderValue)>> {
    let name = name.to_str(store)?;
    let value = value.as_le_slice(store);
    let checked = || -> Checked<_> {
        contract::check_header(&name, value)?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| EditError::InvalidName)?;
        let value = HeaderValue::from_bytes(value).map_err(|_| EditError::InvalidValue)?;
        Ok((name, value))
    };
    Ok(checked())
}

/// The name of a header that a plugin may remove.
fn header_name(store: &Caller<'_>, name: &WasmStr) -> Result<Checked<HeaderName>> {
    let name = name.to_str(store)?;
    let checked = || -> Checked<_> {
        contract::check_name(&name)?;
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| EditError::InvalidName)
    };
    Ok(checked())
}

fn line((name, value): (&HeaderName, &HeaderValue)) -> HeaderLine {
    HeaderLine {
        name: name.as_str().to_owned(),
        value: bytes(value),
    }
}

/// A name is text, whatever was in its place.
fn word((name, value): &(Bytes, Bytes)) -> HeaderLine {
    HeaderLine {
        name: String::from_utf8_lossy(name).into_owned(),
        value: value.to_vec(),
    }
}

fn bytes(value: &HeaderValue) -> Vec<u8> {
    value.as_bytes().to_vec()
}
