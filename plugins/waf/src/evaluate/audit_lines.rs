//! Matches as ModSecurity writes them to its server's error log: a line each, with the fields in brackets that log readers and
//! go-ftw look for (`[id "942100"]`). Chosen by `audit_format = "lines"`.

use std::fmt::Write as _;

use super::audit::{self, Shown};
use super::transaction::Transaction;
use super::{Cause, Engine};
use crate::compile::plan::Severity;

/// Events of an exchange, and the bytes of one, that the host keeps.
const MOST: usize = weir_sdk::contract::EVENTS;
const MOST_BYTES: usize = weir_sdk::contract::EVENT_BYTES;

/// A line for each match that rules have logged, in order. Where there are more of them than the host keeps, several stand in a line.
pub(super) fn lines(engine: &Engine, tx: &Transaction) -> Vec<String> {
    let lines: Vec<String> = audit::logged(engine.plan(), tx).map(|shown| line(tx, &shown)).collect();
    let together = lines.len().div_ceil(MOST).max(1);
    lines.chunks(together).map(joined).collect()
}

fn joined(lines: &[String]) -> String {
    let mut joined = String::new();
    for line in lines {
        // What is longer would be dropped as a whole.
        if joined.len() + 1 + line.len() <= MOST_BYTES {
            let gap = if joined.is_empty() { "" } else { " " };
            joined.push_str(gap);
            joined.push_str(line);
        }
    }
    joined
}

fn line(tx: &Transaction, shown: &Shown<'_>) -> String {
    let Shown { found, rule, .. } = shown;
    let denied = tx.refused.is_none()
        && tx
            .disruption
            .as_ref()
            .is_some_and(|disruption| disruption.cause == Cause::Rule(found.id));
    let what = if denied { "Access denied" } else { "Warning" };
    let mut line = match &tx.head {
        Some(head) => format!("[client {}] ", head.client.to_canonical()),
        None => String::new(),
    };
    // Writing to a string cannot fail.
    let _ = write!(line, "ModSecurity: {what}. Matched at {}.", escaped(&found.variable));
    let mut field = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = write!(line, " [{name} \"{}\"]", escaped(value));
        }
    };
    field("file", &rule.place.file);
    field("line", &rule.place.line.to_string());
    field("id", &found.id.to_string());
    field("rev", rule.revision.as_deref().unwrap_or_default());
    field("msg", &shown.message);
    field("data", &shown.data);
    let severity = rule
        .severity
        .and_then(|severity| Severity::NAMES.get(usize::from(severity.0)));
    field("severity", severity.copied().unwrap_or_default());
    field("ver", rule.version.as_deref().unwrap_or_default());
    for tag in &rule.tags {
        field("tag", tag);
    }
    if let Some(head) = &tx.head {
        field("hostname", &head.host);
        field("uri", &audit::path(head));
        field("unique_id", &head.id);
    }
    line
}

/// As the web servers' logs have it: a quote and a backslash after a backslash, control bytes in hexadecimal.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            c if c.is_ascii_control() => {
                let _ = write!(escaped, "\\x{:02x}", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped
}
