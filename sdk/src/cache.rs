//! What a plugin has the shared cache do with an exchange, on routes that cache: the methods of [`Request`] and [`Response`] for
//! it.
//!
//! ```
//! use weir_sdk::prelude::*;
//!
//! # struct Policy;
//! #[weir_sdk::plugin]
//! impl Plugin for Policy {
//!     type Config = Empty;
//!     type State = ();
//!
//!     fn configure(_config: Empty, _setup: &mut Setup) -> Result<Self, Error> {
//!         Ok(Self)
//!     }
//!
//!     fn on_request(&self, _state: &mut (), request: &mut Request) -> Verdict {
//!         if request.header("authorization").is_some() {
//!             let _ = request.bypass_cache();
//!         }
//!         Verdict::Continue
//!     }
//!
//!     fn on_response(&self, _state: &mut (), _request: &Request, response: &mut Response) -> Verdict {
//!         if response.status() == 404 {
//!             let _ = response.set_cache_lifetime(std::time::Duration::from_secs(10));
//!             let _ = response.add_cache_tag("missing");
//!         }
//!         Verdict::Continue
//!     }
//! }
//! ```

use std::time::Duration;

use crate::{EditError, Request, Response, host};

impl Request {
    /// Has the cache neither answer this request nor store its response.
    ///
    /// # Errors
    /// [`EditError::TooLate`] outside of the request phases.
    pub fn bypass_cache(&mut self) -> Result<(), EditError> {
        host::bypass_cache()
    }

    /// Says what stands for path and query in the key under which the response is stored and found; scheme and host stay, and
    /// what goes upstream is not changed. Add what the response depends on and the URL does not say (`/page?device=mobile`), or
    /// leave out what it does not depend on. Purges name the response by this key.
    ///
    /// # Errors
    /// [`EditError::InvalidValue`] for what is no path and query, [`EditError::TooLate`] outside of the request phases.
    pub fn set_cache_key(&mut self, key: impl AsRef<[u8]>) -> Result<(), EditError> {
        host::set_cache_key(key.as_ref())
    }

    /// Adds a tag by which the response can be purged, besides its own (`Surrogate-Key`, `Cache-Tag`).
    ///
    /// # Errors
    /// [`EditError::InvalidValue`] for white space, commas, more than 256 bytes, and the 65th tag of an exchange;
    /// [`EditError::TooLate`] outside of the request phases.
    pub fn add_cache_tag(&mut self, tag: impl AsRef<[u8]>) -> Result<(), EditError> {
        host::add_cache_tag(tag.as_ref())
    }
}

impl Response {
    /// Has the cache not store this response.
    ///
    /// # Errors
    /// [`EditError::TooLate`] outside of the response phases.
    pub fn bypass_cache(&mut self) -> Result<(), EditError> {
        host::bypass_cache()
    }

    /// Says how long the response is fresh in this cache, from when the origin made it and whatever it says itself; in whole
    /// seconds. Clients are not told. What must not be stored (`no-store`, `private`, `Set-Cookie`) is not.
    ///
    /// # Errors
    /// [`EditError::TooLate`] outside of the response phases.
    pub fn set_cache_lifetime(&mut self, lifetime: Duration) -> Result<(), EditError> {
        host::set_cache_lifetime(u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX))
    }

    /// Adds a tag by which the response can be purged, besides its own (`Surrogate-Key`, `Cache-Tag`).
    ///
    /// # Errors
    /// [`EditError::InvalidValue`] for white space, commas, more than 256 bytes, and the 65th tag of an exchange;
    /// [`EditError::TooLate`] outside of the response phases.
    pub fn add_cache_tag(&mut self, tag: impl AsRef<[u8]>) -> Result<(), EditError> {
        host::add_cache_tag(tag.as_ref())
    }
}
