//! What became of a request against what a test says must become of it.

use std::collections::BTreeSet;
use std::fmt;

use regex::Regex;

use super::schema::Output;
use crate::exchange::{Asked, Judged, LogLines, Reply};
use crate::origin::Response;

/// One thing that did not come as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Rules that should have matched.
    Missing(Vec<u64>),
    /// Rules that should not have matched.
    Unwanted(Vec<u64>),
    /// Another status, or no response, where one of these was expected.
    Status {
        /// Any of them would have been right.
        expected: Vec<u16>,
        /// What came.
        reply: Reply,
    },
    /// A response where none was expected.
    Answered,
    /// No line of the log has this.
    NotInLog(String),
    /// The response does not have this.
    NotInResponse(String),
    /// A line of the log has this.
    InLog {
        /// The pattern.
        pattern: String,
        /// The line.
        line: String,
    },
    /// More or fewer rules than one matched.
    NotIsolated(Vec<u64>),
    /// The test itself is wrong.
    Broken(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(ids) => write!(f, "expected {ids:?} to match"),
            Self::Unwanted(ids) => write!(f, "{ids:?} must not match"),
            Self::Status { expected, reply } => {
                let expected: Vec<String> = expected.iter().map(u16::to_string).collect();
                let expected = expected.join(" or ");
                match reply {
                    Reply::Status(status) => write!(f, "expected status {expected}, got {status}"),
                    Reply::None => write!(f, "expected status {expected}, got no response"),
                }
            }
            Self::Answered => f.write_str("expected no response that could be read"),
            Self::NotInLog(pattern) => write!(f, "no line of the log has {pattern}"),
            Self::NotInResponse(pattern) => write!(f, "the response does not have {pattern}"),
            Self::InLog { pattern, line } => write!(f, "the log must not have {pattern}: {line}"),
            Self::NotIsolated(ids) => write!(f, "expected one rule to match, got {ids:?}"),
            Self::Broken(reason) => write!(f, "the test is wrong: {reason}"),
        }
    }
}

/// Everything that did not come as expected.
#[must_use]
pub fn failures(output: &Output, judged: &Judged, log: &LogLines<'_>) -> Vec<Failure> {
    let mut failures = Vec::new();
    let ids = judged.ids();
    reply(output, judged, &mut failures);
    if let Some(pattern) = output
        .response_contains
        .as_deref()
        .filter(|pattern| !pattern.is_empty())
    {
        let text = judged.response.as_ref().map(Response::to_text).unwrap_or_default();
        match Regex::new(pattern) {
            Ok(regex) if regex.is_match(&text) => {}
            Ok(_) => failures.push(Failure::NotInResponse(pattern.to_owned())),
            Err(error) => failures.push(Failure::Broken(error.to_string())),
        }
    }
    // As other servers are tested: what they refuse by themselves needs no rule.
    let asked = judged.asked == Asked::Yes;
    let missing = |id: &&u64| asked && !ids.contains(*id);
    let absent: Vec<u64> = output.log.expect_ids.iter().filter(missing).copied().collect();
    if !absent.is_empty() {
        failures.push(Failure::Missing(absent));
    }
    let unwanted: BTreeSet<u64> = output.log.no_expect_ids.iter().copied().collect();
    let unwanted: Vec<u64> = unwanted.intersection(&ids).copied().collect();
    if !unwanted.is_empty() {
        failures.push(Failure::Unwanted(unwanted));
    }
    let wanted = [&output.log.match_regex, &output.log_contains];
    let refused = [&output.log.no_match_regex, &output.no_log_contains];
    let filled = |text: &&String| !text.is_empty();
    let wanted: Vec<&String> = wanted.into_iter().flatten().filter(filled).filter(|_| asked).collect();
    let refused: Vec<&String> = refused.into_iter().flatten().filter(filled).collect();
    if !wanted.is_empty() || !refused.is_empty() {
        let lines: Vec<String> = judged.matches.iter().map(|found| log.line(found)).collect();
        for pattern in wanted {
            match Regex::new(pattern) {
                Ok(regex) if lines.iter().any(|line| regex.is_match(line)) => {}
                Ok(_) => failures.push(Failure::NotInLog(pattern.clone())),
                Err(error) => failures.push(Failure::Broken(error.to_string())),
            }
        }
        for pattern in refused {
            match Regex::new(pattern).map(|regex| lines.iter().find(|line| regex.is_match(line))) {
                Ok(None) => {}
                Ok(Some(line)) => failures.push(Failure::InLog {
                    pattern: pattern.clone(),
                    line: line.clone(),
                }),
                Err(error) => failures.push(Failure::Broken(error.to_string())),
            }
        }
    }
    if output.isolated && asked && ids.len() != 1 {
        failures.push(Failure::NotIsolated(ids.into_iter().collect()));
    }
    failures
}

fn reply(output: &Output, judged: &Judged, failures: &mut Vec<Failure>) {
    let expected = &output.status.0;
    match (output.expect_error, judged.reply) {
        (Some(true), Reply::Status(_)) => failures.push(Failure::Answered),
        (Some(true), Reply::None) => {}
        (_, Reply::Status(status)) if expected.is_empty() || expected.contains(&status) => {}
        (_, Reply::None) if expected.is_empty() => {}
        (_, reply) => failures.push(Failure::Status {
            expected: expected.clone(),
            reply,
        }),
    }
}
