//! A transaction between two phases as bytes, so that it can go on in another instance of the plugin.
//!
//! Written are the texts and what refers to them. What is known about values (their digests, what sieves and operators said) stays
//! with the instance, which knows it from other transactions as well, or finds it out again.

use super::services::Services;
use super::texts::Room;
use super::transaction::Transaction;
use crate::compile::plan::Plan;

/// Texts of more bytes than this stay where they are: copying them twice costs more than an instance of their own.
const MOST_TEXTS: usize = 256 << 10;

/// Room for what is not text, in bytes.
const BESIDE_TEXTS: usize = 2 << 10;

/// All that the transaction holds; nothing where that is a lot.
pub(super) fn park(tx: &Transaction) -> Option<Vec<u8>> {
    if tx.texts.room() == Room::Exhausted || tx.texts.length() > MOST_TEXTS {
        return None;
    }
    let mut parked = Vec::with_capacity(tx.texts.length() + BESIDE_TEXTS);
    tx.texts.write_down(&mut parked);
    tx.tx.write_down(&mut parked);
    postcard::to_extend(tx, parked).ok()
}

/// Makes of a transaction the one that was parked.
pub(super) fn resume(plan: &Plan, services: &'static dyn Services, tx: &mut Transaction, parked: &[u8]) -> Option<()> {
    tx.clear();
    let parked = tx.texts.read_back(parked)?;
    let parked = tx.tx.read_back(&plan.names, parked)?;
    tx.texts.set_limit(plan.settings.memory_limit);
    tx.texts.set_unicode_map(plan.settings.unicode_map.as_ref());
    let before = std::mem::replace(tx, postcard::from_bytes(parked).ok()?);
    tx.texts = before.texts;
    tx.tx = before.tx;
    tx.screening = before.screening;
    tx.answers = before.answers;
    tx.scratch = before.scratch;
    tx.origins = before.origins;
    tx.expansion = before.expansion;
    tx.services = services;
    Some(())
}
