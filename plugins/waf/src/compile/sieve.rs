//! The needs of many tests, asked of a value at once: one pass of one automaton over its bytes finds every literal of every
//! rule, one table look-up a distinct byte finds which clauses of bytes are fulfilled, and a few `and`s leave the tests that
//! may hold. For benign values hardly any do.

use aho_corasick::dfa::DFA;
use aho_corasick::{MatchKind, StartKind};

use super::literals::Literals;
use super::prefilter::{MOST_BYTE_CLAUSES, MOST_LITERAL_CLAUSES, Needs};
use crate::bytes::ByteSet;

/// The most tests that a sieve has; further ones are not sifted.
pub const MOST_QUESTIONS: usize = MOST_WORDS * 64;
/// The most words that a set of tests has.
pub const MOST_WORDS: usize = 8;

/// Values of this length and longer are long enough for every test.
const LONG: usize = 32;

/// How much of a literal is looked for. Longer ones make a larger automaton, and are hardly rarer.
const LITERAL_LENGTHS: [usize; 4] = [6, 5, 4, 3];

/// Which of many tests may hold for a value. A test is a bit of a set of [`Sieve::words`] words.
#[derive(Debug, Clone, Default)]
pub struct Sieve {
    words: usize,
    literals: Option<Literals>,
    /// The clauses of literals that tests do not have.
    vacuous_literals: Vec<u64>,
    /// The clauses of bytes that tests do not have.
    vacuous_bytes: Vec<u64>,
    /// For each byte, the clauses that it fulfils.
    by_byte: Vec<u64>,
    /// For each length up to [`LONG`], the tests for which it is enough.
    by_length: Vec<u64>,
}

impl Sieve {
    /// A sieve for these tests, of which there may be [`MOST_QUESTIONS`].
    #[must_use]
    pub fn new(questions: &[Needs]) -> Self {
        let words = questions.len().div_ceil(64);
        let mut sieve = Self {
            words,
            vacuous_literals: vec![0; MOST_LITERAL_CLAUSES * words],
            vacuous_bytes: vec![0; MOST_BYTE_CLAUSES * words],
            by_byte: vec![0; 256 * MOST_BYTE_CLAUSES * words],
            by_length: vec![0; (LONG + 1) * words],
            ..Self::default()
        };
        for (question, needs) in questions.iter().enumerate() {
            sieve.add_bytes(question, needs);
            sieve.add_length(question, needs);
        }
        sieve.add_literals(questions);
        sieve
    }

    /// How many words a set of tests has.
    #[must_use]
    pub fn words(&self) -> usize {
        self.words
    }

