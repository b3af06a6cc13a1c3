//! What must be true of a value before a test can hold for it: a least length, and clauses, each a list of bytes or of short
//! texts of which one must occur. They are read off the pattern's syntax, so they can never hide a match; for benign values
//! they answer most questions. [`super::sieve`] asks the needs of all rules at once.

use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

use crate::bytes::ByteSet;

/// How many exact texts of a part of a pattern are kept before it is only known what they hold.
const MOST_EXACT: usize = 400;

/// A repetition is written out at most so often.
const MOST_COPIES: u32 = 8;

/// How unlikely a clause must be to be worth asking for, in bits a position of a value: see [`Likelihood`].
const LEAST_BITS_OF_BYTES: f64 = 3.3;
const LEAST_BITS_OF_LITERALS: f64 = 6.0;

/// How many clauses of a kind are asked for. More of them cost more than they save.
pub const MOST_BYTE_CLAUSES: usize = 3;
/// The same for literals.
pub const MOST_LITERAL_CLAUSES: usize = 2;

/// Conditions that every value fulfils for which a test holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// In bytes.
    pub least_length: usize,
    /// Of each set, a byte must occur. Rarest first.
    pub bytes: Vec<ByteSet>,
    /// Of each list, a text must occur, compared without case (ASCII). All are in small letters. Rarest first.
    pub literals: Vec<Vec<Box<[u8]>>>,
}

impl Needs {
    /// Reads the conditions off a pattern's syntax.
    #[must_use]
    pub fn of_pattern(syntax: &Hir) -> Self {
        let known = known(syntax);
        let mut literals = known.clauses;
        literals.extend(known.exact);
        Self::of(
            syntax.properties().minimum_len().unwrap_or(0),
            byte_clauses(syntax),
            literals,
        )
    }

    /// One of these texts must occur, whatever the case of its letters.
    #[must_use]
    pub fn one_of(texts: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let texts: Vec<Vec<u8>> = texts.into_iter().map(|text| text.to_ascii_lowercase()).collect();
        let least_length = texts.iter().map(Vec::len).min().unwrap_or(0);
        let any_case = |text: &Vec<u8>| {
            let rarest = text.iter().map(|&byte| both_cases(byte));
            rarest.min_by(|a, b| a.likelihood().total_cmp(&b.likelihood()))
        };
        let bytes = texts
            .iter()
            .try_fold(ByteSet::EMPTY, |union, text| Some(union.union(any_case(text)?)));
        Self::of(least_length, bytes.into_iter().collect(), vec![texts])
    }

    /// One of these bytes must occur.
    #[must_use]
    pub fn a_byte_of(set: ByteSet) -> Self {
        Self {
            least_length: 1,
            bytes: vec![set],
            literals: Vec::new(),
        }
    }

    fn of(least_length: usize, bytes: Vec<ByteSet>, literals: Vec<Vec<Vec<u8>>>) -> Self {
        // A clause of single bytes only is among those of bytes already.
        let longer = |clause: &Vec<Vec<u8>>| clause.iter().any(|text| text.len() > 1);
        let literals = literals.into_iter().filter(longer).map(reduced).collect();
        Self {
            least_length,
            bytes: rarest(bytes, LEAST_BITS_OF_BYTES, MOST_BYTE_CLAUSES),
            literals: rarest(literals, LEAST_BITS_OF_LITERALS, MOST_LITERAL_CLAUSES),
        }
    }

    /// Whether they say nothing but the length.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.literals.is_empty()
    }
}

/// The clauses that are unlikely enough, and of these the least likely.
fn rarest<C: Likelihood + PartialEq>(mut clauses: Vec<C>, least_bits: f64, most: usize) -> Vec<C> {
    clauses.retain(|clause| -clause.likelihood().log2() >= least_bits);
    clauses.sort_by(|a, b| a.likelihood().total_cmp(&b.likelihood()));
    clauses.dedup();
    clauses.truncate(most);
    clauses
}

/// How likely a clause is to be fulfilled at one position of a benign value: a rough estimate, 0 to 1 or a little more.
trait Likelihood {
    fn likelihood(&self) -> f64;
}

