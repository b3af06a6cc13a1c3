//! Short fingerprints of attacks that ordinary text has as well: a closer look.

use super::fold::Folded;
use super::token::{Token, kind};

/// Whether it is an attack after all.
pub(super) fn is_attack(folded: &Folded, value: &[u8]) -> bool {
    let fingerprint = folded.fingerprint.as_bytes();
    // Microsoft's server hides from its log what mentions this.
    if fingerprint.len() > 1 && fingerprint.last() == Some(&kind::COMMENT) && mentions(value, b"sp_password") {
        return true;
    }
    match (fingerprint.len(), folded.tokens()) {
        (2, [first, second, ..]) => two(folded, first, second, value),
        (3, [first, second, third, ..]) => three(folded, [first, second, third]),
        _ => true,
    }
}

fn two(folded: &Folded, first: &Token, second: &Token, value: &[u8]) -> bool {
    let mark = second.text().first().copied().unwrap_or_default();
    if second.kind == kind::UNION {
        // A number and the word alone.
        return folded.seen != 2;
    }
    if mark == b'#' {
        return false;
    }
    let is_comment = second.kind == kind::COMMENT;
    if first.kind == kind::BAREWORD && is_comment && mark != b'/' {
        return false;
    }
    if first.kind == kind::NUMBER && is_comment {
        return mark == b'/' || folded.seen > 2 || ends_like_a_number(first, value);
    }
    // A comment that says something; one that is only `--` cuts the rest of a statement off.
    !(second.text().len() > 2 && mark == b'-')
}

/// What comes after as many bytes as the number has: libinjection looks there, wherever the number stands.
fn ends_like_a_number(number: &Token, value: &[u8]) -> bool {
    matches!(
        value.get(number.text().len()..).unwrap_or_default(),
        [0..=b' ' | 0x80.., ..] | [b'/', b'*', ..] | [b'-', b'-', ..]
    )
}

fn three(folded: &Folded, [first, second, third]: [&Token; 3]) -> bool {
    match folded.fingerprint.as_bytes() {
        // foo" + "bar: the quotes at both ends are those of the statement.
        b"sos" | b"s&s" => first.open == 0 && third.close == 0 && first.close == third.open,
        b"s&n" | b"n&1" | b"1&1" | b"1&v" | b"1&s" if folded.seen == 3 => false,
        _ => {
            let into = second
                .text()
                .get(..4)
                .is_some_and(|start| start.eq_ignore_ascii_case(b"into"));
            second.kind != kind::KEYWORD || second.text().len() >= 5 && into
        }
    }
}

fn mentions(value: &[u8], word: &[u8]) -> bool {
    value
        .windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word))
}
