//! Lookups by the whole key: a hash index over one arena.
//!
//! A slot holds 32 bits of the key's hash and the offset of key and value in the arena. A lookup touches the index once and the
//! arena once, whatever the size; an entry costs its bytes and about 16 more.

use ahash::RandomState;

use super::csv::{Build, LineProblem};
use super::text::Texts;

/// A map from keys to values.
#[derive(Debug)]
pub struct Exact {
    /// Each key, followed by its value.
    texts: Texts,
    /// A power of two, never more than three quarters full, so that every search ends.
    slots: Box<[Slot]>,
    hasher: RandomState,
    len: usize,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    hash: u32,
    /// One more than the offset; 0 is an empty slot.
    entry: u32,
}

impl Exact {
    /// The value of a key.
    #[must_use]
    pub fn lookup(&self, key: &[u8]) -> Option<&[u8]> {
        find(&self.slots, &self.texts, self.hasher.hash_one(key), key)
            .ok()
            .map(|offset| {
                let (_, value) = self.texts.get(offset);
                self.texts.get(value).0
            })
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn bytes(&self) -> usize {
        self.texts.bytes() + size_of_val(&*self.slots)
    }
}

/// The offset of a key's entry, or the slot where it would go.
#[inline]
fn find(slots: &[Slot], texts: &Texts, hash: u64, key: &[u8]) -> Result<u32, usize> {
    let mask = slots.len() - 1;
    let fragment = (hash >> 32) as u32;
    let mut at = hash as usize & mask;
    loop {
        match slots.get(at) {
            Some(Slot { entry: 0, .. }) | None => return Err(at),
            Some(slot) if slot.hash == fragment && texts.get(slot.entry - 1).0 == key => return Ok(slot.entry - 1),
            Some(_) => at = (at + 1) & mask,
        }
    }
}

/// Takes rows in.
#[derive(Default)]
pub(super) struct Builder {
    texts: Texts,
    /// Where each entry begins, in the order of the file, and its line.
    entries: Vec<(u32, u32)>,
}

impl Build for Builder {
    type Table = Exact;

    fn add(&mut self, key: &[u8], value: &[u8], line: u32) -> Result<(), String> {
        let offset = self.texts.push(key)?;
        if offset == u32::MAX {
            return Err("the table is too large".to_owned());
        }
        self.texts.push(value)?;
        self.entries.push((offset, line));
        Ok(())
    }

    fn build(mut self) -> Result<Exact, Vec<LineProblem>> {
        self.texts.shrink();
        let hasher = RandomState::new();
        let capacity = (self.entries.len() + self.entries.len() / 3 + 1).next_power_of_two();
        let mut slots = vec![Slot { hash: 0, entry: 0 }; capacity].into_boxed_slice();
        let mut problems = Vec::new();
        for &(offset, line) in &self.entries {
            let key = self.texts.get(offset).0;
            let hash = hasher.hash_one(key);
            match find(&slots, &self.texts, hash, key) {
                Err(at) => {
                    if let Some(slot) = slots.get_mut(at) {
                        *slot = Slot {
                            hash: (hash >> 32) as u32,
                            entry: offset + 1,
                        };
                    }
                }
                Ok(other) => {
                    let first = self.entries.binary_search_by_key(&other, |(offset, _)| *offset);
                    let first = first
                        .ok()
                        .and_then(|index| self.entries.get(index))
                        .map_or(0, |(_, line)| *line);
                    problems.push(duplicate(key, line, first));
                    if problems.len() == super::csv::PROBLEMS {
                        break;
                    }
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Exact {
            texts: self.texts,
            slots,
            hasher,
            len: self.entries.len(),
        })
    }
}

/// The problem of a key that stands on two lines.
pub(super) fn duplicate(key: &[u8], line: u32, first: u32) -> LineProblem {
    let key = String::from_utf8_lossy(key);
    LineProblem {
        line: u64::from(line),
        message: format!("`{key}` stands on line {first} already; keys have to be unique"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::Table;
    use crate::bundle::TableKind;

    #[test]
    fn finds_each_of_many_and_nothing_else() {
        let text: String = (0..50_000).map(|n| format!("/old/{n},/new/{}\n", n * 7)).collect();
        let table = Table::load(TableKind::Exact, text.as_bytes(), false).unwrap();
        assert_eq!(table.size(), 50_000);
        for n in 0..50_000 {
            let value = format!("/new/{}", n * 7);
            assert_eq!(table.lookup(format!("/old/{n}").as_bytes()), Some(value.as_bytes()));
        }
        for key in ["", "/old/", "/old/50000", "/old/0/", "/OLD/0"] {
            assert_eq!(table.lookup(key.as_bytes()), None, "{key}");
        }
        assert!(
            table.bytes() < text.len() as u64 + 50_000 * 24,
            "{} bytes",
            table.bytes()
        );
    }

    #[test]
    fn an_empty_table_has_nothing() {
        let table = Table::load(TableKind::Exact, b"# nothing\n", false).unwrap();
        assert_eq!((table.size(), table.lookup(b"a")), (0, None));
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_with_both_lines() {
        let problems = Table::load(TableKind::Exact, b"a,1\nb,2\n# x\na,3\n", false).unwrap_err();
        assert_eq!(problems[0].line, 4);
        assert_eq!(
            problems[0].message,
            "`a` stands on line 1 already; keys have to be unique"
        );
    }
}
