//! Why a plugin cannot be configured.

use std::fmt;

/// Why [`Plugin::configure`](crate::Plugin::configure) failed, in words for the operator: what is wrong, where, and what
/// would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl Error {
    /// An error that speaks for itself.
    pub fn new(message: impl fmt::Display) -> Self {
        Self(message.to_string())
    }

    /// An error about one key of the configuration, for example `rules[2].pattern`.
    pub fn at(key: impl fmt::Display, message: impl fmt::Display) -> Self {
        Self(format!("{key}: {message}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<String> for Error {
    fn from(message: String) -> Self {
        Self(message)
    }
}

impl From<&str> for Error {
    fn from(message: &str) -> Self {
        Self(message.to_owned())
    }
}

impl From<crate::EditError> for Error {
    fn from(error: crate::EditError) -> Self {
        Self::new(error)
    }
}
