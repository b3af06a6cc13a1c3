//! The request of the exchange that Weir is asking about.

use std::net::IpAddr;

use crate::head::Received;
use crate::{EditError, Head, host};

/// The request, as the client sent it and as earlier plugins changed it.
///
/// A handle without content: each method asks the host, so a plugin pays for what it looks at and nothing else.
#[derive(Debug)]
pub struct Request {
    _made_by_the_sdk: (),
}

impl Request {
    pub(crate) const fn handle() -> Self {
        Self { _made_by_the_sdk: () }
    }

    /// All that the methods below tell one by one, by one call to the host: for plugins that look at most of it.
    #[must_use]
    pub fn head(&self) -> Head {
        host::head()
    }

    /// As [`head`](Self::head), with what else was received: names of headers in their own case, and all of the target.
    #[must_use]
    pub fn received(&self) -> Received {
        host::received()
    }

    /// Why Weir refuses this request by itself, where it does: a word of its access log, for example `host`.
    ///
    /// A plugin is shown such requests when its manifest has `limits.refused`, and in `on_request` and `on_finish` alone. They broke
    /// HTTP, or no route takes them: each part is as much as could be made out of it, there is no body, and nothing can be changed.
    /// Whatever the plugin answers, the request is refused; notes and events are kept.
    #[must_use]
    pub fn refused(&self) -> Option<String> {
        host::refused()
    }

    /// The client's address, after trusted proxies were believed.
    #[must_use]
    pub fn client_ip(&self) -> IpAddr {
        host::client_ip()
    }

    /// The method, for example `GET`.
    #[must_use]
    pub fn method(&self) -> String {
        host::method()
    }

    /// `http` or `https`: how the client spoke to Weir.
    #[must_use]
    pub fn scheme(&self) -> String {
        host::scheme()
    }

    /// The host without port, in lower case.
    #[must_use]
    pub fn host(&self) -> String {
        host::host()
    }

    /// The path as received, without the query.
    #[must_use]
    pub fn path(&self) -> Vec<u8> {
        host::path()
    }

    /// The query as received, without the `?`.
    #[must_use]
    pub fn query(&self) -> Option<Vec<u8>> {
        host::query()
    }

    /// `1.0`, `1.1` or `2`.
    #[must_use]
    pub fn version(&self) -> String {
        host::version()
    }

    /// The identifier that logs and upstreams see.
    #[must_use]
    pub fn id(&self) -> String {
        host::id()
    }

    /// The name of the route that matched.
    #[must_use]
    pub fn route(&self) -> String {
        host::route()
    }

    /// The first value of a header. Names compare without case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Vec<u8>> {
        host::request_header(name)
    }

    /// All values of a header, in order.
    #[must_use]
    pub fn header_values(&self, name: &str) -> Vec<Vec<u8>> {
        host::request_header_values(name)
    }

    /// All headers, in order.
    #[must_use]
    pub fn headers(&self) -> Vec<(String, Vec<u8>)> {
        host::request_headers()
    }

    /// Replaces all values of a header by one.
    ///
    /// # Errors
    /// When [the contract](crate::contract) refuses it; nothing was changed.
    pub fn set_header(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), EditError> {
        host::set_request_header(name, value.as_ref())
    }

    /// Adds a value after those that are there.
    ///
    /// # Errors
    /// When [the contract](crate::contract) refuses it; nothing was changed.
    pub fn append_header(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), EditError> {
        host::append_request_header(name, value.as_ref())
    }

    /// Removes all values of a header. A header that is not there is no error.
    ///
    /// # Errors
    /// When [the contract](crate::contract) refuses it; nothing was changed.
    pub fn remove_header(&mut self, name: &str) -> Result<(), EditError> {
        host::remove_request_header(name)
    }

    /// Replaces path and query of what goes upstream. Routing has happened and is not repeated.
    ///
    /// # Errors
    /// When [the contract](crate::contract) refuses it; nothing was changed.
    pub fn set_target(&mut self, path_and_query: impl AsRef<[u8]>) -> Result<(), EditError> {
        host::set_target(path_and_query.as_ref())
    }

    /// Keeps a short key and value (64 and 1024 bytes at most, cut where longer) for the access log.
    pub fn note(&self, key: &str, value: &str) {
        host::note(key, value);
    }

    /// Keeps a line about this exchange for machines to read, JSON by preference. It is written as it is where the operator wants
    /// events (`access_log.events`), else among the access log's lines, and no limit of log lines applies to it. At most 16 KiB; a
    /// longer one is dropped, and so is what comes after the sixteenth of an exchange.
    pub fn event(&self, line: &str) {
        host::event(line);
    }
}
