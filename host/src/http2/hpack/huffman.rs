//! The Huffman code of strings (RFC 7541 §5.2, appendix B).
//!
//! The code is canonical: the length of every symbol's code gives the codes. From them a machine that eats four bits a step
//! is made when Weir is compiled.

use bytes::BufMut;

/// Bits of the code of every byte, and last of EOS.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];
const EOS: usize = 256;
const LONGEST: u8 = 30;

/// What four bits do in a state.
#[derive(Clone, Copy)]
struct Step {
    next: u8,
    output: Output,
    symbol: u8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Output {
    None,
    Symbol,
    /// EOS inside a string (RFC 7541 §5.2).
    Fail,
}

struct Machine {
    steps: [[Step; 16]; 256],
    /// Whether a string may end in this state: less than a byte of padding, all ones.
    ends: [bool; 256],
}

static MACHINE: Machine = machine();

/// The string was no Huffman code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Invalid;

/// Decodes a whole string behind what `out` holds. The caller has made room: at most [`expanded`] bytes come.
pub(super) fn decode(input: &[u8], out: &mut impl BufMut) -> Result<(), Invalid> {
    let mut state = 0_u8;
    for &byte in input {
        for nibble in [byte >> 4, byte & 15] {
            let step = &MACHINE.steps[usize::from(state)][usize::from(nibble)];
            match step.output {
                Output::None => {}
                Output::Symbol => out.put_u8(step.symbol),
                Output::Fail => return Err(Invalid),
            }
            state = step.next;
        }
    }
    if MACHINE.ends[usize::from(state)] {
        Ok(())
    } else {
        Err(Invalid)
    }
}

/// The most bytes that so many coded ones can become: the shortest code has five bits.
pub(super) fn expanded(coded: usize) -> usize {
    coded.saturating_mul(8) / 5
}

/// The code as a tree, walked four bits at a time.
const fn machine() -> Machine {
    let (children, ends) = tree();
    let mut steps = [[Step {
        next: 0,
        output: Output::None,
        symbol: 0,
    }; 16]; 256];
    let mut node = 0;
    while node < 256 {
        let mut nibble = 0;
        while nibble < 16 {
            steps[node][nibble] = walk(&children, node, nibble);
            nibble += 1;
        }
        node += 1;
    }
    Machine { steps, ends }
}

/// A child that is a leaf has this added to its symbol.
const LEAF: u16 = 0x1000;

const fn walk(children: &[[u16; 2]; 256], from: usize, nibble: usize) -> Step {
    let mut step = Step {
        next: 0,
        output: Output::None,
        symbol: 0,
    };
    let mut node = from;
    let mut bit = 4;
    while bit > 0 {
        bit -= 1;
        let child = children[node][(nibble >> bit) & 1];
        if child == LEAF + EOS as u16 {
            return Step {
                next: 0,
                output: Output::Fail,
                symbol: 0,
            };
        }
        if child >= LEAF {
            step.output = Output::Symbol;
            step.symbol = (child - LEAF) as u8;
            node = 0;
        } else {
            node = child as usize;
        }
    }
    step.next = node as u8;
    step
}

/// The children of every inner node, and which of them lie on the path of ones that padding takes.
const fn tree() -> ([[u16; 2]; 256], [bool; 256]) {
    let mut children = [[0_u16; 2]; 256];
    let mut ends = [false; 256];
    let mut nodes = 1;
    let mut code = 0_u32;
    let mut length = 1;
    while length <= LONGEST {
        code <<= 1;
        let mut symbol = 0;
        while symbol <= EOS {
            if LENGTHS[symbol] == length {
                let mut node = 0;
                let mut bit = length - 1;
                while bit > 0 {
                    let way = ((code >> bit) & 1) as usize;
                    if children[node][way] == 0 {
                        children[node][way] = nodes;
                        nodes += 1;
                    }
                    node = children[node][way] as usize;
                    bit -= 1;
                }
                children[node][(code & 1) as usize] = LEAF + symbol as u16;
                code += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    let mut node = 0;
    let mut depth = 0;
    while depth < 8 {
        ends[node] = true;
        node = children[node][1] as usize;
        depth += 1;
    }
    (children, ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(input: &[u8]) -> Result<Vec<u8>, Invalid> {
        let mut out = Vec::new();
        decode(input, &mut out).map(|()| out)
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        // RFC 7541 C.4.1, C.4.2, C.6.1.
        let authority = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert_eq!(decoded(&authority), Ok(b"www.example.com".to_vec()));
        assert_eq!(decoded(&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]), Ok(b"no-cache".to_vec()));
        assert_eq!(decoded(&[0x64, 0x02]), Ok(b"302".to_vec()));
        assert_eq!(decoded(&[]), Ok(Vec::new()));
    }

    #[test]
    fn padding_is_less_than_a_byte_of_ones_and_no_eos() {
        // "a" is 00011.
        assert_eq!(decoded(&[0b0001_1111]), Ok(b"a".to_vec()));
        assert_eq!(decoded(&[0b0001_1000]), Err(Invalid), "padded with zeros");
        assert_eq!(decoded(&[0b0001_1111, 0xff]), Err(Invalid), "more than seven bits");
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xff]), Err(Invalid), "EOS");
    }
}
