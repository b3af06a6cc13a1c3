//! Collections that outlive a transaction (`IP`, `GLOBAL`, `RESOURCE`, `SESSION`, `USER`): opened by `initcol`, changed by
//! `setvar`, `expirevar` and `deprecatevar`, and written back when the transaction is over.
//!
//! A collection is one entry of the store. It is read when a rule first asks for it, which for most requests is never.
//! Transactions that run at the same time change copies of their own; what each has added to a number is added to what is there
//! when it is written back, and whoever finds that another one was quicker does it again.

mod form;
#[cfg(test)]
pub(super) mod world;

use std::time::Duration;

use form::{Form, Item};
use serde::{Deserialize, Serialize};
use weir_sdk::kv::Replaced;

use super::services::Services;
use super::texts::{TextId, Texts};
use super::tx::Value;
use crate::bytes::leading_number;
use crate::compile::plan::Persistent;

/// The values of one collection; more are not taken. So one entry of the store stays under its limit of 64 KiB.
const MOST_VALUES: usize = 128;
/// The longest value, in bytes; the rest is cut off.
const MOST_BYTES: usize = 256;
/// The longest name, in bytes; a longer one is not taken.
const MOST_NAME: usize = 128;
/// The names of what is known of a collection itself.
const OF_ITSELF: [&[u8]; 7] = [
    b"create_time",
    b"is_new",
    b"key",
    b"last_update_time",
    b"timeout",
    b"update_counter",
    b"update_rate",
];

/// How often a collection is written back before others may have it. Whoever fails has let another one succeed, so as many tries
/// are only used up where more workers than this write the same collection at once.
const MOST_TRIES: u32 = 64;
/// The longest key, in bytes; a longer one is cut off.
const MOST_KEY: usize = 512;

/// The collections that one transaction has opened.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    open: Vec<Opened>,
    read: Vec<Collection>,
}

/// A collection that is open.
#[derive(Debug, Serialize, Deserialize)]
struct Opened {
    collection: Persistent,
    /// Under which the store has it.
    #[serde(with = "serde_bytes")]
    entry: Vec<u8>,
    /// As the rule says it.
    key: TextId,
}

/// A collection that was read.
#[derive(Debug, Serialize, Deserialize)]
struct Collection {
    opened: Opened,
    /// What came from the store, where it knew the collection: no value in it is past its end.
    form: Option<Form>,
    variables: Vec<Variable>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Variable {
    name: Box<[u8]>,
    value: Value,
    change: Change,
    /// When it ends, in seconds since 1970; changed by `expirevar`.
    end: Option<u64>,
}

/// What this transaction has done to a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Change {
    Nothing,
    Set,
    Added(i64),
}

impl Kept {
    /// Opens a collection, unless it is open.
    pub(super) fn open(&mut self, collection: Persistent, application: &str, key: &[u8], texts: &mut Texts) {
        if self.key(collection).is_some() {
            return;
        }
        let key = key.get(..MOST_KEY).unwrap_or(key);
        self.open.push(Opened {
            collection,
            entry: entry(collection, application, key),
            key: texts.push(key),
        });
    }

    /// Reads a collection that is open and was not read yet. To be called before anything below.
    pub(super) fn read(&mut self, collection: Persistent, services: &dyn Services, texts: &mut Texts) {
        if self.get(collection).is_some() {
            return;
        }
        let mut open = self.open.iter_mut();
        let Some(opened) = open.find(|opened| opened.collection == collection) else {
            return;
        };
        let opened = Opened {
            entry: std::mem::take(&mut opened.entry),
            ..*opened
        };
        let there = services.load(&opened.entry);
        let form = there.and_then(|bytes| Form::read(&bytes, services.now().as_secs()));
        let items = form.as_ref().map(|form| form.items.as_slice()).unwrap_or_default();
        let variables = items
            .iter()
            .map(|item| Variable {
                name: item.name.clone(),
                value: value_of(&item.value, texts),
                change: Change::Nothing,
                end: item.end,
            })
            .collect();
        self.read.push(Collection {
            opened,
            form,
            variables,
        });
    }

    /// The key under which a collection is open.
    pub(super) fn key(&self, collection: Persistent) -> Option<TextId> {
        let mut open = self.open.iter();
        open.find(|opened| opened.collection == collection)
            .map(|opened| opened.key)
    }

