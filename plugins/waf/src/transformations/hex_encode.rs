//! `t:hexEncode`: each byte as two hexadecimal digits.

use super::Touches;

pub(super) const TOUCHES: Touches = Touches::Everything;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    value
        .iter()
        .flat_map(|&b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]])
        .collect()
}
