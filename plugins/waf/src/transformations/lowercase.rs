//! `t:lowercase`: ASCII letters to small ones.

use super::Touches;
use crate::bytes::ByteSet;

pub(super) const TOUCHES: Touches = Touches::Bytes(ByteSet::range(b'A', b'Z'));

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    value.to_ascii_lowercase()
}
