//! What is seen from outside: metrics and the access log.
//!
//! - [`families`] lists every metric that Weir has, in one place.
//! - [`registry`] gives out the [cells](cells) that workers count in, and sums them when somebody scrapes ([`render`]).
//! - [`process`] adds what the operating system knows about the process, [`running`] what is active at the moment.
//! - [`access_log`] writes one line an exchange.
//!
//! The rule of this room: a worker that counts or logs never waits for another thread, and shares no cache line that another
//! worker writes.

pub mod access_log;
pub mod cells;
pub mod families;
pub mod process;
pub mod registry;
pub mod render;
pub mod running;

pub use access_log::{AccessLog, Record};
pub use cells::{Counter, Gauge, Histogram, Probe, SharedCounter, SharedGauge};
pub use families::{Family, Kind, Unit};
pub use registry::{Registry, Scrape};
