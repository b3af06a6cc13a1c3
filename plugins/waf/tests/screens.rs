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

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use weir_waf::evaluate::{Completeness, Decision, Engine, Match, RequestHead, Transaction};

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
    let Some(folder) = crs::folder() else {
        assert!(
            std::env::var_os("CI").is_none(),
            "the OWASP Core Rule Set is not here; set WEIR_CRS to its folder"
        );
        println!("SKIPPED: the OWASP Core Rule Set is not here; set WEIR_CRS to its folder");
        return;
    };
    let screened = crs::engine(&folder, 1, 4).unwrap_or_else(|problems| panic!("{problems}"));
    let mut plain = crs::engine(&folder, 1, 4).unwrap_or_else(|problems| panic!("{problems}"));
    plain.remove_screens();
    let payloads = payloads(&folder);
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
            for place in [Place::Form, Place::Json, Place::Head] {
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

/// Where a payload stands in the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the value of an argument of a form, and in the query.
    Form,
    /// In a member of a JSON body.
    Json,
    /// In the path, a cookie and headers.
    Head,
}

fn judge(engine: &Engine, transaction: &mut Transaction, place: Place, value: &[u8]) -> (Decision, Vec<Match>) {
    let (content_type, body) = match place {
        Place::Form => (
            &b"application/x-www-form-urlencoded"[..],
            [b"a=1&text=", value].concat(),
        ),
        Place::Json => (
            &b"application/json"[..],
            serde_json::to_vec(&serde_json::json!({"a": [1, {"text": String::from_utf8_lossy(value)}]})).unwrap(),
        ),
        Place::Head => (&b"text/plain"[..], Vec::new()),
    };
    let text = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
    let mut headers = vec![
        text("host", b"www.example.org"),
        text("content-type", content_type),
        text("content-length", body.len().to_string().as_bytes()),
    ];
    let mut path = b"/index.html".to_vec();
    if place == Place::Head {
        path = [b"/", value].concat();
        headers.extend(["user-agent", "referer", "x-file-name", "accept"].map(|name| text(name, value)));
        headers.push(text("cookie", &[b"name=", value].concat()));
    }
    let head = RequestHead {
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        method: "POST".to_owned(),
        version: "1.1".to_owned(),
        host: "www.example.org".to_owned(),
        path,
        target: None,
        query: (place == Place::Form).then(|| [b"q=", value].concat()),
        headers,
        id: "0".repeat(32),
    };
    let mut decision = engine.request_head(transaction, head);
    if decision == Decision::Pass {
        decision = engine.request_body(transaction, &body, Completeness::Complete);
    }
    if decision == Decision::Pass {
        let html = [text("content-type", b"text/html"), text("x-text", value)];
        decision = engine.response_head(transaction, 200, html);
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

/// Every value of every line of the rule set's tests; of its rules, where the tests are not there.
fn payloads(folder: &Path) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for part in ["tests", "rules"] {
        files_below(&folder.join(part), &mut files);
        if !files.is_empty() {
            break;
        }
    }
    assert!(
        !files.is_empty(),
        "there are no tests and no rules in {}",
        folder.display()
    );
    let mut payloads = BTreeSet::new();
    for file in files {
        let text = std::fs::read(&file).unwrap();
        for line in text.split(|&byte| byte == b'\n') {
            let line = line.trim_ascii().trim_prefix_of(b"- ");
            let value = match line.windows(2).position(|pair| pair == b": ") {
                Some(at) if at < 40 => &line[at + 2..],
                _ => line,
            };
            let value = unquoted(value.trim_ascii());
            if (2..4000).contains(&value.len()) {
                payloads.insert(value.to_vec());
            }
        }
    }
    payloads.into_iter().collect()
}

trait TrimPrefix {
    fn trim_prefix_of(&self, prefix: &[u8]) -> &[u8];
}

impl TrimPrefix for [u8] {
    fn trim_prefix_of(&self, prefix: &[u8]) -> &[u8] {
        self.strip_prefix(prefix).unwrap_or(self)
    }
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inside @ .., b'"'] | [b'\'', inside @ .., b'\''] => inside,
        _ => value,
    }
}

fn files_below(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut entries: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let extension = path.extension().and_then(|extension| extension.to_str());
        if path.is_dir() {
            files_below(&path, files);
        } else if matches!(extension, Some("yaml" | "conf")) {
            files.push(path);
        }
    }
}