    /// The memory that its tables take, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let words = self.by_byte.len() + self.by_length.len() + self.vacuous_bytes.len() + self.vacuous_literals.len();
        self.literals.as_ref().map_or(0, Literals::memory) + words * 8
    }

    /// Adds the tests that may hold for a value, made of these bytes, to the end of a list: [`Self::words`] words.
    pub fn sift(&self, value: &[u8], present: &ByteSet, out: &mut Vec<u64>) {
        // With the number of words known when it is compiled, a set stays in registers.
        match self.words {
            0 => {}
            1 => self.sift_words::<1>(value, present, out),
            2 => self.sift_words::<2>(value, present, out),
            3 => self.sift_words::<3>(value, present, out),
            4 => self.sift_words::<4>(value, present, out),
            5 => self.sift_words::<5>(value, present, out),
            6 => self.sift_words::<6>(value, present, out),
            7 => self.sift_words::<7>(value, present, out),
            _ => self.sift_words::<8>(value, present, out),
        }
    }

    fn sift_words<const WORDS: usize>(&self, value: &[u8], present: &ByteSet, out: &mut Vec<u64>) {
        let (by_length, _) = self.by_length.as_chunks::<WORDS>();
        let mut set = by_length.get(value.len().min(LONG)).copied().unwrap_or([0; WORDS]);
        // Bytes first, because they are few, and what they leave tells whether literals are worth finding.
        let (by_byte, _) = self.by_byte.as_chunks::<WORDS>();
        let (vacuous, _) = self.vacuous_bytes.as_chunks::<WORDS>();
        let mut clauses = [[0; WORDS]; MOST_BYTE_CLAUSES];
        for (clause, vacuous) in clauses.iter_mut().zip(vacuous) {
            *clause = *vacuous;
        }
        for byte in present.iter() {
            let row = usize::from(byte) * MOST_BYTE_CLAUSES;
            if let Some(row) = by_byte.get(row..row + MOST_BYTE_CLAUSES) {
                for (clause, fulfilled) in clauses.iter_mut().zip(row) {
                    for word in 0..WORDS {
                        clause[word] |= fulfilled[word];
                    }
                }
            }
        }
        for clause in &clauses {
            for word in 0..WORDS {
                set[word] &= clause[word];
            }
        }
        let (vacuous, _) = self.vacuous_literals.as_chunks::<WORDS>();
        let literal_wanted = |word: usize| vacuous.iter().any(|vacuous| set[word] & !vacuous[word] != 0);
        if (0..WORDS).any(literal_wanted) {
            let mut fulfilled = [0u64; MOST_LITERAL_CLAUSES * MOST_WORDS];
            for (word, vacuous) in fulfilled.iter_mut().zip(&self.vacuous_literals) {
                *word = *vacuous;
            }
            if let Some(literals) = &self.literals {
                literals.find(value, &mut fulfilled);
            }
            let (clauses, _) = fulfilled.as_chunks::<WORDS>();
            for clause in clauses.iter().take(MOST_LITERAL_CLAUSES) {
                for word in 0..WORDS {
                    set[word] &= clause[word];
                }
            }
        }
        out.extend_from_slice(&set);
    }

    fn add_bytes(&mut self, question: usize, needs: &Needs) {
        let words = self.words;
        for clause in 0..MOST_BYTE_CLAUSES {
            let bit = clause * words * 64 + question;
            match needs.bytes.get(clause) {
                None => set_bit(&mut self.vacuous_bytes, bit),
                Some(set) => {
                    for byte in set.iter() {
                        let row = usize::from(byte) * MOST_BYTE_CLAUSES * words * 64;
                        set_bit(&mut self.by_byte, row + bit);
                    }
                }
            }
        }
    }

    fn add_length(&mut self, question: usize, needs: &Needs) {
        for length in needs.least_length.min(LONG)..=LONG {
            set_bit(&mut self.by_length, length * self.words * 64 + question);
        }
    }

    /// Looks for as much of each literal as the automaton has room for. Where there is none, nothing is looked for.
    fn add_literals(&mut self, questions: &[Needs]) {
        for length in LITERAL_LENGTHS {
            let mut found: Vec<(Vec<u8>, u16)> = Vec::new();
            self.vacuous_literals.fill(0);
            for (question, needs) in questions.iter().enumerate() {
                for clause in 0..MOST_LITERAL_CLAUSES {
                    let bit = clause * self.words * 64 + question;
                    match needs.literals.get(clause) {
                        None => set_bit(&mut self.vacuous_literals, bit),
                        Some(texts) => found.extend(
                            texts
                                .iter()
                                .map(|text| (text.get(..length).unwrap_or(text).to_vec(), bit as u16)),
                        ),
                    }
                }
            }
            found.sort();
            found.dedup();
            if found.is_empty() {
                return;
            }
            let mut literals: Vec<&[u8]> = found.iter().map(|(text, _)| text.as_slice()).collect();
            literals.dedup();
            let automaton = DFA::builder()
                .ascii_case_insensitive(true)
                .match_kind(MatchKind::Standard)
                .start_kind(StartKind::Unanchored)
                .prefilter(false)
                .build(&literals);
            let Ok(automaton) = automaton else { continue };
            let clauses = |literal: usize| {
                let text = literals.get(literal).copied().unwrap_or_default();
                let same = found.iter().filter(move |(known, _)| known == text);
                same.map(|(_, bit)| *bit)
            };
            self.literals = Literals::of(&automaton, &literals, clauses);
            if self.literals.is_some() {
                return;
            }
        }
        self.vacuous_literals.fill(u64::MAX);
    }
}

/// Whether a test is in a set.
#[must_use]
pub fn has(set: &[u64], question: usize) -> bool {
    set.get(question / 64)
        .is_some_and(|word| word & (1 << (question % 64)) != 0)
}

