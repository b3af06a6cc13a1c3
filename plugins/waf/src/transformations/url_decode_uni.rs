//! `t:urlDecodeUni`: as `urlDecode`, and also the `%uHHHH` of Microsoft's servers.

use super::{Touches, fullwidth, url_decode};
use crate::bytes::{ByteSet, hex_pair};

pub(super) const TOUCHES: Touches = Touches::Bytes(ByteSet::of(b"%+"));

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [byte, after @ ..] = rest {
        rest = after;
        match wide(*byte, after).or_else(|| url_decode::rest_of_escape(*byte, after)) {
            Some((decoded, tail)) => {
                out.push(decoded);
                rest = tail;
            }
            None => out.push(if *byte == b'+' { b' ' } else { *byte }),
        }
    }
    out
}

fn wide(first: u8, text: &[u8]) -> Option<(u8, &[u8])> {
    match (first, text) {
        (b'%', [b'u' | b'U', a, b, c, d, tail @ ..]) => {
            let (high, low) = (hex_pair(*a, *b)?, hex_pair(*c, *d)?);
            Some((fullwidth::to_byte(u32::from(high) << 8 | u32::from(low)), tail))
        }
        _ => None,
    }
}
