//! `t:parityEven7bit`, `t:parityOdd7bit`, `t:parityZero7bit`: the highest bit of each byte becomes the parity of the other seven, or
//! zero.

use super::Touches;
use crate::bytes::ByteSet;

pub(super) const TOUCHES: Touches = Touches::Everything;
/// Only a byte from 128 on changes.
pub(super) const TOUCHES_HIGH: Touches = Touches::Bytes(ByteSet::range(0x80, 0xff));

pub(super) fn even(value: &[u8]) -> Vec<u8> {
    value.iter().map(|byte| byte & 0x7f | odd_bit(*byte)).collect()
}

pub(super) fn odd(value: &[u8]) -> Vec<u8> {
    value.iter().map(|byte| byte & 0x7f | odd_bit(*byte) ^ 0x80).collect()
}

pub(super) fn zero(value: &[u8]) -> Vec<u8> {
    value.iter().map(|byte| byte & 0x7f).collect()
}

/// The highest bit, set where the number of set bits among the other seven is odd.
fn odd_bit(byte: u8) -> u8 {
    if (byte & 0x7f).count_ones() % 2 == 1 { 0x80 } else { 0 }
}