/// Puts a test into a set, where there is room for it.
pub(super) fn set_bit(sets: &mut [u64], bit: usize) {
    if let Some(word) = sets.get_mut(bit / 64) {
        *word |= 1 << (bit % 64);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compile::pattern::{Case, Pattern, compile};

    fn sifted(sieve: &Sieve, value: &[u8]) -> Vec<u64> {
        let mut out = Vec::new();
        sieve.sift(value, &ByteSet::present_in(value), &mut out);
        out
    }

    fn excludes(pattern: &str, value: &[u8]) -> bool {
        let needs = Needs::of_pattern(&compile(pattern, Case::AsWritten).unwrap().syntax);
        !has(&sifted(&Sieve::new(&[needs]), value), 0)
    }

    #[test]
    fn values_without_what_a_test_needs_are_excluded() {
        assert!(excludes("<script", b"hello world"));
        assert!(excludes("<script", b"< script"));
        assert!(excludes("(?i)(?:union.*select|'\\s*or)", b"tell tale"));
        assert!(excludes("(?i)union.*select", b"credit union"));
        assert!(excludes("abcdef", b"abc"));
        assert!(!excludes("<script", b"<script>"));
        assert!(!excludes("(?i)UNION.*select", b"a Union SELECTed"));
        assert!(!excludes("(?:<a|b?)", b""));
    }

    #[test]
    fn literals_are_found_wherever_they_stand_in_a_long_value() {
        let needs = ["<script", "xyz", "select"]
            .map(|pattern| Needs::of_pattern(&compile(pattern, Case::AsWritten).unwrap().syntax));
        let sieve = Sieve::new(&needs);
        for length in [127, 128, 129, 130, 131, 132, 133, 400, 1021] {
            assert_eq!(sifted(&sieve, &vec![b'x'; length]), [0], "{length}");
            for at in 0..=length - 7 {
                let mut value = vec![b'x'; length];
                value[at..at + 7].copy_from_slice(b"<script");
                assert_eq!(sifted(&sieve, &value), [1], "{length} {at}");
                value[at..at + 7].copy_from_slice(b"_select");
                assert_eq!(sifted(&sieve, &value), [4], "{length} {at}");
            }
        }
    }

    /// The promise of this file: what is found is never excluded, by no test among many.
    #[test]
    fn no_match_is_ever_hidden() {
        let patterns: Vec<Pattern> = [
            "(?i)a|b<c",
            "[^a]x?",
            "(?:ab|cd)+[;|]",
            "\\bfoo\\b|--",
            "^$",
            "(?i:K)",
            "[\\x80-\\xff]a",
            "a{2,3}(?:b|)",
            "(?i)f(?:o|ko)+x;?-",
            "(?:a|b|c)(?:d|f|k)<",
            "(?:<+a|;{2})-",
            "foo(?:koo)?;|xox",
        ]
        .iter()
        .map(|pattern| compile(pattern, Case::AsWritten).unwrap())
        .collect();
        // More than 64, so that every one stands in two words.
        let needs: Vec<Needs> = patterns
            .iter()
            .map(|pattern| Needs::of_pattern(&pattern.syntax))
            .collect();
        let needs: Vec<Needs> = needs.iter().cycle().take(needs.len() * 8).cloned().collect();
        let sieve = Sieve::new(&needs);
        assert_eq!(sieve.words(), 2);
        let alphabet = b"aAbBcdfFkKoOxX<;|-\xe2\x84\xaa \xff";
        let mut seed = 7u64;
        let mut found = 0;
        for _ in 0..20_000 {
            let mut value = Vec::new();
            for _ in 0..(seed >> 60) {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                value.push(alphabet[(seed >> 33) as usize % alphabet.len()]);
            }
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            let may_hold = sifted(&sieve, &value);
            for question in 0..needs.len() {
                let pattern = &patterns[question % patterns.len()];
                if pattern.regex.is_match(&value) {
                    found += 1;
                    assert!(has(&may_hold, question), "{} {value:?}", pattern.regex);
                }
            }
        }
        assert!(found > 10_000, "the values say something: {found}");
    }
}
