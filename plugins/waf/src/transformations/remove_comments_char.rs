//! `t:removeCommentsChar`: the marks of comments go, what they enclose stays.

use super::Touches;
use crate::bytes::ByteSet;

pub(super) const TOUCHES: Touches = Touches::Bytes(ByteSet::of(b"/*-#<"));

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [byte, after @ ..] = rest {
        rest = match rest {
            [b'<', b'!', b'-', b'-', tail @ ..]
            | [b'-', b'-', b'>', tail @ ..]
            | [b'/', b'*', tail @ ..]
            | [b'*', b'/', tail @ ..]
            | [b'-', b'-', tail @ ..]
            | [b'#', tail @ ..] => tail,
            _ => {
                out.push(*byte);
                after
            }
        };
    }
    out
}
