//! Where the values of a transaction live: one growing buffer, and spans of it. A value, each transformed form of it and each
//! captured group is a [`TextId`]; transforming the same value twice is a look-up.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::memo::{self, Memo};
use crate::bytes::ByteSet;
use crate::compile::screens::Side;
use crate::compile::sieve::Sieve;
use crate::transformations::unicode_map::UnicodeMap;
use crate::transformations::{self, Transformed};

/// A value in [`Texts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct TextId(u32);

impl TextId {
    /// The empty text, which is always there.
    pub(super) const EMPTY: Self = Self(0);

    pub(super) fn number(self) -> u32 {
        self.0
    }

    /// The text with a number that [`TextId::number`] gave; an empty one where there is none.
    pub(super) fn numbered(number: u32) -> Self {
        Self(number)
    }
}

/// The values of one transaction.
#[derive(Debug)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    texts: Vec<Text>,
    derived: Vec<Derived>,
    /// What sieves said about texts.
    sifted: Vec<u64>,
    /// Digests of values that come again, of this and earlier transactions.
    digests: Memo,
    limit: usize,
    room: Room,
    unicode_map: Option<Arc<UnicodeMap>>,
}

/// Whether a text still found room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// All of them did.
    Enough,
    /// One did not, and is empty instead.
    Exhausted,
}

#[derive(Debug, Clone, Copy)]
struct Text {
    start: u32,
    end: u32,
    /// The first of the list of forms that were derived from it.
    derived: Option<u32>,
    present: Option<ByteSet>,
    /// The chain of transformations that was asked for last, and its result.
    formed: Option<(usize, TextId)>,
    /// Where in `sifted` stands what the sieve of each side said about it.
    sifted: [Option<u32>; 2],
}

/// What one transformation made of a text.
#[derive(Debug, Clone, Copy)]
struct Derived {
    transformation: usize,
    result: TextId,
    next: Option<u32>,
}

/// Room for the longest digest, in bytes.
const DIGEST: usize = 24;

/// What a text costs beside its bytes.
const OVERHEAD: usize = size_of::<Text>() + size_of::<Derived>();

/// The text that is always there.
const EMPTY: Text = Text {
    start: 0,
    end: 0,
    derived: None,
    present: Some(ByteSet::EMPTY),
    formed: None,
    sifted: [None; 2],
};

impl Default for Texts {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            texts: Vec::new(),
            derived: Vec::new(),
            sifted: Vec::new(),
            digests: Memo::of_words(DIGEST / 8),
            limit: usize::MAX,
            room: Room::Enough,
            unicode_map: None,
        }
    }
}

/// What one transaction leaves of its memory to the next, in bytes and in texts.
const MOST_KEPT_BYTES: usize = 64 << 10;
const MOST_KEPT_TEXTS: usize = 2048;

