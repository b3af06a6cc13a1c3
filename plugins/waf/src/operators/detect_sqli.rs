//! `@detectSQLi`: the value reads as a part of an SQL statement, by libinjection's fingerprints. `capture` keeps the fingerprint.

use libinjectionrs::{SqliFlags, SqliState};

use super::Test;
use crate::bytes::ByteSet;
use crate::seclang::Files;

/// Bytes that never end a word: a value made of nothing else is at most a few numbers and a word.
const WORD: ByteSet = ByteSet::range(b'a', b'z')
    .union(ByteSet::range(b'A', b'Z'))
    .union(ByteSet::range(b'0', b'9'))
    .with(b'_');

pub(super) fn build(_argument: &str, _files: &dyn Files) -> Result<Test, String> {
    Ok(Test::Sqli)
}

/// Whether it does.
pub(super) fn is_found(value: &[u8], present: &ByteSet) -> bool {
    WORD.complement().intersects(present) && detect(value).is_some()
}

/// The fingerprint by which it does.
pub(super) fn fingerprint(value: &[u8]) -> Option<Vec<u8>> {
    detect(value)
}

fn detect(value: &[u8]) -> Option<Vec<u8>> {
    let mut state = SqliState::new(value, SqliFlags::FLAG_NONE);
    state.detect().then(|| state.fingerprint_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What lets words pass unread must never hide a match: every text of up to three bytes of one of the kinds that the
    /// tokenizer tells apart in a word, and long ones at random.
    #[test]
    fn a_word_alone_is_never_found() {
        let kinds = b"aAbBdeEfnNqQuUxX019_";
        let mut seed = 5u64;
        for first in kinds {
            for second in kinds {
                for third in kinds {
                    assert_eq!(detect(&[*first, *second, *third]), None);
                }
            }
        }
        for _ in 0..20_000 {
            let mut value = Vec::new();
            for _ in 0..16 {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                value.push(kinds[(seed >> 33) as usize % kinds.len()]);
            }
            assert_eq!(detect(&value), None, "{}", String::from_utf8_lossy(&value));
        }
    }
}