impl Likelihood for u8 {
    fn likelihood(&self) -> f64 {
        match self {
            b'a' | b'e' | b'i' | b'n' | b'o' | b'r' | b's' | b't' => 0.07,
            b'a'..=b'z' => 0.02,
            b'0'..=b'9' => 0.03,
            b' ' | b'/' | b'.' | b'-' => 0.03,
            b'A'..=b'Z' => 0.005,
            b'_' | b',' | b':' | b'=' | b'&' | b'%' | b'+' | b'?' | b';' => 0.006,
            _ => 0.002,
        }
    }
}

impl Likelihood for ByteSet {
    fn likelihood(&self) -> f64 {
        self.iter().map(|byte| byte.likelihood()).sum()
    }
}

impl Likelihood for Vec<Box<[u8]>> {
    fn likelihood(&self) -> f64 {
        let text = |text: &[u8]| text.iter().map(Likelihood::likelihood).product::<f64>();
        self.iter().map(|literal| text(literal)).sum()
    }
}

/// Without duplicates, and without texts that hold another one, as far as these are few.
fn reduced(mut texts: Vec<Vec<u8>>) -> Vec<Box<[u8]>> {
    texts.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    texts.dedup();
    let mut kept: Vec<Box<[u8]>> = Vec::new();
    for text in texts {
        if kept.len() > MOST_EXACT || !kept.iter().any(|known| memchr::memmem::find(&text, known).is_some()) {
            kept.push(text.into());
        }
    }
    kept
}

/// Sets of which each must have a byte in every match.
fn byte_clauses(hir: &Hir) -> Vec<ByteSet> {
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
        HirKind::Repetition(repetition) => byte_clauses(&repetition.sub),
        HirKind::Capture(capture) => byte_clauses(&capture.sub),
        HirKind::Concat(parts) => parts.iter().flat_map(byte_clauses).collect(),
        HirKind::Alternation(branches) => {
            let rarest = |branch: &Hir| {
                let clauses = byte_clauses(branch).into_iter();
                clauses.min_by(|a, b| a.likelihood().total_cmp(&b.likelihood()))
            };
            let union = branches
                .iter()
                .try_fold(ByteSet::EMPTY, |union, branch| Some(union.union(rarest(branch)?)));
            union.into_iter().collect()
        }
    }
}

/// What is known of the texts that a part of a pattern matches. All in small letters.
#[derive(Debug, Clone, Default)]
struct Known {
    /// All of them, where they are few.
    exact: Option<Vec<Vec<u8>>>,
    /// Lists of which each has a text that occurs in every match.
    clauses: Vec<Vec<Vec<u8>>>,
}

impl Known {
    fn exactly(texts: Vec<Vec<u8>>) -> Self {
        Self {
            exact: Some(texts),
            clauses: Vec::new(),
        }
    }

    /// The most telling clause, the exact texts included.
    fn rarest(self) -> Option<Vec<Vec<u8>>> {
        let likelihood = |clause: &Vec<Vec<u8>>| {
            let text = |text: &Vec<u8>| text.iter().map(Likelihood::likelihood).product::<f64>();
            clause.iter().map(text).sum::<f64>()
        };
        let clauses = self.clauses.into_iter().chain(self.exact);
        clauses
            .filter(|clause| clause.iter().all(|text| !text.is_empty()))
            .min_by(|a, b| likelihood(a).total_cmp(&likelihood(b)))
    }
}

fn known(hir: &Hir) -> Known {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Known::exactly(vec![Vec::new()]),
        HirKind::Literal(literal) => Known::exactly(vec![literal.0.to_ascii_lowercase()]),
        HirKind::Class(Class::Bytes(class)) => {
            let bytes = class.ranges().iter().flat_map(|range| range.start()..=range.end());
            let mut texts: Vec<Vec<u8>> = bytes.map(|byte| vec![byte.to_ascii_lowercase()]).collect();
            texts.sort_unstable();
            texts.dedup();
            if texts.len() <= 16 {
                Known::exactly(texts)
            } else {
                Known::default()
            }
        }
        HirKind::Class(Class::Unicode(_)) => Known::default(),
        HirKind::Repetition(repetition) => known_of_repetition(repetition),
        HirKind::Capture(capture) => known(&capture.sub),
        HirKind::Concat(parts) => known_of_sequence(parts.iter().map(known)),
        HirKind::Alternation(branches) => known_of_branches(branches.iter().map(known).collect()),
    }
}