    /// The names and values of a collection; nothing where it is not open.
    pub(super) fn values(
        &self,
        collection: Persistent,
        timeout: Duration,
        services: &dyn Services,
    ) -> Vec<(Vec<u8>, Value)> {
        let Some(known) = self.get(collection) else {
            return Vec::new();
        };
        let of_itself = OF_ITSELF
            .iter()
            .filter_map(|name| Some((*name, known.of_itself(name, timeout, services)?)));
        of_itself
            .chain(known.set().map(|variable| (&*variable.name, variable.value)))
            .map(|(name, value)| (name.to_vec(), value))
            .collect()
    }

    /// The value of this name, compared without case; nothing where the collection is not open.
    pub(super) fn value(
        &self,
        collection: Persistent,
        name: &[u8],
        timeout: Duration,
        services: &dyn Services,
    ) -> Option<Value> {
        let known = self.get(collection)?;
        let named = OF_ITSELF.iter().find(|of_itself| of_itself.eq_ignore_ascii_case(name));
        match named {
            Some(name) => known.of_itself(name, timeout, services),
            None => {
                let mut set = known.set();
                set.find(|variable| variable.name.eq_ignore_ascii_case(name))
                    .map(|variable| variable.value)
            }
        }
    }

    /// Sets a variable, or removes it. Nothing happens where the collection is not open.
    pub(super) fn set(&mut self, collection: Persistent, name: &[u8], value: Value) {
        if let Some(variable) = self.variable(collection, name) {
            variable.value = value;
            variable.change = Change::Set;
            variable.end = None;
        }
    }

    /// Adds to a variable, which is 0 where it is not set.
    pub(super) fn add(&mut self, collection: Persistent, name: &[u8], by: i64, texts: &Texts) {
        if let Some(variable) = self.variable(collection, name) {
            let before = number_of(variable.value, texts);
            variable.value = Value::Number(before.saturating_add(by));
            variable.change = match variable.change {
                Change::Nothing => Change::Added(by),
                Change::Added(sum) => Change::Added(sum.saturating_add(by)),
                Change::Set => Change::Set,
            };
        }
    }

    /// Says when a variable ends. One that is not set does not get an end.
    pub(super) fn expire(&mut self, collection: Persistent, name: &[u8], after: Duration, services: &dyn Services) {
        let end = services.now().saturating_add(after).as_secs();
        if let Some(variable) = self.known(collection, name) {
            variable.end = Some(end);
            if variable.change == Change::Nothing {
                variable.change = Change::Added(0);
            }
        }
    }

    /// Takes `amount` from a number for every `period` that has passed since the collection was written; not below zero.
    pub(super) fn deprecate(
        &mut self,
        collection: Persistent,
        name: &[u8],
        amount: i64,
        period: Duration,
        services: &dyn Services,
        texts: &Texts,
    ) {
        let form = self.get(collection).and_then(|known| known.form.as_ref());
        let Some(updated) = form.map(|form| form.updated) else {
            return;
        };
        let passed = services.now().as_secs().saturating_sub(updated) / period.as_secs().max(1);
        let Some(before) = self
            .known(collection, name)
            .map(|variable| number_of(variable.value, texts))
        else {
            return;
        };
        let less = amount.saturating_mul(i64::try_from(passed).unwrap_or(i64::MAX));
        let less = less.min(before).max(0);
        if less > 0 {
            self.add(collection, name, -less, texts);
        }
    }

    /// Writes back what has changed.
    pub(super) fn write_back(&mut self, timeout: Duration, services: &dyn Services, texts: &Texts) {
        self.open.clear();
        for known in std::mem::take(&mut self.read) {
            if known
                .variables
                .iter()
                .all(|variable| variable.change == Change::Nothing)
            {
                continue;
            }
            for _ in 0..MOST_TRIES {
                if known.write(timeout, services, texts) != Replaced::Changed {
                    break;
                }
            }
        }
    }

    fn get(&self, collection: Persistent) -> Option<&Collection> {
        self.read.iter().find(|known| known.opened.collection == collection)
    }

    fn get_mut(&mut self, collection: Persistent) -> Option<&mut Collection> {
        self.read.iter_mut().find(|known| known.opened.collection == collection)
    }

    fn known(&mut self, collection: Persistent, name: &[u8]) -> Option<&mut Variable> {
        let named = |variable: &&mut Variable| *variable.name == *name && variable.value != Value::Unset;
        self.get_mut(collection)?.variables.iter_mut().find(named)
    }

