//! `t:length`: the number of bytes, in decimal digits.

use super::Touches;

pub(super) const TOUCHES: Touches = Touches::Everything;

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    value.len().to_string().into_bytes()
}
