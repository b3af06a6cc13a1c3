//! What the suites stand on: the real `weir` binary, in front of origins that are closures, asked by clients that count
//! every byte.
//!
//! - [`proxy`] starts `weir run` on ports of its own, knows them, and stops it: exit 0 and no panic in its log, or the test
//!   fails.
//! - [`origin`] is the other side: a closure from request to response, or a script of raw bytes.
//!   [`h2_origin`] is one that speaks HTTP/2.
//! - [`client`] speaks HTTP/1.1 byte by byte; [`h2`] HTTP/2 over TLS, [`frames`] single frames of it; [`websocket`] after an
//!   upgrade; [`curl`] is the real program.
//! - [`message`] is what clients and origins exchange, [`tls`] and [`authority`] make certificates,
//!   [`sync`] replaces sleeping.
//! - [`haproxy`] is a real peer, on either side.
//! - [`guests`] builds plugins for Wasm once a run, [`bundle`] packs them.
//!
//! Everything is blocking and on threads: a test reads from top to bottom, and shares no code with the proxy that it judges.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "a harness fails by panicking; that is how a test says no"
)]

pub mod authority;
pub mod bundle;
pub mod client;
pub mod curl;
pub mod frames;
pub mod guests;
pub mod h2;
pub mod h2_origin;
pub mod haproxy;
pub mod message;
pub mod origin;
pub mod proxy;
pub mod sync;
pub mod tls;
pub mod websocket;

use std::time::Duration;

/// Longest wait for anything in a test: far beyond what a slow machine needs, so that reaching it means a fault.
pub const PATIENCE: Duration = Duration::from_secs(120);
