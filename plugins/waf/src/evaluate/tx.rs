//! `TX`: what rules keep for the time of a transaction.

use super::texts::{TextId, Texts};
use super::transaction::Datum;
use crate::compile::names::{Names, Slot};

/// How many names rules may make up while they run (`setvar:tx.%{...}`), beside those that they mention.
const MOST_DYNAMIC: usize = 1000;

/// A value in `TX`. Numbers stay numbers, because that is what almost all of them are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Value {
    #[default]
    Unset,
    Number(i64),
    Text(TextId),
}

impl Value {
    /// The same for those who look at values; nothing where there is none.
    pub(super) fn datum(self) -> Option<Datum> {
        match self {
            Self::Unset => None,
            Self::Number(number) => Some(Datum::Number(number)),
            Self::Text(text) => Some(Datum::Text(text)),
        }
    }
}

/// The values in `TX`.
#[derive(Debug, Default)]
pub(super) struct Tx {
    slots: Vec<Value>,
    /// Names that rules made up, as texts, so that to name one is no allocation.
    dynamic: Vec<(TextId, Value)>,
}

impl Tx {
    /// Nothing is set, and there is a slot for each name that rules mention.
    pub(super) fn begin(&mut self, names: &Names) {
        self.clear();
        self.slots.resize(names.len(), Value::Unset);
    }

    /// Nothing is set, and there are no slots.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.dynamic.clear();
    }

    pub(super) fn get(&self, slot: Slot) -> Value {
        self.slots.get(slot.index()).copied().unwrap_or_default()
    }

    pub(super) fn set(&mut self, slot: Slot, value: Value) {
        if let Some(place) = self.slots.get_mut(slot.index()) {
            *place = value;
        }
    }

    /// A value by a name that was made up, in small letters.
    pub(super) fn get_named(&self, names: &Names, name: &[u8], texts: &Texts) -> Value {
        match names.find(name) {
            Some(slot) => self.get(slot),
            None => self
                .dynamic
                .iter()
                .find(|(known, _)| texts.get(*known) == name)
                .map(|(_, value)| *value)
                .unwrap_or_default(),
        }
    }

    /// Sets a value by a name that was made up, in small letters.
    pub(super) fn set_named(&mut self, names: &Names, name: &[u8], value: Value, texts: &mut Texts) {
        if let Some(slot) = names.find(name) {
            return self.set(slot, value);
        }
        let full = self.dynamic.len() >= MOST_DYNAMIC;
        match self.dynamic.iter_mut().find(|(known, _)| texts.get(*known) == name) {
            Some((_, place)) => *place = value,
            None if full => {}
            None => self.dynamic.push((texts.push(name), value)),
        }
    }

    /// The slots that hold something.
    pub(super) fn slots(&self) -> impl Iterator<Item = (usize, Value)> + '_ {
        self.slots
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, value)| *value != Value::Unset)
    }

    /// The names that were made up and hold something.
    pub(super) fn dynamic(&self) -> impl Iterator<Item = (TextId, Value)> + '_ {
        self.dynamic.iter().copied().filter(|(_, value)| *value != Value::Unset)
    }
}
