//! `t:replaceNulls`: NUL bytes become spaces.

use super::Touches;
use crate::bytes::ByteSet;

pub(super) const TOUCHES: Touches = Touches::Bytes(ByteSet::of(b"\0"));

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    value.iter().map(|&b| if b == 0 { b' ' } else { b }).collect()
}