    /// The variable of that name, in small letters; made where there is none and room for it.
    fn variable(&mut self, collection: Persistent, name: &[u8]) -> Option<&mut Variable> {
        let variables = &mut self.get_mut(collection)?.variables;
        let at = variables.iter().position(|variable| *variable.name == *name);
        let at = match at {
            Some(at) => at,
            None if variables.len() < MOST_VALUES && name.len() <= MOST_NAME => {
                variables.push(Variable {
                    name: name.into(),
                    value: Value::Unset,
                    change: Change::Nothing,
                    end: None,
                });
                variables.len() - 1
            }
            None => return None,
        };
        variables.get_mut(at)
    }
}

impl Collection {
    /// Writes what has changed over what is there now.
    fn write(&self, timeout: Duration, services: &dyn Services, texts: &Texts) -> Replaced {
        let now = services.now().as_secs();
        let there = services.load(&self.opened.entry);
        let known = there.as_ref().and_then(|bytes| Form::read(bytes, now));
        let mut form = known.unwrap_or(Form {
            created: self.form.as_ref().map_or(now, |form| form.created),
            updated: now,
            updates: self.form.as_ref().map_or(0, |form| form.updates),
            items: Vec::new(),
        });
        for variable in &self.variables {
            if variable.change != Change::Nothing {
                merge(&mut form.items, variable, texts);
            }
        }
        form.updated = now;
        form.updates += 1;
        services.replace(&self.opened.entry, there.as_deref(), &form.write(), timeout)
    }

    /// What is set in it.
    fn set(&self) -> impl Iterator<Item = &Variable> {
        self.variables.iter().filter(|variable| variable.value != Value::Unset)
    }

