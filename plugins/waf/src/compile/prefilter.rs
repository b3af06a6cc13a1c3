//! What must be true of a value before a pattern can be found in it: a least length, and bytes of which one must occur. Both
//! are read off the pattern's syntax, so they can never hide a match; for benign values they answer most questions.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::pattern::Pattern;
use crate::bytes::ByteSet;

/// Sets that are asked for. More of them cost more than they save.
const MOST_SETS: usize = 6;

/// A set that is likelier to occur than this is not worth asking for; see [`commonness`].
const MOST_COMMON: u32 = 400;

/// Conditions that every match fulfils.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prefilter {
    least_length: usize,
    needs: Vec<ByteSet>,
}

impl Prefilter {
    /// Reads the conditions off a pattern.
    #[must_use]
    pub fn of(pattern: &Pattern) -> Self {
        let mut needs = needs(&pattern.syntax);
        needs.retain(|set| commonness(set) <= MOST_COMMON);
        needs.sort_by_key(commonness);
        needs.dedup();
        needs.truncate(MOST_SETS);
        Self {
            least_length: pattern.syntax.properties().minimum_len().unwrap_or(0),
            needs,
        }
    }

    /// Whether the pattern cannot be found in a value made of these bytes.
    #[must_use]
    pub fn excludes(&self, value: &[u8], present: &ByteSet) -> bool {
        value.len() < self.least_length || self.needs.iter().any(|set| !set.intersects(present))
    }

    /// Whether it says nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.needs.is_empty()
    }
}

/// Sets of which each must have a byte in every match.
fn needs(hir: &Hir) -> Vec<ByteSet> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Vec::new(),
        HirKind::Literal(literal) => literal.0.iter().map(|&byte| ByteSet::EMPTY.with(byte)).collect(),
        HirKind::Class(Class::Bytes(class)) => {
            let set = class.ranges().iter().fold(ByteSet::EMPTY, |set, range| {
                set.union(ByteSet::range(range.start(), range.end()))
            });
            vec![set]
        }
        // Patterns are compiled without Unicode, so this does not occur; saying nothing is always right.
        HirKind::Class(Class::Unicode(_)) => Vec::new(),
        HirKind::Repetition(repetition) if repetition.min == 0 => Vec::new(),
        HirKind::Repetition(repetition) => needs(&repetition.sub),
        HirKind::Capture(capture) => needs(&capture.sub),
        HirKind::Concat(parts) => parts.iter().flat_map(needs).collect(),
        HirKind::Alternation(branches) => {
            let rarest = |branch: &Hir| needs(branch).into_iter().min_by_key(commonness);
            let union = branches
                .iter()
                .try_fold(ByteSet::EMPTY, |union, branch| Some(union.union(rarest(branch)?)));
            union.into_iter().collect()
        }
    }
}

/// How likely a set is to have a byte in a benign value: a rough weight a byte, summed.
fn commonness(set: &ByteSet) -> u32 {
    set.iter()
        .map(|byte| match byte {
            b'a' | b'e' | b'i' | b'n' | b'o' | b'r' | b's' | b't' => 100,
            b'a'..=b'z' => 45,
            b'0'..=b'9' => 40,
            b'A'..=b'Z' => 15,
            b' ' | b'/' | b'.' | b'-' => 25,
            b'_' | b',' | b':' | b'=' | b'&' | b'%' | b'+' | b'?' | b';' => 8,
            0x80..=0xff => 2,
            _ => 3,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compile::pattern::{Case, compile};

    fn excludes(pattern: &str, value: &[u8]) -> bool {
        Prefilter::of(&compile(pattern, Case::AsWritten).unwrap()).excludes(value, &ByteSet::present_in(value))
    }

    #[test]
    fn values_without_a_needed_byte_are_excluded() {
        assert!(excludes("<script", b"hello world"));
        assert!(excludes("(?i)(?:union.*select|'\\s*or)", b"tell tale"));
        assert!(excludes("abcdef", b"abc"));
        assert!(!excludes("<script", b"<script>"));
        assert!(!excludes("(?:<a|b?)", b""));
    }

    /// The promise of this file: what is found is never excluded.
    #[test]
    fn no_match_is_ever_hidden() {
        let patterns = [
            "(?i)a|b<c",
            "[^a]x?",
            "(?:ab|cd)+[;|]",
            "\\bfoo\\b|--",
            "^$",
            "(?i:K)",
            "[\\x80-\\xff]a",
            "a{2,3}(?:b|)",
        ];
        let alphabet = b"aAbBcdfkKox<;|-\xe2\x84\xaa \xff";
        let mut seed = 7u64;
        for pattern in patterns {
            let compiled = compile(pattern, Case::AsWritten).unwrap();
            let prefilter = Prefilter::of(&compiled);
            for _ in 0..3000 {
                let mut value = Vec::new();
                for _ in 0..(seed >> 60) {
                    seed = seed
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    value.push(alphabet[(seed >> 33) as usize % alphabet.len()]);
                }
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
                if compiled.regex.is_match(&value) {
                    assert!(
                        !prefilter.excludes(&value, &ByteSet::present_in(&value)),
                        "{pattern} {value:?}"
                    );
                }
            }
        }
    }
}
