//! A request as it travels, to what the engine is given.
//!
//! [`wire`] reads leniently: what a proxy refuses with 400 is judged all the same as far as it could be read, because rules for
//! broken requests are part of rule sets. [`edge`] says what the proxy would have refused, and why.

pub mod edge;
pub mod wire;

use weir_waf::evaluate::RequestHead;

pub use edge::Refusal;

/// A request, as far as it could be read.
#[derive(Debug, Clone)]
pub struct Request {
    /// The head.
    pub head: RequestHead,
    /// The body, without its framing.
    pub body: Vec<u8>,
    /// How it was written.
    pub framing: Framing,
}

/// How a request was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// With a version in its first line.
    Versioned,
    /// Without, as before HTTP/1.0.
    Bare,
}

/// What arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// Nothing where it is no HTTP message.
    pub request: Option<Request>,
    /// Why the proxy refuses it; nothing where it does not.
    pub refusal: Option<Refusal>,
}
