//! `t:jsDecode`: the escapes of JavaScript strings. A backslash before anything else just goes.

use super::{Touches, escape_seq_decode, fullwidth};
use crate::bytes::{ByteSet, hex_digit, hex_pair};

pub(super) const TOUCHES: Touches = Touches::Bytes(ByteSet::of(b"\\"));

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [byte, after @ ..] = rest {
        rest = after;
        match (byte, after) {
            (b'\\', [_, ..]) => {
                let (decoded, tail) = escape(after);
                out.push(decoded);
                rest = tail;
            }
            _ => out.push(*byte),
        }
    }
    out
}

fn escape(text: &[u8]) -> (u8, &[u8]) {
    match text {
        [b'u', a, b, c, d, tail @ ..] if [a, b, c, d].iter().all(|digit| hex_digit(**digit).is_some()) => {
            let code = [a, b, c, d].iter().fold(0u32, |code, digit| {
                code << 4 | u32::from(hex_digit(**digit).unwrap_or(0))
            });
            (fullwidth::to_byte(code), tail)
        }
        [b'x', high, low, tail @ ..] if hex_pair(*high, *low).is_some() => (hex_pair(*high, *low).unwrap_or(0), tail),
        [b'0'..=b'7', ..] => {
            // Three digits only where they fit a byte, as JavaScript reads them: `\777` is `\77` and a 7.
            let most = if matches!(text.first(), Some(b'0'..=b'3')) {
                3
            } else {
                2
            };
            let digits = text.iter().take(most).take_while(|b| (b'0'..=b'7').contains(b)).count();
            let (octal, tail) = text.split_at(digits);
            (octal.iter().fold(0u8, |code, &b| code << 3 | (b - b'0')), tail)
        }
        [letter, tail @ ..] => (escape_seq_decode::simple(*letter).unwrap_or(*letter), tail),
        [] => (b'\\', text),
    }
}
