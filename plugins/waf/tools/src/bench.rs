//! `weir waf bench`: what requests cost, and which rules cost it.
//!
//! The figures are of this machine and this minute, and native: in Wasm, patterns cost 1.2 to 1.9 times as much. Compare them within
//! one run.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;
use weir_waf::evaluate::observe::{Glimpse, Observer};
use weir_waf::evaluate::{Engine, Transaction};
use weir_waf::operators::Outcome as Answer;

use crate::exchange::{judge, judge_observed};
use crate::http::{Received, Source, wire};
use crate::rules::Rules;
use crate::{Error, Format, Outcome};

/// In how many parts a measurement is cut; the median of them counts.
const BATCHES: usize = 15;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// The rules.
    pub rules: Rules,
    /// Files that each hold a request as it travels; four of daily life where there are none.
    pub requests: Vec<PathBuf>,
    /// How long each request is measured.
    pub time: Duration,
    /// How many rules are shown.
    pub most: usize,
    /// What to write to the output.
    pub format: Format,
}

/// What was measured.
#[derive(Debug)]
pub struct Report {
    /// Each request.
    pub requests: Vec<RequestCost>,
    /// Each rule, the most expensive first.
    pub rules: Vec<RuleCost>,
}

/// What a request costs.
#[derive(Debug)]
pub struct RequestCost {
    /// Its name.
    pub name: String,
    /// Nanoseconds, all phases.
    pub nanoseconds: f64,
    /// How many rules were asked.
    pub asked: usize,
}

/// What a rule costs, over all requests.
#[derive(Debug)]
pub struct RuleCost {
    /// Its id.
    pub id: u64,
    /// Where it stands.
    pub place: String,
    /// Nanoseconds in one of each request.
    pub nanoseconds: f64,
    /// In how many of the requests it was asked.
    pub asked: usize,
}

/// Measures and writes.
///
/// # Errors
/// Rules or requests that cannot be read; what cannot be written.
pub fn run(options: &Options, out: &mut impl Write) -> Result<Outcome, Error> {
    let engine = options.rules.load()?.engine;
    let requests = requests(&options.requests)?;
    let report = measure(&engine, &requests, options.time);
    match options.format {
        Format::Text => text(&report, options.most, out)?,
        Format::Json => json(&report, options.most, out)?,
    }
    Ok(Outcome::Clean)
}

fn requests(paths: &[PathBuf]) -> Result<Vec<(String, Received)>, Error> {
    if paths.is_empty() {
        return Ok(ordinary()
            .into_iter()
            .map(|(name, message)| (name.to_owned(), wire::read(&message)))
            .collect());
    }
    let mut requests = Vec::new();
    for path in paths {
        let received = Source::File(path.clone()).read()?;
        if received.request.is_none() {
            return Err(Error::new(format!("{}: this is no HTTP request", path.display())));
        }
        requests.push((path.display().to_string(), received));
    }
    Ok(requests)
}

/// Measures.
#[must_use]
pub fn measure(engine: &Engine, requests: &[(String, Received)], time: Duration) -> Report {
    engine.warm_up();
    let clock = clock_cost();
    let mut rules: BTreeMap<usize, RuleCost> = BTreeMap::new();
    let costs = requests
        .iter()
        .map(|(name, received)| {
            let nanoseconds = request_cost(engine, received, time);
            let stopwatch = rule_costs(engine, received, time);
            for (index, taken) in &stopwatch.taken {
                let Some(rule) = engine.plan().rules.get(*index) else {
                    continue;
                };
                let cost = rules.entry(*index).or_insert_with(|| RuleCost {
                    id: rule.id,
                    place: rule.place.to_string(),
                    nanoseconds: 0.0,
                    asked: 0,
                });
                let mean = taken.as_nanos() as f64 / f64::from(stopwatch.rounds.max(1));
                cost.nanoseconds += (mean - clock).max(0.0);
                cost.asked += 1;
            }
            RequestCost {
                name: name.clone(),
                nanoseconds,
                asked: stopwatch.taken.len(),
            }
        })
        .collect();
    let mut rules: Vec<RuleCost> = rules.into_values().collect();
    rules.sort_by(|a, b| b.nanoseconds.total_cmp(&a.nanoseconds));
    Report { requests: costs, rules }
}

fn request_cost(engine: &Engine, received: &Received, time: Duration) -> f64 {
    let once = || {
        drop(black_box(judge(
            engine,
            black_box(received),
            &mut Transaction::default(),
        )))
    };
    once();
    let batch = time / BATCHES as u32;
    let mut costs: Vec<f64> = (0..BATCHES)
        .map(|_| {
            let started = Instant::now();
            let mut rounds = 0u32;
            loop {
                once();
                rounds += 1;
                if started.elapsed() >= batch {
                    return started.elapsed().as_nanos() as f64 / f64::from(rounds);
                }
            }
        })
        .collect();
    costs.sort_by(f64::total_cmp);
    costs.get(BATCHES / 2).copied().unwrap_or_default()
}

fn rule_costs(engine: &Engine, received: &Received, time: Duration) -> Stopwatch {
    let mut stopwatch = Stopwatch::default();
    let started = Instant::now();
    while stopwatch.rounds == 0 || started.elapsed() < time {
        drop(judge_observed(
            engine,
            received,
            &mut Transaction::default(),
            &mut stopwatch,
        ));
        stopwatch.rounds += 1;
    }
    stopwatch
}

/// Takes the time of each rule that is asked.
#[derive(Debug, Default)]
struct Stopwatch {
    taken: BTreeMap<usize, Duration>,
    running: Option<Instant>,
    rounds: u32,
}

