//! Passing over rules must never change what is found: every payload of the OWASP Core Rule Set's own tests, as it is and
//! mutated, is judged twice, by the screened plan and by one in which every rule looks at every value, and both must say the
//! same. Case folding, short alternatives and values at the edge of a length are where screens could lose matches.
//!
//! A sample is judged unless `WEIR_EXHAUSTIVE` is set. All of it takes some minutes:
//!
//! ```text
//! WEIR_EXHAUSTIVE=1 cargo test --release -p weir-waf --test screens
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/crs.rs"]
mod crs;
#[path = "support/payloads.rs"]
mod payloads;

use std::collections::BTreeSet;

use payloads::Place;
use weir_waf::evaluate::{Completeness, Decision, Engine, Match, Transaction};

/// How a payload is changed before it is judged.
#[derive(Debug, Clone, Copy)]
enum Mutation {
    None,
    /// Every letter in the other case.
    CaseFlipped,
    /// Every byte but letters and digits as `%xx`.
    Encoded,
    /// Twice.
    DoublyEncoded,
    /// Without its last third.
    Truncated,
    /// With a NUL in the middle.
    WithNul,
    /// Between quotes and more text.
    Embedded,
}

const MUTATIONS: [Mutation; 7] = [
    Mutation::None,
    Mutation::CaseFlipped,
    Mutation::Encoded,
    Mutation::DoublyEncoded,
    Mutation::Truncated,
    Mutation::WithNul,
    Mutation::Embedded,
];

/// How many payloads are judged where not all are.
const SAMPLE: usize = 120;

#[test]
fn screens_never_change_what_is_found() {
    let Some(folder) = crs::folder_or_skip() else { return };
    let screened = crs::engine(&folder, 1, 4).unwrap_or_else(|problems| panic!("{problems}"));
    let mut plain = crs::engine(&folder, 1, 4).unwrap_or_else(|problems| panic!("{problems}"));
    plain.remove_screens();
    let payloads = payloads::all(&folder);
    // All payloads with all mutations where there is time; otherwise so many, each as it is and mutated in one way.
    let every = std::env::var_os("WEIR_EXHAUSTIVE").is_some();
    let step = if every { 1 } else { payloads.len().div_ceil(SAMPLE) };
    let mut found = BTreeSet::new();
    // The screened plan remembers values from one request to the next.
    let mut memory = Transaction::default();
    for (index, payload) in payloads.iter().step_by(step).enumerate() {
        for (number, mutation) in MUTATIONS.iter().enumerate() {
            if !every && number != 0 && number != 1 + index % (MUTATIONS.len() - 1) {
                continue;
            }
            let value = mutation.apply(payload);
            for place in Place::ALL {
                let expected = judge(&plain, &mut Transaction::default(), place, &value);
                let told = judge(&screened, &mut memory, place, &value);
                let shown = String::from_utf8_lossy(&value);
                assert_eq!(told, expected, "{place:?} {mutation:?} {shown:?}");
                let again = judge(&screened, &mut memory, place, &value);
                assert_eq!(again, expected, "again: {place:?} {mutation:?} {shown:?}");
                found.extend(told.1.iter().map(|found| found.id));
            }
        }
    }
    println!("{} payloads, {} rules matched", payloads.len(), found.len());
    assert!(found.len() > 10, "the payloads say something: {found:?}");
}

fn judge(engine: &Engine, transaction: &mut Transaction, place: Place, value: &[u8]) -> (Decision, Vec<Match>) {
    let (head, body) = payloads::request(place, value);
    let mut decision = engine.request_head(transaction, head);
    if decision == Decision::Pass {
        decision = engine.request_body(transaction, &body, Completeness::Complete);
    }
    if decision == Decision::Pass {
        decision = engine.response_head(transaction, 200, payloads::response_headers(value));
    }
    if decision == Decision::Pass {
        decision = engine.response_body(transaction, value, Completeness::Complete);
    }
    engine.finish(transaction);
    (decision, transaction.matches().to_vec())
}

impl Mutation {
    fn apply(self, payload: &[u8]) -> Vec<u8> {
        let encoded = |text: &[u8]| -> Vec<u8> {
            text.iter()
                .flat_map(|&byte| {
                    if byte.is_ascii_alphanumeric() {
                        vec![byte]
                    } else {
                        format!("%{byte:02x}").into_bytes()
                    }
                })
                .collect()
        };
        let (start, end) = payload.split_at(payload.len() / 2);
        match self {
            Self::None => payload.to_vec(),
            Self::CaseFlipped => payload
                .iter()
                .map(|byte| {
                    if byte.is_ascii_lowercase() {
                        byte.to_ascii_uppercase()
                    } else {
                        byte.to_ascii_lowercase()
                    }
                })
                .collect(),
            Self::Encoded => encoded(payload),
            Self::DoublyEncoded => encoded(&encoded(payload)),
            Self::Truncated => payload[..payload.len() - payload.len() / 3].to_vec(),
            Self::WithNul => [start, b"\0", end].concat(),
            Self::Embedded => [b"it's \"", payload, b"\" of all"].concat(),
        }
    }
}
