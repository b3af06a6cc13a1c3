//! The rule author's tools: what shows, before rules ship, what they do. All of them run the engine that the plugin runs, natively
//! and in this process.
//!
//! - [`check`]: what is wrong with rules, and what is not wrong but does nothing;
//! - [`test`]: regression tests in go-ftw's YAML against a rule set, thousands in seconds;
//! - [`explain`]: why a request is refused or not: what each rule saw, and what it answered;
//! - [`bench`]: what requests cost, and which rules cost it.
//!
//! Each tool has a struct of options and a `run` function that writes to anything that can be written to, for people or as JSON,
//! and answers with an [`Outcome`]. What they share:
//!
//! - [`rules`]: rule files from disk to an engine; [`crs`]: where the OWASP Core Rule Set is, and how its own tests set it up;
//! - [`http`]: a request as it travels, to what the engine is given, and what the proxy's edge would have refused;
//! - [`exchange`]: one request through all phases, with an [`origin`] that answers as the tests want.

pub mod bench;
pub mod check;
pub mod crs;
pub mod exchange;
pub mod explain;
pub mod ftw;
pub mod http;
pub mod origin;
pub mod report;
pub mod rules;
pub mod test;

use std::fmt;

/// How a tool's run ended, apart from errors: what becomes the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is wrong: exit code 0.
    Clean,
    /// The tool found something wrong with what it looked at: exit code 1.
    Findings,
}

/// For people or for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Text.
    #[default]
    Text,
    /// JSON.
    Json,
}

/// Why a tool could not do its work. The text names the file and, where there is one, the line.
#[derive(Debug)]
pub struct Error(String);

impl Error {
    /// An error with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}
