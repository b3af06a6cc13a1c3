//! Many byte strings in one allocation.

use bytes::Bytes;

/// Byte strings, each known by where it begins. More can be added while they lie in a `Vec`.
#[derive(Debug, Default)]
pub(super) struct Texts<B = Bytes> {
    bytes: B,
}

/// Where a string begins.
pub(super) type Offset = u32;

impl Texts<Vec<u8>> {
    /// Adds a string: its length in as few bytes as it needs, then itself.
    ///
    /// # Errors
    /// When 4 GiB are full.
    pub(super) fn push(&mut self, text: &[u8]) -> Result<Offset, String> {
        let full = || "the table is too large: keys and values may take 4 GiB together".to_owned();
        let offset = Offset::try_from(self.bytes.len()).map_err(|_| full())?;
        let mut length = u32::try_from(text.len()).map_err(|_| full())?;
        while length >= 0x80 {
            self.bytes.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        self.bytes.push(length as u8);
        self.bytes.extend_from_slice(text);
        Ok(offset)
    }

    /// No more will be added.
    pub(super) fn finish(mut self) -> Texts {
        self.bytes.shrink_to_fit();
        Texts {
            bytes: self.bytes.into(),
        }
    }
}

impl Texts {
    /// What [`Self::bytes`] were.
    pub(super) fn from_bytes(bytes: Bytes) -> Self {
        Self { bytes }
    }

    /// All strings, as they lie in memory.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl<B: AsRef<[u8]>> Texts<B> {
    /// The string that begins here, and the offset of the next one.
    #[inline]
    pub(super) fn get(&self, offset: Offset) -> (&[u8], Offset) {
        let bytes = self.bytes.as_ref();
        let mut at = offset as usize;
        let (mut length, mut shift) = (0_usize, 0);
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 || shift > 28 {
                break;
            }
        }
        let text = bytes.get(at..at + length).unwrap_or_default();
        (text, Offset::try_from(at + length).unwrap_or(Offset::MAX))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn strings_of_every_length_come_back() {
        let mut texts = Texts::default();
        let lengths = [0, 1, 127, 128, 16_383, 16_384, 70_000];
        let offsets: Vec<Offset> = lengths
            .iter()
            .map(|&length| texts.push(&vec![b'x'; length]).unwrap())
            .collect();
        for (index, (&length, &offset)) in lengths.iter().zip(&offsets).enumerate() {
            let (text, next) = texts.get(offset);
            assert_eq!(text.len(), length);
            if let Some(&following) = offsets.get(index + 1) {
                assert_eq!(next, following);
            }
        }
    }
}
