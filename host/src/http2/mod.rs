//! HTTP/2 as frames (RFC 9113): the same code towards clients and towards upstreams.
//!
//! From bytes to meaning: [`frame`] is the nine bytes in front of everything, [`hpack`] the compression of header blocks
//! (RFC 7541), [`head`] makes messages of decoded fields and refuses malformed ones (§8), [`window`] counts flow control
//! (§5.2), [`guard`] counts what costs more than it asks for. [`connection`] puts them together: the state of one connection, with
//! an [`entry`] for each of its streams. [`receive`] is what frames do to it, [`link`] what its driver and its streams share of it, and
//! [`stream`] what an exchange holds: one stream's two directions.
//!
//! It stands on Weir's own ground rather than on a library's, for the reasons that [`crate::http1`] does. Every frame is
//! seen where it is counted, so that each flood has its limit and its name; a stream is one task and no channel; and what a
//! hundred streams answer in one turn leaves in one write.

mod connection;
mod entry;
pub mod frame;
pub mod guard;
pub mod head;
pub mod hpack;
pub mod link;
mod receive;
pub mod stream;
mod window;