    /// What is known of the collection itself: one of [`OF_ITSELF`]. A new one is as old as the question.
    fn of_itself(&self, name: &[u8], timeout: Duration, services: &dyn Services) -> Option<Value> {
        let now = || services.now().as_secs();
        let form = self.form.as_ref();
        let number = match name {
            b"create_time" => form.map_or_else(now, |form| form.created),
            b"is_new" => u64::from(form.is_none()),
            b"key" => return Some(Value::Text(self.opened.key)),
            b"last_update_time" => form.map_or_else(now, |form| form.updated),
            b"timeout" => timeout.as_secs(),
            b"update_counter" => form.map_or(0, |form| form.updates),
            b"update_rate" => form.map_or(0, |form| {
                form.updates / (form.updated.saturating_sub(form.created) / 60).max(1)
            }),
            _ => return None,
        };
        Some(Value::Number(i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

/// Sessions and users belong to an application.
fn entry(collection: Persistent, application: &str, key: &[u8]) -> Vec<u8> {
    let mut entry = collection.name().as_bytes().to_vec();
    entry.push(0);
    if matches!(collection, Persistent::Session | Persistent::User) {
        entry.extend_from_slice(application.as_bytes());
        entry.push(0);
    }
    entry.extend_from_slice(key);
    entry
}

fn merge(items: &mut Vec<Item>, variable: &Variable, texts: &Texts) {
    let at = items.iter().position(|item| item.name == variable.name);
    let there = at.map(|at| items.swap_remove(at));
    let value = match (variable.change, variable.value) {
        (_, Value::Unset) => return,
        (Change::Added(by), Value::Number(_)) => {
            let before = there.as_ref().map_or(0, |item| leading_number(&item.value));
            before.saturating_add(by).to_string().into_bytes()
        }
        (_, Value::Number(number)) => number.to_string().into_bytes(),
        (_, Value::Text(text)) => {
            let text = texts.get(text);
            text.get(..MOST_BYTES).unwrap_or(text).to_vec()
        }
    };
    if items.len() < MOST_VALUES {
        items.push(Item {
            name: variable.name.clone(),
            value,
            end: variable.end,
        });
    }
}

fn value_of(text: &[u8], texts: &mut Texts) -> Value {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok());
    match number {
        Some(number) if number.to_string().as_bytes() == text => Value::Number(number),
        _ => Value::Text(texts.push(text)),
    }
}

fn number_of(value: Value, texts: &Texts) -> i64 {
    match value {
        Value::Unset => 0,
        Value::Number(number) => number,
        Value::Text(text) => leading_number(texts.get(text)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::world::World;
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn opened(world: &World, texts: &mut Texts) -> Kept {
        let mut kept = Kept::default();
        kept.open(Persistent::Ip, "default", b"192.0.2.1", texts);
        kept.read(Persistent::Ip, world, texts);
        kept
    }

    fn value(kept: &Kept, name: &str) -> Option<Value> {
        let world = World::default();
        let value = kept.value(Persistent::Ip, name.as_bytes(), HOUR, &world);
        let values = kept.values(Persistent::Ip, HOUR, &world);
        let listed = values.into_iter().find(|(known, _)| known == name.as_bytes());
        assert_eq!(value, listed.map(|(_, value)| value), "{name}");
        value
    }

    #[test]
    fn counts_of_transactions_that_overlap_add_up() {
        let (world, mut texts) = (World::default(), Texts::default());
        let mut first = opened(&world, &mut texts);
        let mut second = opened(&world, &mut texts);
        first.add(Persistent::Ip, b"count", 2, &texts);
        second.add(Persistent::Ip, b"count", 3, &texts);
        assert_eq!(value(&second, "count"), Some(Value::Number(3)));
        first.write_back(HOUR, &world, &texts);
        second.write_back(HOUR, &world, &texts);
        let third = opened(&world, &mut texts);
        assert_eq!(value(&third, "count"), Some(Value::Number(5)));
        assert_eq!(value(&third, "is_new"), Some(Value::Number(0)));
        assert_eq!(value(&third, "update_counter"), Some(Value::Number(2)));
    }

    #[test]
    fn what_others_write_in_the_middle_of_writing_back_is_not_lost() {
        let (world, mut texts) = (World::default(), Texts::default());
        let mut others = Vec::new();
        for count in [7, 9] {
            let elsewhere = World::default();
            let mut other = opened(&elsewhere, &mut texts);
            other.add(Persistent::Ip, b"count", count, &texts);
            other.write_back(HOUR, &elsewhere, &texts);
            others.extend(elsewhere.entries.lock().unwrap().drain().map(|(_, value)| value));
        }
        let mut kept = opened(&world, &mut texts);
        kept.add(Persistent::Ip, b"count", 2, &texts);
        *world.meanwhile.lock().unwrap() = others;
        kept.write_back(HOUR, &world, &texts);
        assert_eq!(value(&opened(&world, &mut texts), "count"), Some(Value::Number(9)));
    }

    #[test]
    fn variables_end_when_they_are_told_to() {
        let (world, mut texts) = (World::default(), Texts::default());
        let mut kept = opened(&world, &mut texts);
        let text = texts.push(b"scanner");
        kept.set(Persistent::Ip, b"why", Value::Text(text));
        kept.expire(Persistent::Ip, b"why", Duration::from_secs(60), &world);
        kept.expire(Persistent::Ip, b"unset", Duration::from_secs(60), &world);
        kept.write_back(HOUR, &world, &texts);
        *world.now.lock().unwrap() = 59;
        assert!(value(&opened(&world, &mut texts), "why").is_some());
        assert_eq!(value(&opened(&world, &mut texts), "unset"), None);
        *world.now.lock().unwrap() = 60;
        assert_eq!(value(&opened(&world, &mut texts), "why"), None);
    }

    #[test]
    fn numbers_fall_with_time() {
        let (world, mut texts) = (World::default(), Texts::default());
        let mut kept = opened(&world, &mut texts);
        kept.add(Persistent::Ip, b"score", 100, &texts);
        kept.write_back(HOUR, &world, &texts);
        *world.now.lock().unwrap() = 125;
        let mut kept = opened(&world, &mut texts);
        kept.deprecate(Persistent::Ip, b"score", 20, Duration::from_secs(60), &world, &texts);
        assert_eq!(value(&kept, "score"), Some(Value::Number(60)));
        *world.now.lock().unwrap() = 100_000;
        kept.deprecate(Persistent::Ip, b"score", 20, Duration::from_secs(60), &world, &texts);
        assert_eq!(value(&kept, "score"), Some(Value::Number(0)));
    }

    #[test]
    fn nothing_happens_to_a_collection_that_is_not_open() {
        let (world, mut texts) = (World::default(), Texts::default());
        let mut kept = opened(&world, &mut texts);
        kept.set(Persistent::Global, b"x", Value::Number(1));
        kept.write_back(HOUR, &world, &texts);
        assert!(kept.values(Persistent::Global, HOUR, &world).is_empty());
        assert!(world.entries.lock().unwrap().is_empty());
    }

    #[test]
    fn collections_are_bounded() {
        let (world, mut texts) = (World::default(), Texts::default());
        let mut kept = opened(&world, &mut texts);
        let long = texts.push(&[b'x'; 1000]);
        for number in 0..1000u32 {
            kept.set(
                Persistent::Ip,
                &[b"n".repeat(100), number.to_string().into_bytes()].concat(),
                Value::Text(long),
            );
        }
        kept.write_back(HOUR, &world, &texts);
        let stored: usize = world.entries.lock().unwrap().values().map(Vec::len).sum();
        assert!((10_000..64 << 10).contains(&stored), "{stored}");
    }
}
