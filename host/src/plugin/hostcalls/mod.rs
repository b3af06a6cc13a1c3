//! What plugins can call: one file an interface of the contract, each function with the contract's name and types.
//!
//! During a call the store holds the exchange itself ([`State::subject`]), so these functions read and change the real thing.
//! Arguments are looked at where they lie in the plugin's memory; what is returned is copied there once.

mod annotations;
mod body;
mod clock;
mod counters;
mod data;
mod kv;
mod log;
mod metrics;
mod random;
mod reply;
mod request;
mod response;
mod tables;

use http::{HeaderMap, HeaderName, HeaderValue};
use wasmtime::component::{Linker, LinkerInstance, WasmList, WasmStr};
use wasmtime::{Engine, Result, StoreContextMut};
use weir_sdk::contract;

use super::contract::{EditError, HeaderLine, interface};
use super::failure::Denied;
use super::state::State;
use crate::bundle::{Capabilities, Capability};

/// The services of one plugin: those that every plugin has, and those that it was granted.
pub(super) fn linker(engine: &Engine, granted: &Capabilities) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    let mut link = |name: &str, functions: fn(&mut LinkerInstance<'_, State>) -> Result<()>| {
        functions(&mut linker.instance(&interface(name))?)
    };
    // Types alone: it has no functions.
    link("types", |_| Ok(()))?;
    link("request", request::link)?;
    link("response", response::link)?;
    link("body", body::link)?;
    link("reply", reply::link)?;
    link("log", log::link)?;
    link("annotations", annotations::link)?;
    link("data", data::link)?;
    for capability in Capability::ALL
        .into_iter()
        .filter(|capability| granted.has(*capability))
    {
        let functions = match capability {
            Capability::Clock => clock::link,
            Capability::Random => random::link,
            Capability::Metrics => metrics::link,
            Capability::Counters => counters::link,
            Capability::Tables => tables::link,
            Capability::Kv => kv::link,
        };
        link(capability.as_str(), functions)?;
    }
    Ok(linker)
}

type Caller<'a> = StoreContextMut<'a, State>;
type Edited = (std::result::Result<(), EditError>,);

/// The first value of a header.
fn first(headers: &HeaderMap, name: &str) -> Option<Vec<u8>> {
    headers.get(name).map(|value| value.as_bytes().to_vec())
}

/// All values of a header.
fn values(headers: &HeaderMap, name: &str) -> Vec<Vec<u8>> {
    headers
        .get_all(name)
        .iter()
        .map(|value| value.as_bytes().to_vec())
        .collect()
}

/// All headers.
fn lines(headers: &HeaderMap) -> Vec<HeaderLine> {
    let line = |(name, value): (&HeaderName, &HeaderValue)| HeaderLine {
        name: name.as_str().to_owned(),
        value: value.as_bytes().to_vec(),
    };
    headers.iter().map(line).collect()
}

/// A header that a plugin may write.
fn header(store: &Caller<'_>, name: &WasmStr, value: &WasmList<u8>) -> Result<std::result::Result<Header, EditError>> {
    let name = name.to_str(store)?;
    let value = value.as_le_slice(store);
    if let Err(error) = contract::check_header(&name, value) {
        return Ok(Err(error.into()));
    }
    let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
        return Ok(Err(EditError::InvalidName));
    };
    let Ok(value) = HeaderValue::from_bytes(value) else {
        return Ok(Err(EditError::InvalidValue));
    };
    Ok(Ok((name, value)))
}

type Header = (HeaderName, HeaderValue);

/// Sets, appends or removes, in headers that can be changed in this phase.
fn edit(
    store: &mut Caller<'_>,
    headers: fn(&mut State) -> Option<&mut HeaderMap>,
    name: &WasmStr,
    change: Change<'_>,
) -> Result<Edited> {
    if headers(store.data_mut()).is_none() {
        return Ok((Err(EditError::TooLate),));
    }
    let change = match change {
        Change::Remove => {
            let name = name.to_str(&*store)?;
            if let Err(error) = contract::check_name(&name) {
                return Ok((Err(error.into()),));
            }
            let name = name.into_owned();
            if let Some(headers) = headers(store.data_mut()) {
                headers.remove(name);
            }
            return Ok((Ok(()),));
        }
        Change::Set(value) => (
            header(store, name, value)?,
            HeaderMap::insert as fn(&mut HeaderMap, _, _) -> _,
        ),
        Change::Append(value) => {
            let append = |headers: &mut HeaderMap, name: HeaderName, value| {
                headers.append(name, value);
                None
            };
            (header(store, name, value)?, append as fn(&mut HeaderMap, _, _) -> _)
        }
    };
    match change {
        (Ok((name, value)), write) => {
            if let Some(headers) = headers(store.data_mut()) {
                write(headers, name, value);
            }
            Ok((Ok(()),))
        }
        (Err(error), _) => Ok((Err(error),)),
    }
}

enum Change<'a> {
    Set(&'a WasmList<u8>),
    Append(&'a WasmList<u8>),
    Remove,
}

/// The entry of a handle that the plugin got from `open`.
fn opened<'a, T>(entries: &'a [T], handle: u32, what: &str) -> Result<&'a T> {
    let entry = usize::try_from(handle).ok().and_then(|index| entries.get(index));
    entry.ok_or_else(|| Denied(format!("{what} {handle} was never opened")).into())
}
