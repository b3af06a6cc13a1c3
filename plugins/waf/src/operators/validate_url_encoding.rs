//! `@validateUrlEncoding`: the value holds a `%` that two hexadecimal digits do *not* follow.

use super::Test;
use crate::bytes::hex_pair;
use crate::seclang::Files;

pub(super) fn build(_argument: &str, _files: &dyn Files) -> Result<Test, String> {
    Ok(Test::Value(is_broken))
}

fn is_broken(value: &[u8]) -> bool {
    memchr::memchr_iter(b'%', value)
        .any(|at| !matches!(value.get(at + 1..at + 3), Some([high, low]) if hex_pair(*high, *low).is_some()))
}
