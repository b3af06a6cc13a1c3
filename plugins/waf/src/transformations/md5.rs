//! `t:md5`: the 16 bytes of the digest (RFC 1321). Used by rules for keys, never for security.

use super::Touches;

pub(super) const TOUCHES: Touches = Touches::Everything;

/// By how much each round rotates: four a group of sixteen.
const ROTATIONS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// The integer part of 2^32 times the absolute sine of 1 to 64 (RFC 1321 §3.4).
fn sines() -> [u32; 64] {
    let mut sines = [0; 64];
    for (index, sine) in (1u8..).zip(&mut sines) {
        *sine = (f64::from(index).sin().abs() * 4_294_967_296.0) as u32;
    }
    sines
}

pub(super) fn apply(value: &[u8]) -> Vec<u8> {
    let sines = sines();
    let mut state = [0x6745_2301u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in padded(value, u64::to_le_bytes).chunks_exact(64) {
        let mut words = [0u32; 16];
        for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
            *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        let [mut a, mut b, mut c, mut d] = state;
        for round in 0..64 {
            let (mix, word) = match round / 16 {
                0 => ((b & c) | (!b & d), round),
                1 => ((d & b) | (!d & c), (5 * round + 1) % 16),
                2 => (b ^ c ^ d, (3 * round + 5) % 16),
                _ => (c ^ (b | !d), 7 * round % 16),
            };
            let sum = a.wrapping_add(mix).wrapping_add(sines[round]).wrapping_add(words[word]);
            (a, d, c, b) = (
                d,
                c,
                b,
                b.wrapping_add(sum.rotate_left(ROTATIONS[round / 16][round % 4])),
            );
        }
        for (sum, word) in state.iter_mut().zip([a, b, c, d]) {
            *sum = sum.wrapping_add(word);
        }
    }
    state.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The message with a one bit, zeros and its length in bits, to a multiple of 64 bytes: what MD5 and SHA-1 both work on.
pub(super) fn padded(value: &[u8], length: fn(u64) -> [u8; 8]) -> Vec<u8> {
    let mut message = value.to_vec();
    message.push(0x80);
    message.resize((message.len() + 8).next_multiple_of(64) - 8, 0);
    message.extend(length(value.len() as u64 * 8));
    message
}
