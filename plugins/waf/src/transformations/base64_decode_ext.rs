//! `t:base64DecodeExt`: base64 with whatever is not of its alphabet skipped, as lenient decoders do.

use super::{Touches, base64_decode};

pub(super) const TOUCHES: Touches = Touches::Everything;

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    base64_decode::decode(value.iter().filter_map(|&byte| base64_decode::digit(byte)))
}
