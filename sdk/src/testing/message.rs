//! The messages of an exchange under test.

use std::net::{IpAddr, Ipv4Addr};

use crate::contract::{self, EditError};

/// A request as the client sends it. Without anything else said: `GET`, `https`, `example.org`, HTTP/1.1, from 192.0.2.1
/// (RFC 5737), by the route `default`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRequest {
    pub(crate) client: IpAddr,
    pub(crate) method: String,
    pub(crate) scheme: String,
    pub(crate) host: String,
    pub(crate) target: Vec<u8>,
    pub(crate) version: String,
    pub(crate) id: String,
    pub(crate) route: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    pub(crate) refused: Option<String>,
}

impl ClientRequest {
    /// A request for a path and perhaps a query.
    #[must_use]
    pub fn new(method: &str, target: impl Into<Vec<u8>>) -> Self {
        Self {
            client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            method: method.to_owned(),
            scheme: "https".to_owned(),
            host: "example.org".to_owned(),
            target: target.into(),
            version: "1.1".to_owned(),
            id: "0123456789abcdef0123456789abcdef".to_owned(),
            route: "default".to_owned(),
            headers: Headers::default(),
            body: Vec::new(),
            refused: None,
        }
    }

    /// A `GET`.
    #[must_use]
    pub fn get(target: impl Into<Vec<u8>>) -> Self {
        Self::new("GET", target)
    }

    /// A `POST` with a body.
    #[must_use]
    pub fn post(target: impl Into<Vec<u8>>, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", target).body(body)
    }

    /// The client's address.
    #[must_use]
    pub fn client(mut self, client: IpAddr) -> Self {
        self.client = client;
        self
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(mut self, scheme: &str) -> Self {
        scheme.clone_into(&mut self.scheme);
        self
    }

    /// The host without port, in lower case.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// `1.0`, `1.1` or `2`.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// The route's name.
    #[must_use]
    pub fn route(mut self, route: &str) -> Self {
        route.clone_into(&mut self.route);
        self
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// That Weir refuses it, for this reason.
    #[must_use]
    pub fn refused(mut self, word: &str) -> Self {
        self.refused = Some(word.to_owned());
        self
    }

    /// The body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn path(&self) -> &[u8] {
        self.target.split(|&byte| byte == b'?').next().unwrap_or_default()
    }

    pub(crate) fn query(&self) -> Option<&[u8]> {
        self.target.splitn(2, |&byte| byte == b'?').nth(1)
    }
}

/// A response as the upstream sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamResponse {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

impl UpstreamResponse {
    /// A response without headers and body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Headers::default(),
            body: Vec::new(),
        }
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// The body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

/// Header lines in order. Names compare without case and are kept in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// The first value of a header.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// All values of a header, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.0
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }

    /// All lines, in order.
    #[must_use]
    pub fn to_vec(&self) -> Vec<(String, Vec<u8>)> {
        self.0.clone()
    }

    /// Adds a line, as a client or an upstream may: without a check.
    pub(crate) fn push(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.0.push((name.to_ascii_lowercase(), value.into()));
    }

    pub(crate) fn append(&mut self, name: &str, value: &[u8]) -> Result<(), EditError> {
        contract::check_header(name, value)?;
        self.push(name, value);
        Ok(())
    }

    pub(crate) fn set(&mut self, name: &str, value: &[u8]) -> Result<(), EditError> {
        contract::check_header(name, value)?;
        self.0.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.push(name, value);
        Ok(())
    }

    pub(crate) fn remove(&mut self, name: &str) -> Result<(), EditError> {
        contract::check_name(name)?;
        self.0.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        Ok(())
    }
}

impl From<Vec<(String, Vec<u8>)>> for Headers {
    fn from(lines: Vec<(String, Vec<u8>)>) -> Self {
        let mut headers = Self::default();
        for (name, value) in lines {
            headers.push(&name, value);
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_replaces_all_values_and_append_keeps_them() {
        let mut headers = Headers::default();
        headers.push("A", "1");
        headers.push("a", "2");
        assert_eq!(headers.append("A", b"3"), Ok(()));
        assert_eq!(headers.all("a").collect::<Vec<_>>(), [b"1", b"2", b"3"]);
        assert_eq!(headers.set("a", b"4"), Ok(()));
        assert_eq!(headers.all("A").collect::<Vec<_>>(), [b"4"]);
        assert_eq!(headers.remove("A"), Ok(()));
        assert_eq!(headers.get("a"), None);
    }

    #[test]
    fn a_refused_edit_changes_nothing() {
        let mut headers = Headers::default();
        headers.push("via", "1.1 a");
        assert_eq!(headers.set("Via", b"x"), Err(EditError::Reserved));
        assert_eq!(headers.remove("via"), Err(EditError::Reserved));
        assert_eq!(headers.append("x", b"\n"), Err(EditError::InvalidValue));
        assert_eq!(headers.to_vec(), [("via".to_owned(), b"1.1 a".to_vec())]);
    }

    #[test]
    fn a_target_is_split_at_the_first_question_mark() {
        let request = ClientRequest::get("/a?b?c");
        assert_eq!((request.path(), request.query()), (&b"/a"[..], Some(&b"b?c"[..])));
        assert_eq!(ClientRequest::get("/a").query(), None);
        assert_eq!(ClientRequest::get("/a?").query(), Some(&b""[..]));
    }
}
