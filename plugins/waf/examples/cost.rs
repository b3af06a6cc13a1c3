//! What judging a request costs, natively: nanoseconds of CPU time a request with all of Weir's rules.
//!
//! ```text
//! cargo run --release -p weir-waf --example cost [-- RULES_FOLDER [NAME...]]
//! ```
//!
//! The figures are of this machine and this minute; compare them within one run only. In Wasm, patterns cost 1.2 to 1.9 times
//! as much.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use weir_waf::casefile::Request;
use weir_waf::config::Config;
use weir_waf::evaluate::{Engine, Transaction};
use weir_waf::seclang::Files;

const ROUNDS: u32 = 1000;
const SETS: [&str; 8] = [
    "setup",
    "protocol",
    "scanners",
    "traversal",
    "command-injection",
    "sqli",
    "xss",
    "blocking",
];

struct Folder(PathBuf);

impl Files for Folder {
    fn read(&self, name: &str) -> Option<Vec<u8>> {
        let file = if name.contains('.') {
            name.to_owned()
        } else {
            format!("{name}.conf")
        };
        std::fs::read(self.0.join(file)).ok()
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rulesets"),
        PathBuf::from,
    );
    let named: Vec<String> = arguments.collect();
    let rules = if named.is_empty() {
        SETS.map(str::to_owned).to_vec()
    } else {
        named
    };
    for paranoia_level in [1, 2] {
        let started = Instant::now();
        let config = Config {
            rules: rules.clone(),
            paranoia_level,
            ..Config::default()
        };
        let engine = config
            .engine(&Folder(folder.clone()))
            .unwrap_or_else(|problems| panic!("{problems}"));
        let compiled = started.elapsed();
        engine.warm_up();
        println!(
            "paranoia level {paranoia_level}: {} rules, {} chains of transformations, compiled in {:.0} ms",
            engine.plan().rules.len(),
            engine.plan().transformations.len(),
            compiled.as_secs_f64() * 1e3
        );
        for (name, request) in requests() {
            let (nanos, matched) = cost(&engine, &request);
            println!(
                "  {nanos:>9.0} ns  {name} ({} bytes of body, {matched} matches)",
                request.body.len()
            );
        }
    }
}

/// The median of five runs, so that one interruption does not count; and how many rules matched.
fn cost(engine: &Engine, request: &Request) -> (f64, usize) {
    let epoch = Instant::now();
    let rounds = if request.body.len() > 50_000 {
        ROUNDS / 100
    } else {
        ROUNDS
    };
    let mut runs: Vec<f64> = (0..5)
        .map(|_| {
            let started = cpu_nanos(epoch);
            for _ in 0..rounds {
                let mut transaction = Transaction::default();
                black_box(request.send(engine, &mut transaction));
                black_box(&transaction);
            }
            (cpu_nanos(epoch) - started) / f64::from(rounds)
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    let mut transaction = Transaction::default();
    request.send(engine, &mut transaction);
    (runs.get(2).copied().unwrap_or_default(), transaction.matches().len())
}

/// CPU time of this thread where the system tells it (Linux), and time since the epoch otherwise.
fn cpu_nanos(epoch: Instant) -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|line| line.split(' ').next().and_then(|field| field.parse().ok()));
    nanos.unwrap_or_else(|| epoch.elapsed().as_nanos() as f64)
}

fn requests() -> Vec<(&'static str, Request)> {
    let headers = |lines: &[(&str, &str)]| lines.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let browser = [
        (
            "user-agent",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
        ),
        (
            "accept",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        ),
        ("accept-language", "en-GB,en;q=0.5"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("referer", "https://example.org/library?page=2"),
        ("cookie", "session=6f2c1d9e8b7a4c3f; theme=dark; lang=en; consent=yes"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-site", "same-origin"),
    ];
    let form = "title=The+Art+of+War&author=O%27Reilly+%26+Sons&email=reader%40example.org&price=12.50&quantity=3&country=IE\
                &note=Please+select+a+plan+from+the+list%2C+thank+you%21&url=https%3A%2F%2Fexample.org%2Fa%3Fb%3Dc";
    let json = format!(
        "{{\"items\": [{}]}}",
        (0..100)
            .map(|id| format!(
                "{{\"id\": {id}, \"name\": \"Volume {id}: it's here\", \"price\": 9.99, \"tags\": [\"new\", \"sale\"]}}"
            ))
            .collect::<Vec<_>>()
            .join(", ")
    );
    let form_type = [("content-type", "application/x-www-form-urlencoded")];
    let json_type = [("content-type", "application/json")];
    vec![
        (
            "a small GET",
            Request {
                target: "/index.html".to_owned(),
                ..Request::default()
            },
        ),
        (
            "a browser's GET",
            Request {
                target: "/library/series/42?q=one+piece&page=2&sort=title&filter=new%20releases".to_owned(),
                headers: headers(&browser),
                ..Request::default()
            },
        ),
        (
            "a form",
            Request {
                headers: headers(&form_type),
                body: form.to_owned(),
                ..Request::default()
            },
        ),
        (
            "a form of 2 KiB",
            Request {
                headers: headers(&form_type),
                body: format!("{form}&text={}", "It+was+a+bright+cold+day+in+April%2C+".repeat(50)),
                ..Request::default()
            },
        ),
        (
            "a form of 128 KiB",
            Request {
                headers: headers(&form_type),
                body: format!("{form}&text={}", "It+was+a+bright+cold+day+in+April%2C+".repeat(3500)),
                ..Request::default()
            },
        ),
        (
            "JSON",
            Request {
                headers: headers(&json_type),
                body: json,
                ..Request::default()
            },
        ),
        (
            "an attack",
            Request {
                target: "/?id=1'+union+select+password+from+users--".to_owned(),
                ..Request::default()
            },
        ),
    ]
}
