//! What judging a request costs, natively: nanoseconds of CPU time a request with all of Weir's rules.
//!
//! ```text
//! cargo run --release -p weir-waf --example cost [-- RULES_FOLDER [NAME...]]
//! cargo run --release -p weir-waf --example cost -- --crs            # the OWASP Core Rule Set, paranoia level 1
//! cost --crs --reference                                             # the same, every rule looking at every value
//! valgrind --tool=callgrind ... cost --crs --once "a small GET"      # one request, 100 times, or as often as --rounds says, for a profiler
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
use weir_waf::evaluate::{Completeness, Decision, Engine, Transaction};
use weir_waf::seclang::Files;

#[path = "../tests/support/crs.rs"]
mod crs;

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
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.peek().is_some_and(|first| first == "--crs") {
        arguments.next();
        return judge_crs(&arguments.collect::<Vec<_>>());
    }
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

fn judge_crs(arguments: &[String]) {
    let Some(folder) = crs::folder_or_skip() else {
        std::process::exit(1);
    };
    let started = Instant::now();
    let mut engine = crs::engine(&folder, 1, 1).unwrap_or_else(|problems| panic!("{problems}"));
    if arguments.iter().any(|word| word == "--reference") {
        engine.remove_screens();
    }
    engine.warm_up();
    println!(
        "{}: {} rules, ready in {:.0} ms",
        folder.display(),
        engine.plan().rules.len(),
        started.elapsed().as_secs_f64() * 1e3
    );
    let rounds = arguments.iter().skip_while(|word| *word != "--rounds").nth(1);
    let rounds: u32 = rounds.map_or(100, |rounds| rounds.parse().expect("--rounds needs a number"));
    let once = arguments.iter().skip_while(|word| *word != "--once").nth(1);
    for (name, request) in requests() {
        match once {
            Some(wanted) if wanted != name => {}
            Some(_) => {
                let mut transaction = Transaction::default();
                for _ in 0..rounds {
                    judge(&engine, &request, &mut transaction);
                }
            }
            None => {
                let (nanos, matched) = cost(&engine, &request);
                println!(
                    "  {:>9.1} us  {name} ({} bytes of body, {matched} matches)",
                    nanos / 1e3,
                    request.body.len()
                );
            }
        }
    }
}

/// All phases of an exchange; where the request passes, the response is a page of 1 KiB.
fn judge(engine: &Engine, request: &Request, transaction: &mut Transaction) {
    if black_box(request.send(engine, transaction)) == Decision::Pass {
        let head = [("content-type".to_owned(), b"text/html".to_vec())];
        black_box(engine.response_head(transaction, 200, head));
        black_box(engine.response_body(transaction, &[b'x'; 1024], Completeness::Complete));
    }
    engine.finish(transaction);
    black_box(transaction);
}

/// The median of five runs, so that one interruption does not count; and how many rules matched.
fn cost(engine: &Engine, request: &Request) -> (f64, usize) {
    let epoch = Instant::now();
    // As many rounds as fit 30 ms, so that large requests do not take minutes.
    let mut transaction = Transaction::default();
    let started = cpu_nanos(epoch);
    judge(engine, request, &mut transaction);
    let one = (cpu_nanos(epoch) - started).max(1e3);
    let rounds = ((3e7 / one) as u32).clamp(1, ROUNDS);
    let mut runs: Vec<f64> = (0..5)
        .map(|_| {
            let started = cpu_nanos(epoch);
            for _ in 0..rounds {
                judge(engine, request, &mut transaction);
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
    // The first two are those of benches/waf.py.
    let small = [("host", "www.example.org"), ("user-agent", "wrk/4"), ("accept", "*/*")];
    let browser = [
        ("host", "www.example.org"),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        ),
        (
            "accept",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        ),
        ("accept-language", "en-US,en;q=0.5"),
        ("accept-encoding", "gzip, deflate, br"),
        ("referer", "https://www.example.org/library/list"),
        ("cookie", "session=0f3a9c1b2d4e5f60718293a4b5c6d7e8; theme=dark"),
        ("upgrade-insecure-requests", "1"),
        ("sec-fetch-dest", "document"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-user", "?1"),
        ("cache-control", "max-age=0"),
    ];
    let form_type = [("content-type", "application/x-www-form-urlencoded")];
    let json_type = [("content-type", "application/json")];
    let request = |target: &str, lines: &[(&str, &str)], body: String| Request {
        target: target.to_owned(),
        headers: headers(lines),
        body,
        ..Request::default()
    };
    let series = "/library/series/one-summer-house?page=3&sort=title&lang=en&view=grid";
    let json = json(75);
    let thousands = |pair: fn(usize) -> String, separator| (0..10_000).map(pair).collect::<Vec<_>>().join(separator);
    let cookies = thousands(|n| format!("c{n}=v{n}"), "; ");
    vec![
        ("a small GET", request("/", &small, String::new())),
        ("a browser's GET", request(series, &browser, String::new())),
        ("a form", request("/save", &form_type, form(8))),
        ("a form of 2 KiB", request("/save", &form_type, form(30))),
        ("JSON", request("/save", &json_type, json)),
        (
            "an attack",
            request("/?id=1'+union+select+password+from+users--", &[], String::new()),
        ),
        (
            "10,000 arguments",
            request("/save", &form_type, thousands(|n| format!("a{n}=it%27s+{n}"), "&")),
        ),
        (
            "10,000 hostile arguments",
            request(
                "/save",
                &form_type,
                thousands(
                    |n| format!("a{n}=%2527+%26lt%3b%5cu0041+or+1%3d%2a%2f{n}%3b%24%28select"),
                    "&",
                ),
            ),
        ),
        ("JSON of 1 MiB", request("/save", &json_type, self::json(7500))),
        (
            "a long text",
            request(
                "/save",
                &form_type,
                format!("text={}", "It+was+a+bright+cold+day+in+April%2C+".repeat(3500)),
            ),
        ),
        (
            "a long hostile value",
            request(
                "/save",
                &form_type,
                format!("text={}", "%27+or+%28%5cx41%3c%26%23%2f%2a%24%7b".repeat(3500)),
            ),
        ),
        (
            "many cookies",
            request("/", &[("cookie", cookies.as_str())], String::new()),
        ),
    ]
}

/// A form with so many arguments, 70 bytes each.
fn form(arguments: usize) -> String {
    const VALUES: [&str; 6] = [
        "The+Art+of+War",
        "O%27Reilly+%26+Sons",
        "reader%40example.org",
        "Please+select+a+plan+from+the+list%2C+thank+you%21+It+was+a+bright+cold+day+in+April%2C",
        "https%3A%2F%2Fexample.org%2Fa%3Fb%3Dc",
        "12.50",
    ];
    let pairs: Vec<String> = (0..arguments)
        .map(|n| {
            format!(
                "field_{n}={}{}",
                VALUES[n % VALUES.len()],
                "+and+some+more".repeat(n % 4)
            )
        })
        .collect();
    pairs.join("&")
}

/// JSON with four values an item, 140 bytes.
fn json(items: usize) -> String {
    let item = |id| {
        format!(
            "{{\"id\": {id}, \"name\": \"Volume {id}: it's here\", \"meta\": {{\"price\": 9.99, \"tags\": [\"new\", \"sale\"], \
             \"text\": \"Once upon a time, in a land far away\"}}}}"
        )
    };
    format!(
        "{{\"items\": [{}]}}",
        (0..items).map(item).collect::<Vec<_>>().join(", ")
    )
}
