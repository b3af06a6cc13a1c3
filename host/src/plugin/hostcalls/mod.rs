//! What plugins can call: one file an interface of the contract, each function with the contract's name and types.
//!
//! During a call the store holds the exchange itself ([`State::subject`]), so these functions read and change the real thing.
//! Arguments are looked at where they lie in the plugin's memory; what is returned is copied there once.

mod annotations;
mod body;
mod cache;
mod clock;
mod counters;
mod data;
mod headers;
mod interest;
mod kv;
mod log;
mod metrics;
mod random;
mod reply;
mod request;
mod response;
mod tables;

use wasmtime::component::{Linker, LinkerInstance};
use wasmtime::{Engine, Result, StoreContextMut};

use super::contract::{EditError, interface};
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
    link("cache", cache::link)?;
    link("data", data::link)?;
    link("interest", interest::link)?;
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

/// The handle of an entry, by its name in the manifest; what [`opened`] takes.
fn open<T>(entries: &[T], named: impl Fn(&T) -> bool) -> Option<u32> {
    u32::try_from(entries.iter().position(named)?).ok()
}

/// The entry of a handle that the plugin got from `open`.
fn opened<'a, T>(entries: &'a [T], handle: u32, what: &str) -> Result<&'a T> {
    let entry = usize::try_from(handle).ok().and_then(|index| entries.get(index));
    entry.ok_or_else(|| Denied(format!("{what} {handle} was never opened")).into())
}