fn known_of_repetition(repetition: &Repetition) -> Known {
    if repetition.min == 0 {
        let optional = repetition.max == Some(1);
        let mut exact = known(&repetition.sub).exact.filter(|_| optional);
        if let Some(texts) = &mut exact {
            texts.push(Vec::new());
        }
        return Known {
            exact,
            clauses: Vec::new(),
        };
    }
    let copies = repetition.min.min(MOST_COPIES);
    let more = repetition.max != Some(copies);
    let copies = (0..copies).map(|_| known(&repetition.sub));
    // What may follow is unknown, and ends the texts that are known exactly.
    known_of_sequence(copies.chain(more.then(Known::default)))
}

fn known_of_sequence(parts: impl Iterator<Item = Known>) -> Known {
    let mut run = vec![Vec::new()];
    let mut clauses = Vec::new();
    let mut whole = true;
    for part in parts {
        clauses.extend(part.clauses);
        match part.exact {
            Some(texts) if run.len() * texts.len() <= MOST_EXACT => {
                run = run
                    .iter()
                    .flat_map(|start| texts.iter().map(move |end| [start.as_slice(), end].concat()))
                    .collect();
            }
            other => {
                whole = false;
                clauses.push(std::mem::replace(&mut run, other.unwrap_or_else(|| vec![Vec::new()])));
            }
        }
    }
    if whole {
        return Known {
            exact: Some(run),
            clauses,
        };
    }
    clauses.push(run);
    clauses.retain(|clause| clause.iter().all(|text| !text.is_empty()));
    Known { exact: None, clauses }
}

fn known_of_branches(branches: Vec<Known>) -> Known {
    let total: usize = branches
        .iter()
        .map(|branch| branch.exact.as_ref().map_or(MOST_EXACT + 1, Vec::len))
        .sum();
    if total <= MOST_EXACT {
        return Known::exactly(
            branches
                .into_iter()
                .filter_map(|branch| branch.exact)
                .flatten()
                .collect(),
        );
    }
    let union = branches.into_iter().try_fold(Vec::new(), |mut union, branch| {
        union.extend(branch.rarest()?);
        Some(union)
    });
    Known {
        exact: None,
        clauses: union.into_iter().collect(),
    }
}

fn both_cases(byte: u8) -> ByteSet {
    ByteSet::EMPTY
        .with(byte.to_ascii_lowercase())
        .with(byte.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compile::pattern::{Case, compile};

    fn needs(pattern: &str) -> Needs {
        Needs::of_pattern(&compile(pattern, Case::AsWritten).unwrap().syntax)
    }

    fn literals(pattern: &str) -> Vec<Vec<String>> {
        let shown = |text: &[u8]| String::from_utf8(text.to_vec()).unwrap();
        needs(pattern)
            .literals
            .iter()
            .map(|clause| clause.iter().map(|text| shown(text)).collect())
            .collect()
    }

    #[test]
    fn the_texts_that_must_occur_are_found() {
        assert_eq!(literals("(?i)<script[^>]*>"), [["<script"]]);
        assert_eq!(literals("(?i)union.*?select"), [["select"], ["union"]]);
        assert_eq!(literals("(?:un|re)set x"), [["reset x", "unset x"]]);
        assert_eq!(literals("a(?:bc|\\d+)?d"), Vec::<Vec<String>>::new());
        assert_eq!(literals("(?:foo|fo+x;)y"), [["x;", "foo"]], "the rarest of each branch");
        assert_eq!(literals("x{3,}"), [["xxx"]]);
        assert_eq!(literals("(?:[^a]|select)x"), Vec::<Vec<String>>::new());
    }

    #[test]
    fn the_bytes_and_the_length_are_found() {
        let needs = needs("['\"]\\s*or.{3}");
        assert_eq!(needs.least_length, 6);
        assert_eq!(needs.bytes.first(), Some(&ByteSet::of(b"'\"")));
    }
}
