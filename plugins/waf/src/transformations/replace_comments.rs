//! `t:replaceComments`: each `/* */` becomes a space, and an open one takes the rest with it.

use super::Touches;
use crate::bytes::{ByteSet, find_pair};

pub(super) const TOUCHES: Touches = Touches::Bytes(ByteSet::of(b"/"));

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(start) = find_pair(rest, *b"/*") {
        let (before, comment) = rest.split_at(start);
        out.extend_from_slice(before);
        out.push(b' ');
        let inside = comment.get(2..).unwrap_or_default();
        rest = match find_pair(inside, *b"*/") {
            Some(end) => inside.get(end + 2..).unwrap_or_default(),
            None => return out,
        };
    }
    out.extend_from_slice(rest);
    out
}
