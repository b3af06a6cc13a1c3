//! `t:removeComments`: `/* */` and `<!-- -->` go, and everything after `--` or `#`. An open one at the end leaves a space.

use super::Touches;
use crate::bytes::{ByteSet, find_pair};

pub(super) const TOUCHES: Touches = Touches::Bytes(ByteSet::of(b"/-#<"));

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    loop {
        rest = match rest {
            [] | [b'#', ..] | [b'-', b'-', ..] => return out,
            [b'/', b'*', inside @ ..] => match find_pair(inside, *b"*/").and_then(|at| inside.get(at + 2..)) {
                Some(tail) => tail,
                None => return with_space(out),
            },
            [b'<', b'!', b'-', b'-', inside @ ..] => {
                match memchr::memmem::find(inside, b"-->").and_then(|at| inside.get(at + 3..)) {
                    Some(tail) => tail,
                    None => return with_space(out),
                }
            }
            [byte, tail @ ..] => {
                out.push(*byte);
                tail
            }
        }
    }
}

fn with_space(mut out: Vec<u8>) -> Vec<u8> {
    out.push(b' ');
    out
}
