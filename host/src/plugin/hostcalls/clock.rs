//! `clock`: the time.

use wasmtime::Result;
use wasmtime::component::LinkerInstance;

use super::Caller;
use crate::plugin::state::State;

pub(super) fn link(linker: &mut LinkerInstance<'_, State>) -> Result<()> {
    linker.func_wrap("now", |store: Caller<'_>, ()| Ok((store.data().services.clock.now(),)))?;
    linker.func_wrap("monotonic", |store: Caller<'_>, ()| {
        Ok((store.data().services.clock.monotonic(),))
    })
}
