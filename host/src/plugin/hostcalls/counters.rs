//! `counters`: shared rate limits.

use smallvec::SmallVec;
use wasmtime::Result;
use wasmtime::component::{LinkerInstance, WasmStr};

use super::{Caller, open, opened};
use crate::plugin::contract::{Limit, Outcome};
use crate::plugin::shared::counters::{self, Take};
use crate::plugin::state::State;

pub(super) fn link(linker: &mut LinkerInstance<'_, State>) -> Result<()> {
    linker.func_wrap("open", |store: Caller<'_>, (name,): (WasmStr,)| {
        let name = name.to_str(&store)?;
        Ok((open(&store.data().services.spaces, |space| space.name == *name),))
    })?;
    linker.func_wrap("take", |store: Caller<'_>, (limits,): (Vec<Limit>,)| {
        Ok((take(&store, &limits)?,))
    })
}

fn take(store: &Caller<'_>, limits: &[Limit]) -> Result<Vec<Outcome>> {
    let services = &store.data().services;
    let mut takes: SmallVec<[Take<'_>; 4]> = SmallVec::with_capacity(limits.len());
    for Limit {
        space,
        key,
        interval,
        burst,
        cost,
    } in limits
    {
        takes.push(Take {
            space: &opened(&services.spaces, *space, "counter space")?.space,
            key: key.as_le_slice(store),
            interval: *interval,
            burst: *burst,
            cost: *cost,
        });
    }
    let outcome = |outcome: counters::Outcome| {
        let counters::Outcome {
            allowed,
            remaining,
            reset_after,
            retry_after,
        } = outcome;
        Outcome {
            allowed,
            remaining,
            reset_after,
            retry_after,
        }
    };
    Ok(counters::take(&takes, services.clock.monotonic())
        .into_iter()
        .map(outcome)
        .collect())
}
