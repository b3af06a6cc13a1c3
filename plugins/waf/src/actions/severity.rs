//! `severity:CRITICAL`: how bad a match is, by the names or numbers of syslog (RFC 5424 §6.2.1).

use super::{Draft, Scope};
use crate::compile::plan::Severity;

pub(super) fn apply(value: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    let names = Severity::NAMES;
    let named = names.iter().position(|name| name.eq_ignore_ascii_case(value));
    let level = named.or_else(|| value.parse().ok().filter(|level| *level < names.len()));
    match level {
        Some(level) => draft.severity = Some(Severity(level as u8)),
        None => return Err(format!("\"{value}\" is not one of {} or 0 to 7", names.join(", "))),
    }
    Ok(())
}
