//! Many byte strings in one allocation.

/// Byte strings, each known by where it begins.
#[derive(Debug, Default)]
pub(super) struct Texts {
    bytes: Vec<u8>,
}

/// Where a string begins.
pub(super) type Offset = u32;

impl Texts {
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

    /// The string that begins here, and the offset of the next one.
    #[inline]
    pub(super) fn get(&self, offset: Offset) -> (&[u8], Offset) {
        let mut at = offset as usize;
        let (mut length, mut shift) = (0_usize, 0);
        while let Some(&byte) = self.bytes.get(at) {
            at += 1;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 || shift > 28 {
                break;
            }
        }
        let text = self.bytes.get(at..at + length).unwrap_or_default();
        (text, Offset::try_from(at + length).unwrap_or(Offset::MAX))
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.capacity()
    }

    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
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
