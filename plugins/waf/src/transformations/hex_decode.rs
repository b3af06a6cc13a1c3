//! `t:hexDecode`: pairs of hexadecimal digits to bytes, up to the first that is none.

use super::Touches;
use crate::bytes::hex_pair;

pub(super) const TOUCHES: Touches = Touches::Everything;

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    value
        .chunks_exact(2)
        .map_while(|pair| hex_pair(pair[0], pair[1]))
        .collect()
}
