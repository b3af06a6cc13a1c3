//! Desync: a generator of requests that two parsers could read differently, and an origin that reads what is forwarded more
//! strictly than any server does.
//!
//! Each payload goes over a connection of its own, with another request right behind it, and is followed by a plain request over
//! a new connection. A payload that is in order has to arrive as exactly one request with the content that was meant, and the
//! request behind it as another one. Any other payload has to be refused: an error, the connection closed, nothing at the origin
//! but perhaps a message that never ends. Whatever was sent, the plain request gets its own answer.

mod payloads;
mod recorder;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use weir_tests::client::Client;
use weir_tests::proxy::{Proxy, in_front_of};

use self::payloads::{Payload, Verdict};
use self::recorder::Recorder;

/// Payloads on their way at once.
const RUNNERS: usize = 6;
/// Failures that are shown.
const SHOWN: usize = 25;

#[test]
fn lengths_and_codings() {
    run(payloads::framing());
}

#[test]
fn every_byte_everywhere() {
    run(payloads::bytes());
}

#[test]
fn line_ends() {
    run(payloads::line_ends());
}

#[test]
fn chunks() {
    run(payloads::chunks());
}

#[test]
fn request_lines_and_hosts() {
    run(payloads::request_lines());
}

/// Sends all of them, and shows every one that fails.
fn run(payloads: Vec<Payload>) {
    let recorder = Recorder::start();
    let proxy = in_front_of(recorder.origin())
        .tables("[access_log]\nformat = \"off\"")
        .start();
    let count = payloads.len();
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..RUNNERS {
            scope.spawn(|| {
                while let Some((id, payload)) = claim(&next, &payloads) {
                    if let Err(failure) = send(&proxy, id, payload) {
                        failures.lock().unwrap().push(format!("{id} {payload:?}: {failure}"));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.extend(recorder.faults(&payloads));
    let shown: Vec<_> = failures.iter().take(SHOWN).collect();
    assert!(
        failures.is_empty(),
        "{} of {count} payloads: {shown:#?}",
        failures.len()
    );
    println!("{count} payloads");
}

fn claim<'a>(next: &AtomicUsize, payloads: &'a [Payload]) -> Option<(usize, &'a Payload)> {
    let id = next.fetch_add(1, Ordering::Relaxed);
    payloads.get(id).map(|payload| (id, payload))
}

/// Sends one payload with a request behind it, and then a plain request.
fn send(proxy: &Proxy, id: usize, payload: &Payload) -> Result<(), String> {
    let mut client = proxy.connect();
    let behind = format!("GET /behind/{id} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let sent = [payload.bytes(id), behind.into_bytes()].concat();
    // A refusal may come, and the connection be closed, before all of it is sent.
    let _ = client.try_send(sent);
    let answered = match payload.verdict {
        Verdict::Refused => refused(&mut client),
        Verdict::Forwarded { .. } => forwarded(&mut client, id),
    };
    let plain = proxy.get(&format!("/plain/{id}"));
    answered?;
    if plain.text_body() != format!("/plain/{id}") {
        return Err(format!("the next client got another one's answer: {plain:?}"));
    }
    Ok(())
}

/// One error, and then the end.
fn refused(client: &mut Client) -> Result<(), String> {
    let response = client.try_response().map_err(|error| format!("no answer: {error}"))?;
    if !(400..600).contains(&response.status) {
        return Err(format!("answered with {}", response.status));
    }
    match client.rest().as_str() {
        "" => Ok(()),
        rest => Err(format!("something follows the refusal: {rest:?}")),
    }
}

/// The payload's own answer, the answer of what stood behind it, and then the end.
fn forwarded(client: &mut Client, id: usize) -> Result<(), String> {
    for path in ["payload", "behind"] {
        let response = client
            .try_response()
            .map_err(|error| format!("/{path}: no answer: {error}"))?;
        let expected = format!("/{path}/{id}");
        if response.status != 200 || response.text_body() != expected {
            return Err(format!("{expected} got {} {:?}", response.status, response.text_body()));
        }
    }
    match client.rest().as_str() {
        "" => Ok(()),
        rest => Err(format!("something follows the answers: {rest:?}")),
    }
}

/// Shared by the recorder's connections.
type Shared<T> = Arc<Mutex<T>>;
