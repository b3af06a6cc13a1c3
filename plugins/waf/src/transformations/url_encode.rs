//! `t:urlEncode`: letters, digits and `*` stay, a space becomes `+`, all else `%hh`.

use super::{Touches, hex_encode};
use crate::bytes::ByteSet;

const SAFE: ByteSet = ByteSet::range(b'a', b'z')
    .union(ByteSet::range(b'A', b'Z'))
    .union(ByteSet::range(b'0', b'9'))
    .with(b'*');

pub(super) const TOUCHES: Touches = Touches::Bytes(SAFE.complement());

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for &byte in value {
        match byte {
            b' ' => out.push(b'+'),
            _ if SAFE.contains(byte) => out.push(byte),
            _ => {
                out.push(b'%');
                out.extend(hex_encode::apply(&[byte]));
            }
        }
    }
    out
}
