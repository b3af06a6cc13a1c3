//! `t:htmlEntityDecode`: numeric character references and the five named ones that matter, to bytes. The semicolon may be
//! missing, as browsers allow.

use super::{Touches, fullwidth};
use crate::bytes::{ByteSet, hex_digit};

pub(super) const TOUCHES: Touches = Touches::Bytes(ByteSet::of(b"&"));

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [byte, after @ ..] = rest {
        rest = after;
        match reference(*byte, after) {
            Some((decoded, tail)) => {
                out.push(decoded);
                rest = tail.strip_prefix(b";").unwrap_or(tail);
            }
            None => out.push(*byte),
        }
    }
    out
}

fn reference(first: u8, text: &[u8]) -> Option<(u8, &[u8])> {
    if first != b'&' {
        return None;
    }
    match text {
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16),
        [b'#', digits @ ..] => number(digits, 10),
        _ => named(text),
    }
}

fn number(text: &[u8], base: u32) -> Option<(u8, &[u8])> {
    let value = |b: u8| hex_digit(b).map(u32::from).filter(|&digit| digit < base);
    // However many: zeros in front are a way around rules that browsers and libraries accept.
    let digits = text.iter().take_while(|&&b| value(b).is_some()).count();
    if digits == 0 {
        return None;
    }
    let (digits, tail) = text.split_at(digits);
    let code = digits.iter().fold(0u32, |code, &b| {
        code.saturating_mul(base).saturating_add(value(b).unwrap_or(0))
    });
    Some((fullwidth::to_byte(code), tail))
}

fn named(text: &[u8]) -> Option<(u8, &[u8])> {
    const NAMES: [(&[u8], u8); 6] = [
        (b"quot", b'"'),
        (b"amp", b'&'),
        (b"lt", b'<'),
        (b"gt", b'>'),
        (b"nbsp", 0xa0),
        (b"apos", b'\''),
    ];
    NAMES.iter().find_map(|(name, byte)| {
        let (start, tail) = text.split_at_checked(name.len())?;
        let ends = !tail.first().is_some_and(u8::is_ascii_alphanumeric);
        (ends && start.eq_ignore_ascii_case(name)).then_some((*byte, tail))
    })
}
