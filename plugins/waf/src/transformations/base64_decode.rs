//! `t:base64Decode`: base64 (RFC 4648 §4) up to the first byte that is not of its alphabet.

use super::Touches;

pub(super) const TOUCHES: Touches = Touches::Everything;

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    decode(value.iter().map_while(|&byte| digit(byte)))
}

/// Groups of six bits to bytes. Bits that do not fill a byte are dropped.
pub(super) fn decode(digits: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut bits, mut held) = (0u32, 0);
    for digit in digits {
        bits = bits << 6 | u32::from(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    out
}

/// The six bits that a letter of the alphabet stands for.
pub(super) fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}
