//! Parking an exchange must never change what is found: requests with the payloads of the OWASP Core Rule Set's own tests are
//! judged twice, in one transaction from the first phase to the last, and parked after each phase and resumed in the memory of
//! another, which other requests have used. Decisions, matches and audit events have to be the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/crs.rs"]
mod crs;
#[path = "support/payloads.rs"]
mod payloads;

use weir_waf::evaluate::{Completeness, Decision, Engine, Match, Transaction};

use payloads::Place;

/// How many payloads are judged.
const SAMPLE: usize = 150;

#[test]
fn parking_never_changes_what_is_found() {
    let Some(folder) = crs::folder_or_skip() else { return };
    let engine = crs::engine(&folder, 1, 4).unwrap_or_else(|problems| panic!("{problems}"));
    let payloads = payloads::all(&folder);
    let (mut memory, mut here, mut there) = Default::default();
    let (mut moves, mut found) = (0, 0);
    for payload in payloads.iter().step_by(payloads.len().div_ceil(SAMPLE)) {
        for place in Place::ALL {
            let expected = judge(&engine, &mut memory, place, payload, |_, _| {});
            let told = judge(&engine, &mut here, place, payload, |engine, transaction| {
                let parked = engine.park(transaction).expect("such a transaction can be parked");
                engine.resume(&mut there, &parked).expect("what was parked can be read");
                std::mem::swap(transaction, &mut there);
                there.clear();
                moves += 1;
            });
            assert_eq!(told, expected, "{place:?} {:?}", String::from_utf8_lossy(payload));
            found += expected.1.len();
        }
    }
    println!("{moves} moves, {found} matches");
    assert!(found > 100, "the payloads say something");
}

type Told = (Decision, Vec<Match>, Option<String>);

/// All phases of an exchange. `between` is done after each of them.
fn judge(
    engine: &Engine,
    transaction: &mut Transaction,
    place: Place,
    payload: &[u8],
    mut between: impl FnMut(&Engine, &mut Transaction),
) -> Told {
    let (head, body) = payloads::request(place, payload);
    let mut decision = engine.request_head(transaction, head);
    between(engine, transaction);
    if decision == Decision::Pass {
        decision = engine.request_body(transaction, &body, Completeness::Complete);
        between(engine, transaction);
    }
    if decision == Decision::Pass {
        let headers = payloads::response_headers(payload);
        decision = engine.response_head(transaction, 200, headers);
        between(engine, transaction);
    }
    if decision == Decision::Pass {
        decision = engine.response_body(transaction, payload, Completeness::Complete);
        between(engine, transaction);
    }
    engine.finish(transaction);
    between(engine, transaction);
    let event = engine.audit_event(transaction, 200).map(|event| timeless(&event));
    (decision, transaction.matches().to_vec(), event)
}

/// An audit event without the second in which it was written.
fn timeless(event: &str) -> String {
    const STAMP: &str = "\"time_stamp\":\"Thu Jan  1 00:00:00 1970\"";
    let at = event.find("\"time_stamp\"").expect("an event says when it was written");
    format!("{}{}", &event[..at], &event[at + STAMP.len()..])
}
