//! `t:removeComments`: `/* */` and `<!-- -->` go, and everything after `--` or `#`. An open one at the end leaves a space.

use super::Touches;
use crate::bytes::ByteSet;

pub(super) const TOUCHES: Touches = Touches::Bytes(ByteSet::of(b"/-#<"));

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    loop {
        rest = match rest {
            [] | [b'#', ..] | [b'-', b'-', ..] => return out,
            [b'/', b'*', inside @ ..] => match after(inside, b"*/") {
                Some(tail) => tail,
                None => return with_space(out),
            },
            [b'<', b'!', b'-', b'-', inside @ ..] => match after(inside, b"-->") {
                Some(tail) => tail,
                None => return with_space(out),
            },
            [byte, tail @ ..] => {
                out.push(*byte);
                tail
            }
        }
    }
}

fn after<'a>(text: &'a [u8], end: &[u8]) -> Option<&'a [u8]> {
    memchr::memmem::find(text, end).and_then(|at| text.get(at + end.len()..))
}

fn with_space(mut out: Vec<u8>) -> Vec<u8> {
    out.push(b' ');
    out
}
