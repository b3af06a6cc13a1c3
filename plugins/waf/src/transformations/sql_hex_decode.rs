//! `t:sqlHexDecode`: `0x` and pairs of hexadecimal digits to the bytes that a database makes of them.

use super::Touches;
use crate::bytes::{ByteSet, hex_pair};

pub(super) const TOUCHES: Touches = Touches::Bytes(ByteSet::of(b"xX"));

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [byte, after @ ..] = rest {
        rest = match rest {
            [b'0', b'x' | b'X', digits @ ..] if first_pair(digits).is_some() => decode(digits, &mut out),
            _ => {
                out.push(*byte);
                after
            }
        };
    }
    out
}

fn decode<'a>(mut digits: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    while let Some((byte, tail)) = first_pair(digits) {
        out.push(byte);
        digits = tail;
    }
    digits
}

fn first_pair(digits: &[u8]) -> Option<(u8, &[u8])> {
    match digits {
        [high, low, tail @ ..] => hex_pair(*high, *low).map(|byte| (byte, tail)),
        _ => None,
    }
}
