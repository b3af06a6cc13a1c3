//! `t:utf8toUnicode`: characters beyond ASCII become `%uhhhh`. What is not UTF-8 stays.

use std::io::Write as _;

use super::Touches;
use crate::bytes::ByteSet;

pub(super) const TOUCHES: Touches = Touches::Bytes(ByteSet::range(0x80, 0xff));

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() * 2);
    for chunk in value.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_ascii() {
                out.push(c as u8);
            } else {
                // Writing to a vector cannot fail.
                let _ = write!(out, "%u{:04x}", u32::from(c));
            }
        }
        out.extend_from_slice(chunk.invalid());
    }
    out
}
