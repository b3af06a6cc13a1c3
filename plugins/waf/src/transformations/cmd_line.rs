//! `t:cmdLine`: what shells on Windows and Unix overlook. Quotes, carets and backslashes go; runs of blanks, commas and
//! semicolons become one space, and none before `/` and `(`; letters become small.

use super::Touches;
use crate::bytes::ByteSet;

pub(super) const TOUCHES: Touches = Touches::Bytes(ByteSet::of(b"\\\"'^,; \t\r\n/(").union(ByteSet::range(b'A', b'Z')));

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut after_space = false;
    for &byte in value {
        match byte {
            b'"' | b'\'' | b'\\' | b'^' => {}
            b' ' | b',' | b';' | b'\t' | b'\r' | b'\n' => {
                if !after_space {
                    out.push(b' ');
                }
                after_space = true;
            }
            b'/' | b'(' => {
                if after_space {
                    out.pop();
                }
                out.push(byte);
                after_space = false;
            }
            _ => {
                out.push(byte.to_ascii_lowercase());
                after_space = false;
            }
        }
    }
    out
}
