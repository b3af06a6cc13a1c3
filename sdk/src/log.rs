//! Log lines under the plugin's name, limited in number and size by the host.
//!
//! Each level is a function that takes a text, and a macro of the same name that takes what `format!` takes:
//!
//! ```
//! use weir_sdk::log;
//! log::info("loaded");
//! log::info!("loaded {} rules", 3);
//! ```

use crate::host;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For the plugin's author.
    Debug,
    /// For the curious operator.
    Info,
    /// Something is not as it should be.
    Warn,
    /// Something does not work.
    Error,
}

/// Writes a line.
pub fn write(level: Level, message: &str) {
    host::log(level, message);
}

/// Writes a line for the plugin's author.
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

/// Writes a line for the curious operator.
pub fn info(message: &str) {
    write(Level::Info, message);
}

/// Writes a line about something that is not as it should be.
pub fn warn(message: &str) {
    write(Level::Warn, message);
}

/// Writes a line about something that does not work.
pub fn error(message: &str) {
    write(Level::Error, message);
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log_debug {
    ($($message:tt)*) => { $crate::log::debug(&::std::format!($($message)*)) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log_info {
    ($($message:tt)*) => { $crate::log::info(&::std::format!($($message)*)) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log_warn {
    ($($message:tt)*) => { $crate::log::warn(&::std::format!($($message)*)) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log_error {
    ($($message:tt)*) => { $crate::log::error(&::std::format!($($message)*)) };
}

pub use {__log_debug as debug, __log_error as error, __log_info as info, __log_warn as warn};
