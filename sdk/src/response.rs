//! The response of the exchange that Weir is asking about.

use crate::head::ResponseHead;
use crate::{EditError, host};

/// The response, as the upstream sent it and as earlier plugins changed it. A handle without content, like
/// [`Request`](crate::Request).
#[derive(Debug)]
pub struct Response {
    _made_by_the_sdk: (),
}

impl Response {
    pub(crate) const fn handle() -> Self {
        Self { _made_by_the_sdk: () }
    }

    /// Status and headers, by one call to the host: for plugins that look at most of them.
    #[must_use]
    pub fn head(&self) -> ResponseHead {
        host::response_head()
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        host::status()
    }

    /// The first value of a header. Names compare without case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Vec<u8>> {
        host::response_header(name)
    }

    /// All values of a header, in order.
    #[must_use]
    pub fn header_values(&self, name: &str) -> Vec<Vec<u8>> {
        host::response_header_values(name)
    }

    /// All headers, in order.
    #[must_use]
    pub fn headers(&self) -> Vec<(String, Vec<u8>)> {
        host::response_headers()
    }

    /// Replaces the status; 200 to 599.
    ///
    /// # Errors
    /// When [the contract](crate::contract) refuses it; nothing was changed.
    pub fn set_status(&mut self, status: u16) -> Result<(), EditError> {
        host::set_status(status)
    }

    /// Replaces all values of a header by one.
    ///
    /// # Errors
    /// When [the contract](crate::contract) refuses it; nothing was changed.
    pub fn set_header(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), EditError> {
        host::set_response_header(name, value.as_ref())
    }

    /// Adds a value after those that are there.
    ///
    /// # Errors
    /// When [the contract](crate::contract) refuses it; nothing was changed.
    pub fn append_header(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), EditError> {
        host::append_response_header(name, value.as_ref())
    }

    /// Removes all values of a header. A header that is not there is no error.
    ///
    /// # Errors
    /// When [the contract](crate::contract) refuses it; nothing was changed.
    pub fn remove_header(&mut self, name: &str) -> Result<(), EditError> {
        host::remove_response_header(name)
    }
}
