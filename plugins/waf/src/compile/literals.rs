//! Many texts looked for at once: an automaton of Aho and Corasick as a table of rows, laid out for the one loop that reads it. A byte
//! costs a look-up of its column, a look-up of the next row, and a comparison that tells whether a text ends there.

use std::collections::{HashMap, HashSet};

use aho_corasick::Anchored;
use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::dfa::DFA;

use super::sieve::set_bit;

/// What the table may take, in bytes.
const TABLE_LIMIT: usize = 6 << 20;

/// How many parts of a value are read at once.
const LANES: usize = 4;

/// From this length on a value is read in parts.
const LONG: usize = 128;

/// The literals of a [`Sieve`](super::sieve::Sieve), and the clauses that each fulfils.
#[derive(Debug, Clone)]
pub(super) struct Literals {
    /// For each byte, its column; all that occur in no literal share the first one.
    columns: [u8; 256],
    /// For each state and column, the next state. A state is where its row begins.
    next: Vec<u32>,
    width: usize,
    /// The length of the longest literal.
    longest: usize,
    start: u32,
    /// From this state on a literal ends in each.
    first_match: u32,
    /// Of each of these states, where its clauses stand in `clauses`.
    starts: Vec<u32>,
    /// Bits of [`MOST_LITERAL_CLAUSES`](super::prefilter::MOST_LITERAL_CLAUSES) sets, one after the other.
    clauses: Vec<u16>,
}

impl Literals {
    /// The table of an automaton that finds these literals without regard to case; nothing where it would be too large.
    pub(super) fn of<C: Iterator<Item = u16>>(
        automaton: &DFA,
        literals: &[&[u8]],
        clauses: impl Fn(usize) -> C,
    ) -> Option<Self> {
        let (columns, bytes) = columns(literals);
        let width = bytes.len();
        let states = states(automaton, &bytes)?;
        if states.len().checked_mul(width * size_of::<u32>())? > TABLE_LIMIT {
            return None;
        }
        let row = |index: usize| u32::try_from(index * width).ok();
        let mut rows: HashMap<StateID, u32> = HashMap::with_capacity(states.len());
        for (index, state) in states.iter().enumerate() {
            rows.insert(*state, row(index)?);
        }
        let mut table = Self {
            columns,
            next: Vec::with_capacity(states.len() * width),
            width,
            longest: literals.iter().map(|literal| literal.len()).max().unwrap_or_default(),
            start: *rows.get(&automaton.start_state(Anchored::No).ok()?)?,
            first_match: row(states.iter().take_while(|state| !automaton.is_match(**state)).count())?,
            starts: Vec::new(),
            clauses: Vec::new(),
        };
        for state in &states {
            for byte in &bytes {
                let next = automaton.next_state(Anchored::No, *state, *byte);
                table.next.push(*rows.get(&next)?);
            }
            if automaton.is_match(*state) {
                table.starts.push(u32::try_from(table.clauses.len()).ok()?);
                for at in 0..automaton.match_len(*state) {
                    table
                        .clauses
                        .extend(clauses(automaton.match_pattern(*state, at).as_usize()));
                }
            }
        }
        table.starts.push(u32::try_from(table.clauses.len()).ok()?);
        Some(table)
    }

    /// Adds the clauses that the literals in a value fulfil to a set.
    pub(super) fn find(&self, value: &[u8], fulfilled: &mut [u64]) {
        let rest = if value.len() >= LONG {
            self.find_in_lanes(value, fulfilled)
        } else {
            (value, self.start)
        };
        self.go_on(rest, fulfilled);
    }

    /// Reads four parts of a value side by side, because a state is waited for longer than it takes to look it up. Gives what is left, and
    /// the state there.
    ///
    /// Parts overlap by all but one byte of the longest literal: whatever begins in the part's own bytes ends in it. What is found
    /// twice is the same bit.
    fn find_in_lanes<'v>(&self, value: &'v [u8], fulfilled: &mut [u64]) -> (&'v [u8], u32) {
        let overlap = self.longest.saturating_sub(1);
        let own = value.len().saturating_sub(overlap) / LANES;
        let mut lanes = [&value[..0]; LANES];
        for (at, lane) in lanes.iter_mut().enumerate() {
            *lane = value.get(at * own..(at + 1) * own + overlap).unwrap_or_default();
        }
        let [a, b, c, d] = lanes;
        let [mut in_a, mut in_b, mut in_c, mut in_d] = [self.start; LANES];
        for (((a, b), c), d) in a.iter().zip(b).zip(c).zip(d) {
            in_a = self.step(in_a, *a);
            in_b = self.step(in_b, *b);
            in_c = self.step(in_c, *c);
            in_d = self.step(in_d, *d);
            if in_a.max(in_b).max(in_c.max(in_d)) >= self.first_match {
                for state in [in_a, in_b, in_c, in_d] {
                    if state >= self.first_match {
                        self.fulfil(state, fulfilled);
                    }
                }
            }
        }
        (value.get(LANES * own + overlap..).unwrap_or_default(), in_d)
    }

    fn go_on(&self, (value, mut state): (&[u8], u32), fulfilled: &mut [u64]) {
        for &byte in value {
            state = self.step(state, byte);
            if state >= self.first_match {
                self.fulfil(state, fulfilled);
            }
        }
    }

    #[inline]
    fn step(&self, state: u32, byte: u8) -> u32 {
        let cell = state as usize + usize::from(self.columns[usize::from(byte)]);
        // Every state has all columns.
        self.next.get(cell).copied().unwrap_or(self.start)
    }

    /// The memory that it takes, in bytes.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.next.len() * 4 + self.starts.len() * 4 + self.clauses.len() * 2
    }

    #[cold]
    fn fulfil(&self, state: u32, fulfilled: &mut [u64]) {
        let at = (state - self.first_match) as usize / self.width;
        let place = |at: usize| self.starts.get(at).copied().unwrap_or_default() as usize;
        for &clause in self.clauses.get(place(at)..place(at + 1)).unwrap_or_default() {
            set_bit(fulfilled, usize::from(clause));
        }
    }
}

/// The column of each byte, and for each column a byte that has it.
fn columns(literals: &[&[u8]]) -> ([u8; 256], Vec<u8>) {
    let mut columns = [0; 256];
    let mut bytes = vec![0];
    for byte in literals.iter().flat_map(|literal| literal.iter()) {
        let (small, capital) = (byte.to_ascii_lowercase(), byte.to_ascii_uppercase());
        if columns[usize::from(small)] == 0 {
            // Letters share theirs, so there are fewer columns than bytes.
            let column = bytes.len() as u8;
            columns[usize::from(small)] = column;
            columns[usize::from(capital)] = column;
            bytes.push(small);
        }
    }
    let other = (0..=u8::MAX).find(|byte| columns[usize::from(*byte)] == 0);
    if let (Some(other), Some(first)) = (other, bytes.first_mut()) {
        *first = other;
    }
    (columns, bytes)
}

/// The states that are reached by these bytes, those in which a literal ends last.
fn states(automaton: &DFA, bytes: &[u8]) -> Option<Vec<StateID>> {
    let start = automaton.start_state(Anchored::No).ok()?;
    let mut known = HashSet::from([start]);
    let mut states = vec![start];
    let mut at = 0;
    while let Some(state) = states.get(at).copied() {
        at += 1;
        for byte in bytes {
            let next = automaton.next_state(Anchored::No, state, *byte);
            if known.insert(next) {
                states.push(next);
            }
        }
    }
    states.sort_by_key(|state| automaton.is_match(*state));
    Some(states)
}
