//! `t:trimRight`: white space at the end goes.

use super::Touches;
use crate::bytes::{SPACE, is_space};

pub(super) const TOUCHES: Touches = Touches::Bytes(SPACE);

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    trimmed(value).to_vec()
}

pub(super) fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [rest @ .., last] = value
        && is_space(*last)
    {
        value = rest;
    }
    value
}
