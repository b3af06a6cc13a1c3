//! `t:trim`: white space at both ends goes.

use super::{Touches, trim_left, trim_right};
use crate::bytes::SPACE;

pub(super) const TOUCHES: Touches = Touches::Bytes(SPACE);

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    trim_left::trimmed(trim_right::trimmed(value)).to_vec()
}
