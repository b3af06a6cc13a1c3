//! A fake host, so that a plugin is tested like any other Rust code: natively, in milliseconds, with a debugger.
//!
//! - [`Host`] is what the plugin is allowed to lean on: tables, counters, kv, files, a clock that only tests move.
//! - [`Sandbox`] is a configured plugin over such a host: it sends [`ClientRequest`]s and sees what comes out, by the same
//!   rules as the real runtime: which phases are called, which edits are refused, how much of a body is held.
//! - `run_cases` (feature `testing`) runs a file of cases; `weir plugin test` runs the same file through the real runtime.
//!
//! ```
//! use weir_sdk::prelude::*;
//! use weir_sdk::testing::{ClientRequest, End, Host, Sandbox};
//!
//! struct Closed;
//!
//! #[weir_sdk::plugin]
//! impl Plugin for Closed {
//!     type Config = Empty;
//!     type State = ();
//!
//!     fn configure(_config: Empty, _setup: &mut Setup) -> Result<Self, Error> {
//!         Ok(Self)
//!     }
//!
//!     fn on_request(&self, _state: &mut (), _request: &mut Request) -> Verdict {
//!         Verdict::Reply(Reply::text(503, "closed"))
//!     }
//! }
//!
//! # fn main() -> Result<(), String> {
//! let mut sandbox = Sandbox::<Closed>::new(Host::new(), "{}")?;
//! let outcome = sandbox.send(&ClientRequest::get("/"));
//! assert_eq!(outcome.end, End::Reply);
//! assert_eq!(outcome.status, 503);
//! # Ok(())
//! # }
//! ```

use std::cell::RefCell;

mod cache;
#[cfg(feature = "testing")]
pub mod case;
mod counters;
mod host;
mod kv;
mod message;
mod metrics;
#[cfg(feature = "testing")]
mod run;
mod sandbox;
mod table;
pub mod time;

pub use cache::Caching;
pub use host::Host;
pub use message::{ClientRequest, Headers, UpstreamResponse};
pub use metrics::Metrics;
#[cfg(feature = "testing")]
pub use run::run_cases;
pub use sandbox::{End, Outcome, Sandbox};
pub use table::TestTable;

thread_local! {
    static CURRENT: RefCell<Host> = RefCell::new(Host::new());
}

/// Asks the host of this thread.
pub(crate) fn current<R>(ask: impl FnOnce(&mut Host) -> R) -> R {
    CURRENT.with_borrow_mut(ask)
}