impl Texts {
    /// Forgets all but the empty text.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(MOST_KEPT_BYTES);
        self.texts.clear();
        self.texts.shrink_to(MOST_KEPT_TEXTS);
        self.derived.clear();
        self.derived.shrink_to(MOST_KEPT_TEXTS);
        self.sifted.clear();
        self.sifted.shrink_to(MOST_KEPT_TEXTS);
        self.limit = usize::MAX;
        self.room = Room::Enough;
    }

    /// How many bytes [`Texts::write_down`] would write.
    pub(super) fn length(&self) -> usize {
        size_of::<u32>() * 2 + self.bytes.len() + self.texts.len() * size_of::<[u32; 2]>()
    }

    /// Writes down the texts, without what is known about them. They keep their numbers.
    pub(super) fn write_down(&self, out: &mut Vec<u8>) {
        out.reserve(self.length());
        out.extend_from_slice(&(self.bytes.len() as u32).to_le_bytes());
        out.extend_from_slice(&(self.texts.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.bytes);
        for text in &self.texts {
            out.extend_from_slice(&text.start.to_le_bytes());
            out.extend_from_slice(&text.end.to_le_bytes());
        }
    }

    /// Reads what was written down, and gives what follows it; nothing where it is something else.
    pub(super) fn read_back<'w>(&mut self, written: &'w [u8]) -> Option<&'w [u8]> {
        let (bytes, written) = written.split_first_chunk()?;
        let (texts, written) = written.split_first_chunk()?;
        let (bytes, written) = written.split_at_checked(u32::from_le_bytes(*bytes) as usize)?;
        let length = (u32::from_le_bytes(*texts) as usize).checked_mul(size_of::<[u32; 2]>())?;
        let (spans, rest) = written.split_at_checked(length)?;
        self.clear();
        self.bytes.extend_from_slice(bytes);
        let (spans, _) = spans.as_chunks::<4>();
        let (spans, _) = spans.as_chunks::<2>();
        self.texts.extend(spans.iter().map(|[start, end]| Text {
            start: u32::from_le_bytes(*start),
            end: u32::from_le_bytes(*end),
            present: None,
            ..EMPTY
        }));
        Some(rest)
    }

    /// Says what wide characters become.
    pub(super) fn set_unicode_map(&mut self, map: Option<&Arc<UnicodeMap>>) {
        self.unicode_map = map.cloned();
    }

    /// Says how much room there is, in bytes.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit.min(u32::MAX as usize);
    }

    /// Whether everything found room so far.
    pub(super) fn room(&self) -> Room {
        self.room
    }

    /// Keeps a copy of a value.
    pub(super) fn push(&mut self, value: &[u8]) -> TextId {
        let start = self.bytes.len();
        if !self.fits(value.len()) {
            return TextId::EMPTY;
        }
        self.bytes.extend_from_slice(value);
        self.span(start, start + value.len())
    }

    /// Keeps what is written, without a copy in between. The writer may write at most `most` bytes.
    pub(super) fn write(&mut self, most: usize, write: impl FnOnce(&mut Vec<u8>)) -> TextId {
        let start = self.bytes.len();
        if !self.fits(most) {
            return TextId::EMPTY;
        }
        write(&mut self.bytes);
        self.span(start, self.bytes.len())
    }

    /// A part of a text, which shares its bytes.
    pub(super) fn part(&mut self, of: TextId, start: u32, end: u32) -> TextId {
        let Some(text) = self.texts.get(of.0 as usize).copied() else {
            return TextId::EMPTY;
        };
        if !self.fits(0) {
            return TextId::EMPTY;
        }
        let end = text.start.saturating_add(end).min(text.end);
        let start = text.start.saturating_add(start).min(end);
        self.span(start as usize, end as usize)
    }

    /// The bytes of a text.
    pub(super) fn get(&self, id: TextId) -> &[u8] {
        self.texts
            .get(id.0 as usize)
            .and_then(|text| self.bytes.get(text.start as usize..text.end as usize))
            .unwrap_or_default()
    }

    /// Which bytes occur in a text.
    pub(super) fn present(&mut self, id: TextId) -> ByteSet {
        match self.texts.get(id.0 as usize).and_then(|text| text.present) {
            Some(present) => present,
            None => {
                let present = ByteSet::present_in(self.get(id));
                if let Some(text) = self.texts.get_mut(id.0 as usize) {
                    text.present = Some(present);
                }
                present
            }
        }
    }

    /// Which tests may hold for a text, as the sieve of a side sees it.
    pub(super) fn sifted(&mut self, id: TextId, side: Side, sieve: &Sieve) -> &[u64] {
        let known = self
            .texts
            .get(id.0 as usize)
            .and_then(|text| text.sifted.get(side.index()).copied().flatten());
        let start = match known {
            Some(start) => start as usize,
            None => self.sift(id, side, sieve),
        };
        self.sifted.get(start..start + sieve.words()).unwrap_or_default()
    }

    fn sift(&mut self, id: TextId, side: Side, sieve: &Sieve) -> usize {
        let present = self.present(id);
        let start = self.sifted.len();
        let mut sifted = std::mem::take(&mut self.sifted);
        sieve.sift(self.get(id), &present, &mut sifted);
        self.sifted = sifted;
        let known = self
            .texts
            .get_mut(id.0 as usize)
            .and_then(|text| text.sifted.get_mut(side.index()));
        if let Some(known) = known {
            *known = Some(start as u32);
        }
        start
    }

    /// What a transformation (an index of [`transformations::ALL`]) makes of a text.
    pub(super) fn transformed(&mut self, id: TextId, transformation: usize) -> TextId {
        let Some(known) = transformations::ALL.get(transformation) else {
            return id;
        };
        let present = self.present(id);
        if !known.touches.concerns(&present) {
            return id;
        }
        let mut next = self.texts.get(id.0 as usize).and_then(|text| text.derived);
        while let Some(derived) = next.and_then(|at| self.derived.get(at as usize)) {
            if derived.transformation == transformation {
                return derived.result;
            }
            next = derived.next;
        }
        let result = match known.digest_length() {
            Some(length) => self.digest(id, transformation, length),
            None => match known.apply(self.get(id), &present, self.unicode_map.as_deref()) {
                Transformed::Unchanged => id,
                Transformed::Changed(value) => self.push(&value),
            },
        };
        let at = self.derived.len() as u32;
        if let Some(text) = self.texts.get_mut(id.0 as usize) {
            self.derived.push(Derived {
                transformation,
                result,
                next: text.derived,
            });
            text.derived = Some(at);
        }
        result
    }

    /// What a transformation that makes a digest of this length makes of a text: rule sets ask for one of each client's `User-Agent`,
    /// and of those there are few.
    fn digest(&mut self, id: TextId, transformation: usize, length: usize) -> TextId {
        let mut digests = std::mem::take(&mut self.digests);
        let (value, class) = (self.get(id), transformation as u32);
        let mut digest = [0; DIGEST];
        let (words, _) = digest.as_chunks_mut::<8>();
        let known = Some(value).filter(|value| value.len() <= memo::LONGEST);
        if let Some((_, known)) = known.and_then(|value| digests.find(class, value)) {
            for (word, known) in words.iter_mut().zip(known) {
                *word = known.to_le_bytes();
            }
        } else {
            let made = transformations::ALL
                .get(transformation)
                .map(|known| known.result(value));
            for (place, byte) in words.as_flattened_mut().iter_mut().zip(made.unwrap_or_default()) {
                *place = byte;
            }
            let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
            digests.keep(class, value, &words);
        }
        self.digests = digests;
        self.push(digest.get(..length).unwrap_or_default())
    }

    /// What a chain of transformations makes of a text. The last chain that was asked for is remembered with the text, because
    /// rules of one file mostly ask for the same.
    pub(super) fn last_form(&mut self, id: TextId, chain: usize, steps: &[usize]) -> TextId {
        let known = self.texts.get(id.0 as usize).and_then(|text| text.formed);
        if let Some((known, form)) = known
            && known == chain
        {
            return form;
        }
        let form = steps.iter().fold(id, |form, &step| self.transformed(form, step));
        if let Some(text) = self.texts.get_mut(id.0 as usize) {
            text.formed = Some((chain, form));
        }
        form
    }

    fn span(&mut self, start: usize, end: usize) -> TextId {
        if self.texts.is_empty() {
            self.texts.push(EMPTY);
        }
        let id = TextId(self.texts.len() as u32);
        self.texts.push(Text {
            start: start as u32,
            end: end as u32,
            derived: None,
            present: None,
            formed: None,
            sifted: [None; 2],
        });
        id
    }

    fn fits(&mut self, more: usize) -> bool {
        let taken = self.bytes.len() + self.texts.len() * OVERHEAD;
        if taken.saturating_add(more) > self.limit {
            self.room = Room::Exhausted;
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_transformation_is_computed_once_and_shared() {
        let mut texts = Texts::default();
        let lowercase = transformations::find("lowercase").unwrap();
        let text = texts.push(b"AbC");
        let small = texts.transformed(text, lowercase);
        assert_eq!(texts.get(small), b"abc");
        assert_eq!(texts.transformed(text, lowercase), small);
        assert_eq!(texts.transformed(small, lowercase), small, "nothing left to change");
        assert_eq!(texts.texts.len(), 3, "with the empty one");
    }

    #[test]
    fn a_digest_is_the_same_the_second_time() {
        let mut texts = Texts::default();
        for name in ["sha1", "md5"] {
            let transformation = transformations::find(name).unwrap();
            for value in [
                &b""[..],
                b"Mozilla/5.0",
                b"wrk/4",
                b"wrk/4",
                b"Mozilla/5.0",
                &[b'x'; 300],
            ] {
                texts.clear();
                let text = texts.push(value);
                let digest = texts.transformed(text, transformation);
                let expected = transformations::ALL[transformation].result(value);
                assert_eq!(texts.get(digest), expected, "{name} {value:?}");
                assert_eq!(
                    Some(expected.len()),
                    transformations::ALL[transformation].digest_length()
                );
            }
        }
    }

    #[test]
    fn parts_stay_inside_of_their_text() {
        let mut texts = Texts::default();
        texts.push(b"before");
        let text = texts.push(b"value");
        let part = texts.part(text, 1, 3);
        assert_eq!(texts.get(part), b"al");
        let part = texts.part(text, 4, 99);
        assert_eq!(texts.get(part), b"e");
        let part = texts.part(text, 9, 3);
        assert_eq!(texts.get(part), b"");
    }

    #[test]
    fn what_finds_no_room_is_empty_and_said() {
        let mut texts = Texts::default();
        texts.set_limit(1000);
        let fits = texts.push(&[b'a'; 100]);
        assert_eq!((texts.get(fits).len(), texts.room()), (100, Room::Enough));
        let does_not = texts.push(&[b'a'; 1000]);
        assert_eq!((texts.get(does_not).len(), texts.room()), (0, Room::Exhausted));
    }
}
