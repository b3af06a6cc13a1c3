//! HTTP/1.1 as RFC 9110 and RFC 9112 write it, byte by byte, on both sides of the proxy.
//!
//! - [`refused`]: requests that two parsers could read differently, or that no parser should read.
//! - [`accepted`]: requests that look odd and are right, and what the origin sees of them.
//! - [`caching`]: RFC 9111 and its neighbours, a row for every requirement.
//! - [`desync`]: some thousand requests, permutations of everything that two parsers could read differently.
//! - [`framing`]: where responses end.
//! - [`http2`]: HTTP/2, as RFC 9113 writes it.
//! - [`upstream`]: what becomes of an origin that breaks the protocol.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accepted;
mod caching;
mod desync;
mod framing;
mod http2;
mod probes;
mod refused;
mod upstream;
