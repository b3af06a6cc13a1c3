//! `severity:CRITICAL`: how bad a match is, by the names or numbers of syslog (RFC 5424 §6.2.1).

use super::{Draft, Scope};
use crate::compile::plan::Severity;

const NAMES: [&str; 8] = [
    "EMERGENCY",
    "ALERT",
    "CRITICAL",
    "ERROR",
    "WARNING",
    "NOTICE",
    "INFO",
    "DEBUG",
];

pub(super) fn apply(value: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    let named = NAMES.iter().position(|name| name.eq_ignore_ascii_case(value));
    let level = named.or_else(|| value.parse().ok().filter(|level| *level < NAMES.len()));
    match level {
        Some(level) => draft.severity = Some(Severity(level as u8)),
        None => return Err(format!("\"{value}\" is not one of {} or 0 to 7", NAMES.join(", "))),
    }
    Ok(())
}
