//! `weir status`: what runs, and how its plugins and servers do.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::client::{Body, Target};
use super::fail;

/// Show what runs, and how its plugins and servers do.
///
/// Shows the active generation, its plugins with their calls, CPU time and failures, and the upstreams' servers with their
/// health.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print what the admin API answers, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match arguments
        .target
        .client()
        .and_then(|client| client.ask("GET", "/v1/status", Body::Empty))
    {
        Ok(status) if arguments.json => println!("{status:#}"),
        Ok(status) => print!("{}", render(&status)),
        Err(error) => return fail(error),
    }
    ExitCode::SUCCESS
}

/// A table a topic. What a Weir of another version does not say is left out.
fn render(status: &Value) -> String {
    let mut out = String::new();
    head(&mut out, status);
    cache(&mut out, status);
    listeners(&mut out, status);
    plugins(&mut out, status);
    upstreams(&mut out, status);
    history(&mut out, status);
    out
}

fn head(out: &mut String, status: &Value) {
    let line = |out: &mut String, name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(out, "{name:<12}{value}");
        }
    };
    line(out, "weir", text(status, "/version"));
    line(out, "generation", text(status, "/generation/number"));
    let bundle = text(status, "/generation/bundle").filter(|bundle| !bundle.is_empty());
    let bundle = bundle.map(|bundle| format!("{bundle} {}", text(status, "/generation/version").unwrap_or_default()));
    line(out, "bundle", Some(bundle.unwrap_or_else(|| "none".to_owned())));
    line(
        out,
        "since",
        text(status, "/generation/since").or_else(|| text(status, "/generation/activated_at")),
    );
}

fn cache(out: &mut String, status: &Value) {
    let number = |field: &str| status.pointer(&format!("/cache/{field}")).and_then(Value::as_u64);
    let (Some(hits), Some(misses), Some(bytes), Some(limit)) =
        (number("hits"), number("misses"), number("bytes"), number("limit"))
    else {
        return;
    };
    let (bytes, limit) = (size(bytes), size(limit));
    let _ = writeln!(out, "{:<12}{hits} hits, {misses} misses, {bytes} of {limit}", "cache");
}

fn listeners(out: &mut String, status: &Value) {
    let mut table = Table::new(&["listener", "address"]);
    for listener in items(status, "/listeners") {
        table.row([cell(listener, "/name"), cell(listener, "/address")]);
    }
    table.write(out);
}

fn plugins(out: &mut String, status: &Value) {
    let mut table = Table::new(&["plugin", "phases", "calls", "CPU", "CPU/call", "failures"]);
    for plugin in items(status, "/plugins") {
        let calls = plugin.pointer("/calls").and_then(Value::as_u64).unwrap_or_default();
        let nanos = plugin.pointer("/cpu_nanos").and_then(Value::as_u64).unwrap_or_default();
        let phases: Vec<_> = items(plugin, "/phases").iter().filter_map(Value::as_str).collect();
        table.row([
            cell(plugin, "/name"),
            if phases.is_empty() {
                "none".to_owned()
            } else {
                phases.join(" ")
            },
            calls.to_string(),
            duration(nanos),
            nanos.checked_div(calls).map_or("-".to_owned(), duration),
            failures(plugin),
        ]);
    }
    table.write(out);
}

/// `trap 2, deadline 1`; causes that never happened are left out.
fn failures(plugin: &Value) -> String {
    let causes = plugin.pointer("/failures").and_then(Value::as_object);
    let counted: Vec<_> = causes
        .into_iter()
        .flatten()
        .filter_map(|(cause, count)| {
            count
                .as_u64()
                .filter(|count| *count > 0)
                .map(|count| format!("{cause} {count}"))
        })
        .collect();
    if counted.is_empty() {
        "none".to_owned()
    } else {
        counted.join(", ")
    }
}

fn upstreams(out: &mut String, status: &Value) {
    let mut table = Table::new(&["upstream", "server", "address", "weight", "health", "last check"]);
    for upstream in items(status, "/upstreams") {
        for server in items(upstream, "/servers") {
            let mut health = cell(server, "/state");
            if let Some(millis) = server.pointer("/ejected_for_ms").and_then(Value::as_u64) {
                let _ = write!(health, " for {}", duration(millis.saturating_mul(1_000_000)));
            }
            let check = text(server, "/last_check/error").or_else(|| text(server, "/last_check/status"));
            table.row([
                cell(upstream, "/upstream"),
                cell(server, "/name"),
                cell(server, "/address"),
                cell(server, "/weight"),
                health,
                check.unwrap_or_else(|| "-".to_owned()),
            ]);
        }
    }
    table.write(out);
}

fn history(out: &mut String, status: &Value) {
    let mut table = Table::new(&["kept", "bundle", "version", "activated"]);
    for entry in items(status, "/history") {
        let row = ["/number", "/name", "/version", "/activated_at"].map(|field| cell(entry, field));
        table.row(row);
    }
    table.write(out);
}

