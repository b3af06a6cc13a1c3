//! `t:removeNulls`: NUL bytes go.

use super::Touches;
use crate::bytes::ByteSet;

pub(super) const TOUCHES: Touches = Touches::Bytes(ByteSet::of(b"\0"));

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    value.iter().copied().filter(|&b| b != 0).collect()
}
