//! `random`: from the generator that TLS uses, which the operating system seeds.

use wasmtime::component::LinkerInstance;
use wasmtime::{Result, format_err};

use super::Caller;
use crate::plugin::state::State;

pub(super) fn link(linker: &mut LinkerInstance<'_, State>) -> Result<()> {
    let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    linker.func_wrap("next", move |_: Caller<'_>, ()| {
        let mut bytes = [0; 8];
        random
            .fill(&mut bytes)
            .map_err(|_| format_err!("there are no random numbers"))?;
        Ok((u64::from_le_bytes(bytes),))
    })
}
