//! HTTP/1.1 as bytes (RFC 9112): heads, framing, chunks; the same code towards clients and towards upstreams.
//!
//! From bytes to meaning: [`stream`] is a socket in clear or TLS, [`buffer`] reads and writes it with one buffer each way (from [`spare`] while something
//! is under way),
//! [`head`] parses message heads with `httparse` and then refuses what two parsers could read differently, [`framing`]
//! decides where a body ends (RFC 9112 §6.3), [`decode`] takes it apart and [`encode`] writes messages anew. [`lines`] are heads that are kept as they are sent, and
//! [`names`] says which fields need not be looked for.

pub mod buffer;
pub mod decode;
pub mod encode;
pub mod framing;
pub mod head;
pub mod lines;
pub mod names;
pub mod salvage;
pub mod spare;
pub mod stream;
