//! Write a Weir plugin: one type, one trait, one macro line.
//!
//! ```
//! use weir_sdk::prelude::*;
//!
//! struct Hello;
//!
//! #[weir_sdk::plugin]
//! impl Plugin for Hello {
//!     type Config = Empty;
//!     type State = ();
//!
//!     fn configure(_config: Empty, _setup: &mut Setup) -> Result<Self, Error> {
//!         Ok(Self)
//!     }
//!
//!     fn on_response(&self, _state: &mut (), _request: &Request, response: &mut Response) -> Verdict {
//!         if response.set_header("x-hello", "world").is_err() {
//!             log::warn("x-hello could not be set");
//!         }
//!         Verdict::Continue
//!     }
//! }
//! ```
//!
//! Where things are, in the order in which a plugin meets them:
//!
//! 1. [`Plugin`] and [`plugin`](macro@plugin): the trait and the attribute that makes a component of it.
//! 2. [`Setup`]: what `configure` may ask for: phases, data files, [`Table`]s and [`Counters`].
//! 3. [`Request`], [`Response`] and [`Reply`]: the exchange that Weir is asking about.
//! 4. [`counters`], [`clock`], [`random`], [`metrics`], [`kv`] and [`log`]: services of the host.
//! 5. [`contract`]: which edits Weir refuses, as functions that the host uses, too.
//! 6. [`allocator`]: where a component's memory comes from.
//! 7. `testing` (native builds): a fake host for unit tests and case files; `template`: the project to start with.
//!
//! Everything goes through one private layer, `host`: on `wasm32` it calls the functions that `wit/weir-plugin.wit` imports,
//! natively the fake host of the thread. Nothing in this crate panics on what a request, a response or the host brings.

// What the attribute and wit-bindgen write says `::weir_sdk`, in this crate as in others.
extern crate self as weir_sdk;

pub mod allocator;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod bindings;
pub mod cache;
pub mod clock;
pub mod contract;
pub mod counters;
mod error;
#[doc(hidden)]
pub mod glue;
pub mod head;
mod host;
pub mod kv;
pub mod log;
pub mod metrics;
mod phases;
mod plugin;
pub mod random;
mod reply;
mod request;
mod response;
mod setup;
mod table;
#[cfg(not(target_arch = "wasm32"))]
pub mod template;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use contract::EditError;
pub use counters::Counters;
pub use error::Error;
pub use head::Head;
pub use phases::Phases;
pub use plugin::{Completeness, Empty, Plugin, Summary, Verdict};
pub use reply::Reply;
pub use request::Request;
pub use response::Response;
pub use setup::{Condition, Setup};
pub use table::Table;
pub use weir_sdk_macros::plugin;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub use wit_bindgen;

/// What almost every plugin imports.
pub mod prelude {
    pub use crate::{
        Completeness, Condition, Counters, EditError, Empty, Error, Phases, Plugin, Reply, Request, Response, Setup,
        Summary, Table, Verdict, clock, counters, kv, log, metrics, random,
    };
    pub use serde::Deserialize;
}

// The guides' examples are compiled and run with the other examples.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../../docs/plugin-guide.md")]
struct Guide;
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../README.md")]
struct Readme;