/// Columns as wide as their widest cell; numbers need no alignment to be read here.
struct Table<const COLUMNS: usize> {
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    fn new(header: &[&str; COLUMNS]) -> Self {
        Self {
            rows: vec![header.map(str::to_uppercase)],
        }
    }

    fn row(&mut self, cells: [String; COLUMNS]) {
        self.rows.push(cells);
    }

    /// A table without rows is left out.
    fn write(&self, out: &mut String) {
        if self.rows.len() < 2 {
            return;
        }
        let width = |column: usize| {
            self.rows
                .iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or_default()
        };
        let widths: [usize; COLUMNS] = std::array::from_fn(width);
        out.push('\n');
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                let _ = write!(line, "{cell:<width$}  ");
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
}

fn items<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    value.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn cell(value: &Value, path: &str) -> String {
    text(value, path).unwrap_or_else(|| "-".to_owned())
}

/// Control characters would let a server's error message draw on the operator's terminal.
fn text(value: &Value, path: &str) -> Option<String> {
    match value.pointer(path)? {
        Value::String(text) => Some(
            text.chars()
                .map(|char| if char.is_control() { ' ' } else { char })
                .collect(),
        ),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Three digits are enough to compare.
fn duration(nanos: u64) -> String {
    let value = nanos as f64;
    let (value, unit) = match nanos {
        0..1_000 => return format!("{nanos}ns"),
        1_000..1_000_000 => (value / 1e3, "µs"),
        1_000_000..1_000_000_000 => (value / 1e6, "ms"),
        _ => (value / 1e9, "s"),
    };
    match value {
        ..10.0 => format!("{value:.2}{unit}"),
        10.0..100.0 => format!("{value:.1}{unit}"),
        _ => format!("{value:.0}{unit}"),
    }
}

/// Bytes in the largest unit that leaves a whole number before the point.
fn size(bytes: u64) -> String {
    let (unit, scale) = match bytes {
        0..1_024 => return format!("{bytes}B"),
        1_024..1_048_576 => ("KiB", 1_u64 << 10),
        1_048_576..1_073_741_824 => ("MiB", 1 << 20),
        _ => ("GiB", 1 << 30),
    };
    let value = bytes as f64 / scale as f64;
    if bytes.is_multiple_of(scale) {
        format!("{value:.0}{unit}")
    } else {
        format!("{value:.1}{unit}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_a_topic() {
        let status = json!({
            "version": "0.1.0",
            "generation": { "number": 3, "bundle": "standard", "version": "1.0.0", "since": "2026-01-01T00:00:00Z" },
            "cache": { "hits": 30, "misses": 3, "bytes": 1_572_864, "limit": 67_108_864 },
            "listeners": [{ "name": "public", "address": "127.0.0.1:8080" }],
            "plugins": [
                {
                    "name": "waf", "phases": ["on_request", "on_request_body"], "calls": 1000, "cpu_nanos": 67_000_000,
                    "failures": { "trap": 2, "deadline": 0, "memory": 1 }
                },
                { "name": "maintenance", "phases": [], "calls": 0, "cpu_nanos": 0, "failures": {} },
            ],
            "upstreams": [{ "upstream": "app", "servers": [
                { "name": "a:80", "address": "10.0.0.1:80", "weight": 1, "state": "healthy", "last_check": { "status": 200 } },
                { "name": "b:80", "address": "10.0.0.2:80", "weight": 2, "state": "ejected", "ejected_for_ms": 9500 },
            ] }],
            "history": [{ "number": 3, "name": "standard", "version": "1.0.0", "activated_at": "2026-01-01T00:00:00Z" }],
        });
        let expected = "\
weir        0.1.0
generation  3
bundle      standard 1.0.0
since       2026-01-01T00:00:00Z
cache       30 hits, 3 misses, 1.5MiB of 64MiB

LISTENER  ADDRESS
public    127.0.0.1:8080

PLUGIN       PHASES                      CALLS  CPU     CPU/CALL  FAILURES
waf          on_request on_request_body  1000   67.0ms  67.0µs    memory 1, trap 2
maintenance  none                        0      0ns     -         none

UPSTREAM  SERVER  ADDRESS      WEIGHT  HEALTH             LAST CHECK
app       a:80    10.0.0.1:80  1       healthy            200
app       b:80    10.0.0.2:80  2       ejected for 9.50s  -

KEPT  BUNDLE    VERSION  ACTIVATED
3     standard  1.0.0    2026-01-01T00:00:00Z
";
        assert_eq!(render(&status), expected);
    }

    #[test]
    fn an_answer_that_says_nothing_is_shown_too() {
        assert_eq!(render(&Value::Null), "bundle      none\n");
        assert_eq!(
            render(&json!({ "plugins": 3, "upstreams": [{}], "listeners": [null] }))
                .lines()
                .count(),
            4
        );
    }

    #[test]
    fn durations_have_three_digits() {
        let shown = [0, 999, 1_234, 67_000, 266_400, 12_345_678, 3_000_000_000].map(duration);
        assert_eq!(shown, ["0ns", "999ns", "1.23µs", "67.0µs", "266µs", "12.3ms", "3.00s"]);
    }
}
