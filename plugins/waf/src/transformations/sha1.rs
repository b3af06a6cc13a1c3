//! `t:sha1`: the 20 bytes of the digest (FIPS 180-4). Used by rules for keys, never for security.

use super::Touches;

pub(super) const TOUCHES: Touches = Touches::Everything;

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    let mut state = [0x6745_2301u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    for block in super::md5::padded(value, u64::to_be_bytes).chunks_exact(64) {
        let mut words = [0u32; 80];
        for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
            *word = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        for at in 16..80 {
            words[at] = (words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16]).rotate_left(1);
        }
        let mut chain = state;
        let [first, second, third, fourth] = [0, 20, 40, 60].map(|from| &words[from..from + 20]);
        rounds(&mut chain, first, 0x5a82_7999, |b, c, d| (b & c) | (!b & d));
        rounds(&mut chain, second, 0x6ed9_eba1, |b, c, d| b ^ c ^ d);
        rounds(&mut chain, third, 0x8f1b_bcdc, |b, c, d| (b & c) | (b & d) | (c & d));
        rounds(&mut chain, fourth, 0xca62_c1d6, |b, c, d| b ^ c ^ d);
        for (sum, word) in state.iter_mut().zip(chain) {
            *sum = sum.wrapping_add(word);
        }
    }
    state.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// Twenty rounds, which share a function and a constant.
fn rounds(chain: &mut [u32; 5], words: &[u32], constant: u32, mix: impl Fn(u32, u32, u32) -> u32) {
    let [mut a, mut b, mut c, mut d, mut e] = *chain;
    for word in words {
        let next = a
            .rotate_left(5)
            .wrapping_add(mix(b, c, d))
            .wrapping_add(e)
            .wrapping_add(constant)
            .wrapping_add(*word);
        (a, b, c, d, e) = (next, a, b.rotate_left(30), c, d);
    }
    *chain = [a, b, c, d, e];
}
