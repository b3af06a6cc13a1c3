//! Lookups by the whole key: a hash index over one arena.
//!
//! A slot holds 32 bits of the key's hash and the offset of key and value in the arena. A lookup touches the index once and the
//! arena once, whatever the size; an entry costs its bytes and about 16 more.

use std::io::{self, Write};

use ahash::RandomState;
use bytes::Bytes;

use super::csv::{Build, LineProblem};
use super::image::{Reader, Writer};
use super::text::Texts;

/// A map from keys to values.
#[derive(Debug)]
pub struct Exact {
    /// Each key, followed by its value.
    texts: Texts,
    /// [`Slot`]s: a power of two, never more than three quarters full, so that every search ends.
    slots: Bytes,
    seeds: Seeds,
    hasher: RandomState,
    len: usize,
}

/// Two little-endian words: one more than the offset of an entry, then the hash of its key. All zeros are an empty slot.
type Slot = [u8; 8];

/// What the hash function began with: drawn when the table was built, so that nobody can know which keys collide.
type Seeds = [u64; 4];

impl Exact {
    /// The value of a key.
    #[must_use]
    pub fn lookup(&self, key: &[u8]) -> Option<&[u8]> {
        let slots = self.slots.as_chunks().0;
        let offset = find(slots, &self.texts, self.hasher.hash_one(key), key).ok()?;
        let (_, value) = self.texts.get(offset);
        Some(self.texts.get(value).0)
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
        self.texts.bytes().len() + self.slots.len()
    }

    pub(super) fn write(&self, image: &mut Writer<impl Write>) -> io::Result<()> {
        image.number(self.len as u64)?;
        for seed in self.seeds {
            image.number(seed)?;
        }
        image.number(sample(&self.hasher))?;
        image.part(&self.slots)?;
        image.part(self.texts.bytes())
    }

    pub(super) fn read(image: &mut Reader) -> Option<Self> {
        let len = usize::try_from(image.number()?).ok()?;
        let seeds = [image.number()?, image.number()?, image.number()?, image.number()?];
        let hasher = hasher(seeds);
        // The hash function is another one in another build, perhaps: its index would find nothing.
        if image.number()? != sample(&hasher) {
            return None;
        }
        let slots = image.part()?;
        let capacity = slots.as_chunks::<8>().0.len();
        if !capacity.is_power_of_two() || len >= capacity {
            return None;
        }
        Some(Self {
            slots,
            texts: Texts::from_bytes(image.part()?),
            seeds,
            hasher,
            len,
        })
    }
}

fn hasher([first, second, third, fourth]: Seeds) -> RandomState {
    RandomState::with_seeds(first, second, third, fourth)
}

/// What a hash function makes of texts of every length that it treats differently.
fn sample(hasher: &RandomState) -> u64 {
    let text = [b'w'; 200];
    let hashes = [0, 3, 7, 8, 16, 30, 64, 128, 200].map(|length| hasher.hash_one(text.get(..length)));
    hasher.hash_one(hashes)
}

/// The offset of a key's entry, or the slot where it would go.
#[inline]
fn find(slots: &[Slot], texts: &Texts<impl AsRef<[u8]>>, hash: u64, key: &[u8]) -> Result<u32, usize> {
    let mask = slots.len().wrapping_sub(1);
    let fragment = (hash >> 32) as u32;
    let mut at = hash as usize & mask;
    while let Some(slot) = slots.get(at) {
        let slot = u64::from_le_bytes(*slot);
        let Some(offset) = (slot as u32).checked_sub(1) else {
            break;
        };
        if (slot >> 32) as u32 == fragment && texts.get(offset).0 == key {
            return Ok(offset);
        }
        at = (at + 1) & mask;
    }
    Err(at)
}

/// Takes rows in.
#[derive(Default)]
pub(super) struct Builder {
    texts: Texts<Vec<u8>>,
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

    fn build(self) -> Result<Exact, Vec<LineProblem>> {
        let drawn = RandomState::new();
        let seeds: Seeds = [0, 1, 2, 3].map(|nth: u64| drawn.hash_one(nth));
        let hasher = hasher(seeds);
        let capacity = (self.entries.len() + self.entries.len() / 3 + 1).next_power_of_two();
        let mut slots = vec![Slot::default(); capacity];
        let mut problems = Vec::new();
        for &(offset, line) in &self.entries {
            let key = self.texts.get(offset).0;
            let hash = hasher.hash_one(key);
            match find(&slots, &self.texts, hash, key) {
                Err(at) => {
                    if let Some(slot) = slots.get_mut(at) {
                        *slot = ((hash >> 32 << 32) | u64::from(offset + 1)).to_le_bytes();
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
            texts: self.texts.finish(),
            slots: slots.into_flattened().into(),
            seeds,
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
