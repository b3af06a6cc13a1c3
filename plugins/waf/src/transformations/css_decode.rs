//! `t:cssDecode`: the escapes of CSS 2 §4.1.3. A backslash and up to six hexadecimal digits (and one blank after them) are a
//! byte, a backslash and a line feed are nothing, a backslash and anything else is that.

use super::{Touches, fullwidth};
use crate::bytes::{ByteSet, hex_digit, is_space};

pub(super) const TOUCHES: Touches = Touches::Bytes(ByteSet::of(b"\\"));

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let digits = after.iter().take(6).take_while(|&&b| hex_digit(b).is_some()).count();
        if digits > 0 {
            let (hex, tail) = after.split_at(digits);
            let code = hex
                .iter()
                .fold(0u32, |code, &b| code << 4 | u32::from(hex_digit(b).unwrap_or(0)));
            out.push(fullwidth::to_byte(code));
            rest = match tail {
                [blank, tail @ ..] if is_space(*blank) => tail,
                _ => tail,
            };
        } else if let [next, tail @ ..] = after {
            if *next != b'\n' {
                out.push(*next);
            }
            rest = tail;
        }
    }
    out
}
