//! `@pm foo bar`: one of the phrases occurs in the value, compared without case (ASCII). `|3a 2f|` in a phrase are bytes in
//! hexadecimal digits.

use aho_corasick::{AhoCorasick, MatchKind};

use super::{Groups, Test};
use crate::bytes::hex_pair;
use crate::compile::prefilter::Needs;
use crate::seclang::Files;

pub(super) fn build(argument: &str, _files: &dyn Files) -> Result<Test, String> {
    // A blank inside of |..| separates bytes, not phrases.
    let mut phrases = vec![String::new()];
    let mut in_hex = false;
    for c in argument.chars() {
        in_hex ^= c == '|';
        match phrases.last_mut() {
            Some(last) if in_hex || !c.is_ascii_whitespace() => last.push(c),
            _ => phrases.push(String::new()),
        }
    }
    phrases.retain(|phrase| !phrase.is_empty());
    Phrases::of(phrases.iter().map(|phrase| unescape(phrase))).map(Test::Phrases)
}

/// Many phrases as one automaton.
#[derive(Debug, Clone)]
pub struct Phrases {
    automaton: AhoCorasick,
    shortest: usize,
    needs: Needs,
}

impl Phrases {
    pub(super) fn of(phrases: impl Iterator<Item = Vec<u8>>) -> Result<Self, String> {
        let phrases: Vec<Vec<u8>> = phrases.collect();
        let Some(shortest) = phrases.iter().map(Vec::len).min() else {
            return Err("at least one phrase is needed".to_owned());
        };
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostFirst)
            .build(&phrases)
            .map_err(|error| format!("the phrases do not fit one automaton: {error}"))?;
        Ok(Self {
            automaton,
            shortest,
            needs: Needs::one_of(phrases),
        })
    }

    pub(super) fn is_found(&self, value: &[u8]) -> bool {
        value.len() >= self.shortest && self.automaton.is_match(value)
    }

    /// What must be true of a value in which a phrase is found.
    pub(super) fn needs(&self) -> &Needs {
        &self.needs
    }

    /// The phrase is the whole match.
    pub(super) fn groups(&self, value: &[u8]) -> Groups {
        let mut groups = Groups::default();
        groups[0] = self
            .automaton
            .find(value)
            .map(|found| (found.start() as u32, found.end() as u32));
        groups
    }
}

/// `a|3a 62|c` is `a:bc`. A bar that encloses anything else is a bar.
fn unescape(phrase: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = phrase;
    while let Some((before, after)) = rest.split_once('|') {
        out.extend_from_slice(before.as_bytes());
        match after
            .split_once('|')
            .and_then(|(hex, tail)| Some((hex_bytes(hex)?, tail)))
        {
            Some((bytes, tail)) => {
                out.extend(bytes);
                rest = tail;
            }
            None => {
                out.push(b'|');
                rest = after;
            }
        }
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    let bytes: Option<Vec<u8>> = text
        .split_ascii_whitespace()
        .map(|pair| match pair.as_bytes() {
            [high, low] => hex_pair(*high, *low),
            _ => None,
        })
        .collect();
    bytes.filter(|bytes| !bytes.is_empty())
}
