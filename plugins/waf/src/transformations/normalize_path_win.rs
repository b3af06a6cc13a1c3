//! `t:normalizePathWin`: backslashes to slashes, then as `normalizePath`.

use super::{Touches, normalize_path};
use crate::bytes::ByteSet;

pub(super) const TOUCHES: Touches = Touches::Bytes(ByteSet::of(b"/.\\"));

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    let slashes: Vec<u8> = value.iter().map(|&b| if b == b'\\' { b'/' } else { b }).collect();
    normalize_path::apply(&slashes)
}
