//! `@containsWord`: the argument occurs in the value with no letter, digit or underscore at either side.

use super::Test;
use crate::seclang::Files;

pub(super) fn build(_argument: &str, _files: &dyn Files) -> Result<Test, String> {
    Ok(Test::Text(contains_word))
}

fn contains_word(value: &[u8], word: &[u8]) -> bool {
    let is_word_byte = |byte: Option<&u8>| byte.is_some_and(|&b| b.is_ascii_alphanumeric() || b == b'_');
    memchr::memmem::find_iter(value, word).any(|at| {
        let before = at.checked_sub(1).and_then(|before| value.get(before));
        !is_word_byte(before) && !is_word_byte(value.get(at + word.len()))
    })
}
