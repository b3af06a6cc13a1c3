//! The table: medians, ratios within one run, and what they were measured on.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::load::{Closed, Open};
use crate::peers::Peer;
use crate::scenarios::Scenario;

/// One peer in one scenario.
pub(crate) struct Row {
    pub(crate) peer: Peer,
    /// Microseconds of CPU a request, one a round.
    cost: Vec<f64>,
    rates: Vec<f64>,
    p50: Option<Duration>,
    p99: Option<Duration>,
}

impl Row {
    pub(crate) fn new(peer: Peer) -> Self {
        Self {
            peer,
            cost: Vec::new(),
            rates: Vec::new(),
            p50: None,
            p99: None,
        }
    }

    pub(crate) fn sample(&mut self, used: Duration, load: &Closed) {
        self.cost.push(used.as_secs_f64() * 1e6 / load.requests as f64);
        self.rates.push(load.per_second);
    }

    pub(crate) fn latency(&mut self, open: &Open) {
        self.p50 = Some(open.quantile(0.50));
        self.p99 = Some(open.quantile(0.99));
    }

    pub(crate) fn rate(&self) -> f64 {
        median(&self.rates)
    }

    fn cost(&self) -> f64 {
        median(&self.cost)
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Everything that was measured.
pub(crate) struct Table {
    text: String,
    notes: Vec<String>,
}

impl Table {
    pub(crate) fn new(weir: &Path, rounds: usize, seconds: u64, connections: usize) -> anyhow::Result<Self> {
        let mut text = String::new();
        writeln!(
            text,
            "{}, {}, {}, {}; {}; {rounds} rounds of {seconds} s, {connections} connections; medians. Ratio: Weir's CPU a request (the \
             first row) divided by this row's, pair by pair within a round. Latency: open loop at half the rate of the slowest.\n",
            first_line(Command::new(weir).arg("version")),
            first_line(Command::new("nginx").arg("-v")),
            first_line(Command::new("haproxy").arg("-v")),
            first_line(Command::new("varnishd").arg("-V")),
            machine(),
        )?;
        writeln!(
            text,
            "| scenario | proxy | CPU µs/request | ratio | requests/s (one core) | p50 µs | p99 µs | errors |"
        )?;
        writeln!(text, "|---|---|---:|---:|---:|---:|---:|---:|")?;
        Ok(Self {
            text,
            notes: Vec::new(),
        })
    }

    pub(crate) fn add(&mut self, scenario: &Scenario, rows: Vec<Row>) {
        let micros =
            |latency: Option<Duration>| latency.map_or("–".to_owned(), |latency| latency.as_micros().to_string());
        for (index, row) in rows.iter().enumerate() {
            let ratios: Vec<_> = rows[0]
                .cost
                .iter()
                .zip(&row.cost)
                .map(|(first, this)| first / this)
                .collect();
            let ratio = if index == 0 {
                "1".to_owned()
            } else {
                format!("**{:.2}**", median(&ratios))
            };
            let title = if index == 0 { scenario.title } else { "" };
            let _ = writeln!(
                self.text,
                "| {title} | {} | {:.2} | {ratio} | {:.0} | {} | {} | 0 |",
                row.peer.name(),
                row.cost(),
                row.rate(),
                micros(row.p50),
                micros(row.p99),
            );
        }
    }

    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = self.text.clone();
        for note in &self.notes {
            let _ = write!(text, "\n{note}\n");
        }
        text
    }
}

fn first_line(command: &mut Command) -> String {
    let output = command.output();
    let text = output
        .map(|output| [output.stdout, output.stderr].concat())
        .unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .next()
        .unwrap_or("?")
        .trim_start_matches("nginx version: ")
        .to_owned()
}

fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| "unknown CPU".to_owned(), |(_, name)| name.trim().to_owned())
}
