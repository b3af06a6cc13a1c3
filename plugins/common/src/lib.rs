//! What several policy plugins share, so that an operator meets one notation everywhere.
//!
//! Almost everything here is pure: text from a configuration goes in, a matcher comes out, and matching never fails, allocates
//! only where it says so, and never panics on what a client sends.
//!
//! - [`Problems`]: every mistake of a configuration, reported together.
//! - [`Network`], [`NetworkSet`]: addresses and CIDR blocks.
//! - [`Wildcard`], [`WildcardSet`]: text with `*`.
//! - [`HostPattern`], [`PathPattern`]: the notation of a bundle's matcher; [`normalize_path`] is what paths are compared as.
//! - [`Scope`]: hosts, paths and methods together, as rules use them.
//! - [`parse_duration`]: `90s`, `10m`, `1h`.
//! - [`Asked`]: the request, each part of it asked for once.

mod asked;
mod duration;
mod host;
mod network;
mod path;
mod problems;
mod scope;
mod wildcard;

pub use asked::Asked;
pub use duration::parse_duration;
pub use host::HostPattern;
pub use network::{Network, NetworkSet};
pub use path::{PathPattern, into_normal_path, normalize_path};
pub use problems::Problems;
pub use scope::{Scope, ScopeFacts};
pub use wildcard::{Wildcard, WildcardSet};