impl Observer for Stopwatch {
    fn before(&mut self, glimpse: &mut Glimpse<'_>) {
        if glimpse.link() == 0 {
            self.running = Some(Instant::now());
        }
    }

    fn after(&mut self, glimpse: &mut Glimpse<'_>, _: Answer) {
        if let Some(started) = self.running.take() {
            *self.taken.entry(glimpse.index()).or_default() += started.elapsed();
        }
    }
}

/// What asking the clock twice takes, in nanoseconds.
fn clock_cost() -> f64 {
    const ROUNDS: u32 = 10_000;
    let mut sum = Duration::ZERO;
    for _ in 0..ROUNDS {
        let started = black_box(Instant::now());
        sum += started.elapsed();
    }
    sum.as_nanos() as f64 / f64::from(ROUNDS)
}

fn text(report: &Report, most: usize, out: &mut impl Write) -> std::io::Result<()> {
    if cfg!(debug_assertions) {
        writeln!(
            out,
            "This is a build without optimisation: the figures are many times too high.\n"
        )?;
    }
    writeln!(out, "{:>12}  {:>5}  request", "µs", "rules")?;
    for cost in &report.requests {
        writeln!(
            out,
            "{:>12.1}  {:>5}  {}",
            cost.nanoseconds / 1000.0,
            cost.asked,
            cost.name
        )?;
    }
    let all: f64 = report.rules.iter().map(|cost| cost.nanoseconds).sum();
    writeln!(
        out,
        "\nRules, in one of each request ({:.1} µs of them together):",
        all / 1000.0
    )?;
    writeln!(out, "{:>12}  {:>6}  {:>9}  rule", "µs", "share", "requests")?;
    for cost in report.rules.iter().take(most) {
        writeln!(
            out,
            "{:>12.2}  {:>4.1} %  {:>9}  {}  {}",
            cost.nanoseconds / 1000.0,
            100.0 * cost.nanoseconds / all.max(1.0),
            cost.asked,
            cost.id,
            cost.place
        )?;
    }
    if report.rules.len() > most {
        writeln!(out, "and {} rules more", report.rules.len() - most)?;
    }
    Ok(())
}

fn json(report: &Report, most: usize, out: &mut impl Write) -> std::io::Result<()> {
    let requests: Vec<_> = report
        .requests
        .iter()
        .map(|cost| json!({"name": cost.name, "nanoseconds": cost.nanoseconds, "rules_asked": cost.asked}))
        .collect();
    let rules: Vec<_> = report
        .rules
        .iter()
        .take(most)
        .map(
            |cost| json!({"id": cost.id, "place": cost.place, "nanoseconds": cost.nanoseconds, "requests": cost.asked}),
        )
        .collect();
    let optimised = !cfg!(debug_assertions);
    writeln!(
        out,
        "{:#}",
        json!({"optimised": optimised, "requests": requests, "rules": rules})
    )
}

/// Four requests of daily life.
fn ordinary() -> Vec<(&'static str, Vec<u8>)> {
    const BROWSER: &str = "Host: shop.example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 \
        Firefox/128.0\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: \
        de,en-US;q=0.7,en;q=0.3\r\nAccept-Encoding: gzip, deflate, br\r\nReferer: https://shop.example.org/catalogue?page=2\r\nCookie: \
        session=6f1c9a7be2d84f; theme=dark; visits=17\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nConnection: \
        keep-alive\r\n";
    let post = |media: &str, body: &str| {
        let length = body.len();
        format!("POST /orders HTTP/1.1\r\n{BROWSER}Content-Type: {media}\r\nContent-Length: {length}\r\n\r\n{body}")
            .into_bytes()
    };
    let form: Vec<String> = (0..20)
        .map(|field| {
            format!("field{field}=A+sentence+of+ordinary+prose%2C+about+as+long+as+what+people+type+into+a+form+field")
        })
        .collect();
    let items: Vec<String> = (0..90)
        .map(|item| {
            format!("{{\"id\": {item}, \"name\": \"Lamp number {item}\", \"price\": 49.9, \"tags\": [\"light\", \"home\"], \"sold\": false}}")
        })
        .collect();
    vec![
        (
            "a small GET",
            b"GET / HTTP/1.1\r\nHost: shop.example.org\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\n\r\n".to_vec(),
        ),
        (
            "a GET of a browser",
            format!("GET /catalogue?page=3&sort=price&q=red+shoes HTTP/1.1\r\n{BROWSER}\r\n").into_bytes(),
        ),
        (
            "a form of 2 KiB",
            post("application/x-www-form-urlencoded", &form.join("&")),
        ),
        (
            "8 KiB of JSON",
            post("application/json", &format!("[{}]", items.join(", "))),
        ),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_rule_that_is_asked_is_listed_once() {
        let rules = Rules {
            before: vec![(
                "t.conf".to_owned(),
                "SecRule REQUEST_URI \"@rx ^/never\" \"id:1,phase:1,deny\"\nSecRule ARGS \"@contains x\" \"id:2,phase:2,deny\"".to_owned(),
            )],
            ..Rules::default()
        };
        let engine = rules.load().unwrap().engine;
        let report = measure(&engine, &requests(&[]).unwrap(), Duration::from_millis(1));
        assert_eq!(report.requests.len(), 4);
        let mut ids: Vec<u64> = report.rules.iter().map(|cost| cost.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), report.rules.len());
        let mut out = Vec::new();
        text(&report, 5, &mut out).unwrap();
        assert!(String::from_utf8(out).unwrap().contains("a small GET"));
    }
}
