//! Header compression (RFC 7541).
//!
//! [`decode`] turns header blocks into fields and keeps the [`table`] that both ends share; [`huffman`] is the code that
//! strings may be in. [`encode`] writes blocks without a table of its own: what Weir sends is literal, with names from the
//! static table. That costs some bytes and saves the work of looking every field up, as nginx and HAProxy do it too.

pub mod decode;
pub mod encode;
mod huffman;
mod table;
