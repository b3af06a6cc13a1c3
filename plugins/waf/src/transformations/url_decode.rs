//! `t:urlDecode`: `%HH` to its byte and `+` to a space. What is not a valid escape stays.

use super::Touches;
use crate::bytes::{ByteSet, hex_pair};

pub(super) const TOUCHES: Touches = Touches::Bytes(ByteSet::of(b"%+"));

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [byte, after @ ..] = rest {
        rest = after;
        match rest_of_escape(*byte, after) {
            Some((decoded, tail)) => {
                out.push(decoded);
                rest = tail;
            }
            None => out.push(if *byte == b'+' { b' ' } else { *byte }),
        }
    }
    out
}

/// The byte of `%HH`, of which the first byte is given apart, and what follows it.
pub(super) fn rest_of_escape(first: u8, text: &[u8]) -> Option<(u8, &[u8])> {
    match (first, text) {
        (b'%', [high, low, tail @ ..]) => hex_pair(*high, *low).map(|byte| (byte, tail)),
        _ => None,
    }
}
