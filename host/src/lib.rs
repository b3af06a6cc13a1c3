//! Weir, the Wasm-extensible ingress router.
//!
//! The life of a request, and the room where each step happens:
//!
//! 1. [`server`] listens, accepts and finishes TLS; one thread a core, each with its own sockets, connections and plugins.
//! 2. [`connection`] turns one client connection (HTTP/1.1 or HTTP/2) into exchanges.
//! 3. [`exchange`] is the spine: admit, route, request plugins, cache, forward, response plugins, store, finish.
//! 4. [`cache`] answers what it may (RFC 9111) and lets one exchange fetch for all who wait.
//! 5. [`upstream`] picks a server, sends, and tries another one where that is safe.
//! 6. [`plugin`] runs the policy: WebAssembly components, each with limits and a failure policy of its own.
//!
//! Around them: [`config`] (what the operator wrote, made into what the workers read), [`bundle`] (plugins read, verified,
//! activated and rolled back), [`snapshot`] (the one immutable state that a request takes and keeps), [`control`] (the one
//! place that changes it), [`http1`] and [`http2`] (messages as bytes, on both sides), [`telemetry`], [`admin`] and [`cli`], and under
//! all of it [`allocator`].

pub mod admin;
pub mod allocator;
pub mod bundle;
pub mod cache;
pub mod cli;
pub mod config;
pub mod connection;
pub mod control;
pub mod exchange;
pub mod http1;
pub mod http2;
pub mod plugin;
pub mod proxy_protocol;
pub mod server;
#[cfg(test)]
mod smoke;
pub mod snapshot;
pub mod telemetry;
pub mod upstream;
