//! Lookups by the longest key that the given one starts with: sorted keys, each linked to the longest one that it starts with.
//!
//! The key that is the last one not after the given one shares the longest start with it. Either it is the answer, or the
//! answer is among those that it is linked to.

use std::io::{self, Write};

use bytes::Bytes;

use super::csv::{Build, LineProblem, PROBLEMS};
use super::exact::duplicate;
use super::image::{Reader, Writer};
use super::text::Texts;

/// A map from prefixes to values.
#[derive(Debug)]
pub struct Prefixes {
    /// Each key, followed by its value.
    texts: Texts,
    /// [`Packed`], in the order of their keys.
    entries: Bytes,
}

/// An [`Entry`] as it lies in memory: its two numbers, little-endian.
type Packed = [u8; 8];

#[derive(Debug, Clone, Copy)]
struct Entry {
    offset: u32,
    /// The index of the longest other key that this one starts with; `NONE` where there is none.
    parent: u32,
}

const NONE: u32 = u32::MAX;

impl Entry {
    fn pack(self) -> Packed {
        (u64::from(self.parent) << 32 | u64::from(self.offset)).to_le_bytes()
    }

    fn unpack(packed: &Packed) -> Self {
        let both = u64::from_le_bytes(*packed);
        Self {
            offset: both as u32,
            parent: (both >> 32) as u32,
        }
    }
}

impl Prefixes {
    /// The longest key that the given one starts with: its length and its value.
    #[must_use]
    pub fn longest_prefix(&self, key: &[u8]) -> Option<(usize, &[u8])> {
        let entries = self.entries();
        let after = entries.partition_point(|entry| self.key(entry) <= key);
        let mut at = after.checked_sub(1)?;
        loop {
            let entry = Entry::unpack(entries.get(at)?);
            let (prefix, value) = self.texts.get(entry.offset);
            if key.starts_with(prefix) {
                return Some((prefix.len(), self.texts.get(value).0));
            }
            at = entry.parent as usize;
        }
    }

    /// The value of exactly this key.
    #[must_use]
    pub fn lookup(&self, key: &[u8]) -> Option<&[u8]> {
        let entries = self.entries();
        let at = entries.binary_search_by(|entry| self.key(entry).cmp(key)).ok()?;
        let (_, value) = self.texts.get(Entry::unpack(entries.get(at)?).offset);
        Some(self.texts.get(value).0)
    }

    fn entries(&self) -> &[Packed] {
        self.entries.as_chunks().0
    }

    fn key(&self, entry: &Packed) -> &[u8] {
        self.texts.get(Entry::unpack(entry).offset).0
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.texts.bytes().len() + self.entries.len()
    }

    pub(super) fn write(&self, image: &mut Writer<impl Write>) -> io::Result<()> {
        image.part(&self.entries)?;
        image.part(self.texts.bytes())
    }

    pub(super) fn read(image: &mut Reader) -> Option<Self> {
        Some(Self {
            entries: image.part()?,
            texts: Texts::from_bytes(image.part()?),
        })
    }
}

/// Takes rows in.
#[derive(Default)]
pub(super) struct Builder {
    texts: Texts<Vec<u8>>,
    /// Where each entry begins, and its line.
    entries: Vec<(u32, u32)>,
}

impl Build for Builder {
    type Table = Prefixes;

    fn add(&mut self, key: &[u8], value: &[u8], line: u32) -> Result<(), String> {
        let offset = self.texts.push(key)?;
        self.texts.push(value)?;
        self.entries.push((offset, line));
        Ok(())
    }

    fn build(mut self) -> Result<Prefixes, Vec<LineProblem>> {
        let texts = self.texts.finish();
        // Stable, so that of two equal keys the one on the earlier line comes first.
        self.entries
            .sort_by(|(left, _), (right, _)| texts.get(*left).0.cmp(texts.get(*right).0));
        let mut problems = Vec::new();
        let mut entries: Vec<Entry> = Vec::with_capacity(self.entries.len());
        let mut before: Option<u32> = None;
        for &(offset, line) in &self.entries {
            let key = texts.get(offset).0;
            let mut parent = u32::try_from(entries.len()).unwrap_or(NONE).wrapping_sub(1);
            // The links of the key before are the only candidates.
            while let Some(candidate) = entries.get(parent as usize) {
                let candidate_key = texts.get(candidate.offset).0;
                if candidate_key == key && problems.len() < PROBLEMS {
                    problems.push(duplicate(key, line, before.unwrap_or(0)));
                }
                if key.starts_with(candidate_key) {
                    break;
                }
                parent = candidate.parent;
            }
            entries.push(Entry { offset, parent });
            before = Some(line);
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let packed: Vec<Packed> = entries.into_iter().map(Entry::pack).collect();
        Ok(Prefixes {
            texts,
            entries: packed.into_flattened().into(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::super::Table;
    use crate::bundle::TableKind;

    #[test]
    fn the_longest_prefix_wins() {
        let table = Table::load(TableKind::Prefix, b"/,root\n/api,a\n/api/v1,b\n/apis,c\n/b,d\n", false).unwrap();
        let longest = |key: &str| {
            table
                .longest_prefix(key.as_bytes())
                .map(|(len, value)| (len, value.to_vec()))
        };
        assert_eq!(longest("/api/v1/x"), Some((7, b"b".to_vec())));
        assert_eq!(longest("/api/v0"), Some((4, b"a".to_vec())));
        assert_eq!(longest("/apiary"), Some((4, b"a".to_vec())));
        assert_eq!(longest("/zzz"), Some((1, b"root".to_vec())));
        assert_eq!(longest("x"), None);
        assert_eq!(longest(""), None);
        assert_eq!(table.lookup(b"/apis"), Some(&b"c"[..]));
        assert_eq!(table.lookup(b"/ap"), None);
    }

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        let problems = Table::load(TableKind::Prefix, b"b,1\na,1\nb,2\n", false).unwrap_err();
        assert_eq!(problems[0].line, 3);
        assert_eq!(
            problems[0].message,
            "`b` stands on line 1 already; keys have to be unique"
        );
    }

    proptest! {
        #[test]
        fn agrees_with_trying_every_key(keys in proptest::collection::btree_set("[ab]{1,6}", 0..40), query in "[abc]{0,8}") {
            let text: String = keys.iter().map(|key| format!("{key},v{key}\n")).collect();
            let table = Table::load(TableKind::Prefix, text.as_bytes(), false).unwrap();
            let expected = keys.iter().filter(|key| query.starts_with(key.as_str())).max_by_key(|key| key.len());
            let found = table.longest_prefix(query.as_bytes());
            prop_assert_eq!(found.map(|(len, _)| len), expected.map(String::len));
            prop_assert_eq!(found.map(|(_, value)| value.to_vec()), expected.map(|key| format!("v{key}").into_bytes()));
        }
    }
}
