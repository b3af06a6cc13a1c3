//! `t:escapeSeqDecode`: the escapes of ANSI C. What is not a valid one keeps its backslash.

use super::Touches;
use crate::bytes::{ByteSet, hex_pair};

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
        let (decoded, tail) = escape(after);
        out.push(decoded.unwrap_or(b'\\'));
        rest = tail;
    }
    out
}

/// The byte that an escape stands for and what follows it; nothing where it is none.
fn escape(text: &[u8]) -> (Option<u8>, &[u8]) {
    match text {
        [b'x' | b'X', high, low, tail @ ..] if hex_pair(*high, *low).is_some() => (hex_pair(*high, *low), tail),
        [b'0'..=b'7', ..] => {
            let digits = text.iter().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
            let (octal, tail) = text.split_at(digits);
            let code = octal.iter().fold(0u32, |code, &b| code << 3 | u32::from(b - b'0'));
            (Some(code as u8), tail)
        }
        [letter, tail @ ..] => match simple(*letter) {
            Some(byte) => (Some(byte), tail),
            None => (None, text),
        },
        [] => (None, text),
    }
}

/// The escapes of one letter.
pub(super) fn simple(letter: u8) -> Option<u8> {
    Some(match letter {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        b'\\' | b'?' | b'\'' | b'"' => letter,
        _ => return None,
    })
}
