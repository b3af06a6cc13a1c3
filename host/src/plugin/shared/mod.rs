//! What plugins share beyond one exchange: rate limits, tables, key-value data.
//!
//! These are the stores; the calls that reach them are in [`crate::plugin::hostcalls`].

pub mod clock;
pub mod counters;
pub mod kv;
pub mod tables;
