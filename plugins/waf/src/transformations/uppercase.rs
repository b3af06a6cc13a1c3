//! `t:uppercase`: ASCII letters to capitals.

use super::Touches;
use crate::bytes::ByteSet;

pub(super) const TOUCHES: Touches = Touches::Bytes(ByteSet::range(b'a', b'z'));

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    value.to_ascii_uppercase()
}
