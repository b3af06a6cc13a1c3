//! `TX`: what rules keep for the time of a transaction.

use serde::{Deserialize, Serialize};

use super::texts::{TextId, Texts};
use super::transaction::Datum;
use crate::compile::names::{Names, Slot};

/// How many names rules may make up while they run (`setvar:tx.%{...}`), beside those that they mention.
const MOST_DYNAMIC: usize = 1000;

/// A value in `TX`. Numbers stay numbers, because that is what almost all of them are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
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

/// Bytes of a value that was written down: the number of its slot or of the text that is its name, what kind of value it is, and the
/// value.
const ENTRY: usize = size_of::<u32>() + 1 + size_of::<i64>();

fn written(place: u32, value: Value) -> [u8; ENTRY] {
    let (kind, number) = match value {
        Value::Unset => (0, 0),
        Value::Number(number) => (1, number),
        Value::Text(text) => (2, i64::from(text.number())),
    };
    let mut bytes = [0; ENTRY];
    bytes[..4].copy_from_slice(&place.to_le_bytes());
    bytes[4] = kind;
    bytes[5..].copy_from_slice(&number.to_le_bytes());
    bytes
}

fn read(bytes: &[u8; ENTRY]) -> (u32, Value) {
    let [a, b, c, d, kind, number @ ..] = *bytes;
    let number = i64::from_le_bytes(number);
    let value = match kind {
        1 => Value::Number(number),
        2 => Value::Text(TextId::numbered(number as u32)),
        _ => Value::Unset,
    };
    (u32::from_le_bytes([a, b, c, d]), value)
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

    /// Writes down what is set: the slots, and then the names that rules made up.
    pub(super) fn write_down(&self, out: &mut Vec<u8>) {
        let slots = self.slots().map(|(slot, value)| (slot as u32, value));
        let dynamic = self.dynamic().map(|(name, value)| (name.number(), value));
        for count in [self.slots().count(), self.dynamic().count()] {
            out.extend_from_slice(&(count as u32).to_le_bytes());
        }
        for (place, value) in slots.chain(dynamic) {
            out.extend_from_slice(&written(place, value));
        }
    }

    /// Reads what was written down, and gives what follows it; nothing where it is something else.
    pub(super) fn read_back<'w>(&mut self, names: &Names, parked: &'w [u8]) -> Option<&'w [u8]> {
        let (slots, parked) = parked.split_first_chunk()?;
        let (dynamic, parked) = parked.split_first_chunk()?;
        let [slots, dynamic] = [slots, dynamic].map(|count| u32::from_le_bytes(*count) as usize);
        let (entries, rest) = parked.split_at_checked(slots.checked_add(dynamic)?.checked_mul(ENTRY)?)?;
        let (entries, _) = entries.as_chunks();
        let (slots, dynamic) = entries.split_at_checked(slots)?;
        self.begin(names);
        for (place, value) in slots.iter().map(read) {
            *self.slots.get_mut(place as usize)? = value;
        }
        let named = |(place, value)| (TextId::numbered(place), value);
        self.dynamic.extend(dynamic.iter().map(read).map(named));
        Some(rest)
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
