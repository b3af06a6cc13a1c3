//! `t:removeWhitespace`: white space goes, the no-break space of Latin-1 too.

use super::Touches;
use crate::bytes::SPACE;

pub(super) const TOUCHES: Touches = Touches::Bytes(SPACE.with(0xa0));

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    let spaces = SPACE.with(0xa0);
    value.iter().copied().filter(|&b| !spaces.contains(b)).collect()
}
