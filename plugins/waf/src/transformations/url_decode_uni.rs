//! `t:urlDecodeUni`: as `urlDecode`, and also the `%uHHHH` of Microsoft's servers, by `SecUnicodeMapFile` where there is one.

use super::unicode_map::UnicodeMap;
use super::{Touches, fullwidth, url_decode};
use crate::bytes::{ByteSet, hex_pair};

pub(super) const NAME: &str = "urlDecodeUni";
pub(super) const TOUCHES: Touches = Touches::Bytes(ByteSet::of(b"%+"));

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    decode(value, |code| fullwidth::to_byte(u32::from(code)))
}

/// What the map does not know becomes what it becomes without one.
pub(super) fn apply_with(value: &[u8], map: &UnicodeMap) -> Vec<u8> {
    decode(value, |code| {
        map.byte(code).unwrap_or_else(|| fullwidth::to_byte(u32::from(code)))
    })
}

fn decode(value: &[u8], to_byte: impl Fn(u16) -> u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [byte, after @ ..] = rest {
        rest = after;
        let wide = wide(*byte, after).map(|(code, tail)| (to_byte(code), tail));
        match wide.or_else(|| url_decode::rest_of_escape(*byte, after)) {
            Some((decoded, tail)) => {
                out.push(decoded);
                rest = tail;
            }
            None => out.push(if *byte == b'+' { b' ' } else { *byte }),
        }
    }
    out
}

fn wide(first: u8, text: &[u8]) -> Option<(u16, &[u8])> {
    match (first, text) {
        (b'%', [b'u' | b'U', a, b, c, d, tail @ ..]) => {
            let (high, low) = (hex_pair(*a, *b)?, hex_pair(*c, *d)?);
            Some((u16::from_be_bytes([high, low]), tail))
        }
        _ => None,
    }
}
