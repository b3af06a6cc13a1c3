//! `t:normalizePath`: no doubled slashes, no `.` segments, and `..` taken back with the segment before it. A relative path keeps
//! the `..` that lead out of it; an absolute one cannot leave its root.

use super::Touches;
use crate::bytes::ByteSet;

pub(super) const TOUCHES: Touches = Touches::Bytes(ByteSet::of(b"/."));

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    let absolute = value.first() == Some(&b'/');
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in value.split(|&b| b == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => match kept.last() {
                Some(last) if *last != b".." => {
                    kept.pop();
                }
                _ if absolute => {}
                _ => kept.push(segment),
            },
            _ => kept.push(segment),
        }
    }
    let mut out = Vec::with_capacity(value.len());
    for segment in &kept {
        if absolute || !out.is_empty() {
            out.push(b'/');
        }
        out.extend_from_slice(segment);
    }
    let ends_in_slash = value.last() == Some(&b'/');
    if absolute && kept.is_empty() || ends_in_slash && !kept.is_empty() {
        out.push(b'/');
    }
    out
}
