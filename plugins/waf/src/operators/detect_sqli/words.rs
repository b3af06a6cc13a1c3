//! The words of SQL and what they are, and the fingerprints of attacks.

use std::sync::OnceLock;

use libinjectionrs::sqli::sqli_data::SQL_KEYWORDS;

use super::Letters;

/// The longest word that is looked up.
pub(super) const LONGEST: usize = 31;

/// Slots of the table of words, a power of two well above their number.
const SLOTS: usize = 8192;

/// Words and fingerprints.
#[derive(Debug)]
pub(super) struct Words {
    words: Vec<Word>,
    /// An index of `words` plus one, 0 for none.
    slots: Vec<u16>,
    /// Packed, in order.
    attacks: Vec<u64>,
}

#[derive(Debug)]
struct Word {
    text: [u8; LONGEST + 1],
    kind: u8,
}

/// The table, made when it is first asked for.
pub(super) fn table() -> &'static Words {
    static TABLE: OnceLock<Words> = OnceLock::new();
    TABLE.get_or_init(Words::new)
}

impl Words {
    fn new() -> Self {
        let mut table = Self {
            words: Vec::new(),
            slots: vec![0; SLOTS],
            attacks: Vec::new(),
        };
        for known in SQL_KEYWORDS {
            // A fingerprint stands among the words with a 0 before it.
            match known.word.strip_prefix('0') {
                Some(letters) => table.attacks.push(pack(letters.as_bytes())),
                None => table.insert(known.word.as_bytes(), known.token_type),
            }
        }
        table.attacks.sort_unstable();
        table
    }

    fn insert(&mut self, word: &[u8], kind: u8) {
        let Some(text) = padded(word) else { return };
        let mut slot = hash(&text);
        while self.slots.get(slot).is_some_and(|&taken| taken != 0) {
            slot = (slot + 1) % SLOTS;
        }
        self.words.push(Word { text, kind });
        if let (Some(place), Ok(index)) = (self.slots.get_mut(slot), u16::try_from(self.words.len())) {
            *place = index;
        }
    }

    /// The kind of a word, in any case; nothing where it is not known.
    pub(super) fn kind(&self, word: &[u8]) -> Option<u8> {
        let text = padded(word)?;
        let mut slot = hash(&text);
        loop {
            let index = usize::from(*self.slots.get(slot)?).checked_sub(1)?;
            let known = self.words.get(index)?;
            if known.text == text {
                return Some(known.kind);
            }
            slot = (slot + 1) % SLOTS;
        }
    }

    /// Whether a fingerprint is that of an attack.
    pub(super) fn is_attack(&self, fingerprint: &Letters) -> bool {
        let packed = pack(fingerprint.as_bytes());
        packed != 0 && self.attacks.binary_search(&packed).is_ok()
    }
}

/// A word in capital letters with zeros after it.
fn padded(word: &[u8]) -> Option<[u8; LONGEST + 1]> {
    let mut text = [0; LONGEST + 1];
    if word.len() > LONGEST {
        return None;
    }
    for (place, byte) in text.iter_mut().zip(word) {
        *place = byte.to_ascii_uppercase();
    }
    Some(text)
}

fn hash(text: &[u8; LONGEST + 1]) -> usize {
    let (words, _) = text.as_chunks::<8>();
    let mixed = words.iter().fold(0u64, |mixed, word| {
        (mixed.rotate_left(5) ^ u64::from_le_bytes(*word)).wrapping_mul(0x517c_c1b7_2722_0a95)
    });
    (mixed >> 32) as usize % SLOTS
}

/// At most five letters as a number.
fn pack(letters: &[u8]) -> u64 {
    letters
        .iter()
        .fold(0, |packed, letter| packed << 8 | u64::from(letter.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_and_fingerprint_is_found() {
        let table = table();
        let mut words = 0;
        for known in SQL_KEYWORDS {
            match known.word.strip_prefix('0') {
                Some(letters) => {
                    let mut fingerprint = Letters::default();
                    letters
                        .bytes()
                        .for_each(|letter| fingerprint.push(letter.to_ascii_lowercase()));
                    assert!(table.is_attack(&fingerprint), "{letters}");
                }
                None => {
                    words += 1;
                    assert_eq!(
                        table.kind(known.word.to_ascii_lowercase().as_bytes()),
                        Some(known.token_type)
                    );
                }
            }
        }
        assert!(words * 2 < SLOTS, "{words} words");
        assert_eq!(table.kind(b"weir"), None);
        assert_eq!(table.kind(&[b'a'; 100]), None);
        assert!(!table.is_attack(&Letters::default()));
    }
}
