//! `t:compressWhitespace`: every run of white space (the no-break space of Latin-1 is one) becomes one space.

use super::Touches;
use crate::bytes::SPACE;

pub(super) const TOUCHES: Touches = Touches::Bytes(SPACE.with(0xa0));

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    let spaces = SPACE.with(0xa0);
    let mut out = Vec::with_capacity(value.len());
    let mut after_space = false;
    for &byte in value {
        let space = spaces.contains(byte);
        match (space, after_space) {
            (false, _) => out.push(byte),
            (true, false) => out.push(b' '),
            (true, true) => {}
        }
        after_space = space;
    }
    out
}
