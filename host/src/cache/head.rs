//! The head of a stored response: the lines that are sent again with every hit, as HTTP/1.1 writes them.
//!
//! A map of fields costs a kilobyte for each response, and a copy for each hit. Lines cost what they are long, and are sent by
//! copying them; who looks for a field (conditions, bans, operators) reads them through, which for a dozen lines is no slower.

use std::time::SystemTime;

use bytes::Bytes;
use http::header::{
    AGE, CONNECTION, CONTENT_LENGTH, DATE, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue};

use super::dates;
use super::directives;
use super::status::CACHE_STATUS;
use super::tags::{CACHE_TAG, SURROGATE_KEY};
use crate::config::Tags;
use crate::http1::lines;

/// Lines, those that are for caches alone last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Head {
    lines: Box<[u8]>,
    /// Bytes of the lines that are for everybody.
    public: u32,
}

impl Head {
    /// A head as it is stored: end-to-end fields only (§3.1), of them what may be served again (§5.2.2.4), and a Date in any
    /// case (RFC 9110 §6.6.1). Age and the content's length are not among them: they are said anew with every hit.
    pub(super) fn of(headers: &HeaderMap, now: SystemTime) -> Self {
        let mut listed = listed_by_connection(headers);
        listed.extend(directives::withheld(headers));
        let date = (!headers.contains_key(DATE))
            .then(|| HeaderValue::from_str(&httpdate::fmt_http_date(now)).ok())
            .flatten();
        let stored = headers.iter().filter(|(name, value)| {
            // An empty Cache-Status says nothing, and stands before Weir's own.
            let said_anew = **name == AGE || **name == CONTENT_LENGTH || (**name == CACHE_STATUS && value.is_empty());
            is_stored(name, &listed) && !said_anew
        });
        Self::from_fields(stored.chain(date.iter().map(|date| (&DATE, date))))
    }

    fn from_fields<'a>(fields: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>) -> Self {
        let is_tag = |name: &HeaderName| *name == SURROGATE_KEY || *name == CACHE_TAG;
        let (tags, others): (Vec<_>, Vec<_>) = fields.partition(|(name, _)| is_tag(name));
        let length = |fields: &[(&HeaderName, &HeaderValue)]| -> usize {
            fields.iter().map(|(name, value)| lines::length(name, value)).sum()
        };
        let public = length(&others);
        let mut text = Vec::with_capacity(public + length(&tags));
        for (name, value) in others.into_iter().chain(tags) {
            lines::push(&mut text, name, value);
        }
        Self {
            // No head is that long: what comes from an origin is bounded, and what comes from a disk too.
            public: u32::try_from(public).unwrap_or(0),
            lines: text.into_boxed_slice(),
        }
    }

    /// The lines to send.
    pub(super) fn lines(&self, tags: Tags) -> &[u8] {
        match tags {
            Tags::Pass => &self.lines,
            Tags::Strip => self.lines.get(..self.public as usize).unwrap_or_default(),
        }
    }

    /// All names and values, in the order in which they are sent.
    pub(super) fn fields(&self) -> lines::Fields<'_> {
        lines::fields(&self.lines)
    }

    /// The values of a field.
    pub(super) fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields()
            .filter(move |(other, _)| *other == name.as_bytes())
            .map(|(_, value)| value)
    }

    /// The first value of a field.
    pub(super) fn get(&self, name: &HeaderName) -> Option<&[u8]> {
        let found = self.fields().find(|(other, _)| *other == name.as_str().as_bytes());
        found.map(|(_, value)| value)
    }

    /// The same, for a message.
    pub(super) fn value(&self, name: &HeaderName) -> Option<HeaderValue> {
        HeaderValue::from_bytes(self.get(name)?).ok()
    }

    /// A date among the fields.
    pub(super) fn date(&self, name: &HeaderName) -> Option<SystemTime> {
        dates::parse(self.get(name)?)
    }

    /// The fields for whoever changes them or hands them on one by one.
    pub(super) fn to_map(&self, tags: Tags) -> HeaderMap {
        let all = Bytes::copy_from_slice(self.lines(tags));
        let mut map = HeaderMap::with_capacity(self.fields().count() + 3);
        for (name, value) in lines::fields(&all) {
            let name = HeaderName::from_bytes(name);
            let value = HeaderValue::from_maybe_shared(all.slice_ref(value));
            if let (Ok(name), Ok(value)) = (name, value) {
                map.append(name, value);
            }
        }
        map
    }

    /// Bytes on the heap.
    pub(super) fn size(&self) -> usize {
        self.lines.len()
    }
}

/// Without looking at what may be stored: for tests, and for what has been stored before.
impl From<&HeaderMap> for Head {
    fn from(headers: &HeaderMap) -> Self {
        Self::from_fields(headers.iter())
    }
}

/// Names that `Connection` says are for this hop only (RFC 9110 §7.6.1).
fn listed_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let lists = headers.get_all(CONNECTION).iter();
    let names = lists.flat_map(|list| list.as_bytes().split(|byte| *byte == b','));
    names
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect()
}

fn is_stored(name: &HeaderName, listed: &[HeaderName]) -> bool {
    const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
    const PROXY_AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("proxy-authentication-info");
    const NEVER: [HeaderName; 10] = [
        CONNECTION,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        PROXY_AUTHENTICATE,
        PROXY_AUTHENTICATION_INFO,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    !NEVER.contains(name) && !listed.contains(name)
}

/// The fields of a head that a 304 may change: those that it stores, and that do not describe bytes which it does not have.
pub(super) fn changed_by<'a>(
    not_modified: &'a HeaderMap,
    kept: &'a [HeaderName],
) -> impl Iterator<Item = &'a HeaderName> {
    let listed = listed_by_connection(not_modified);
    not_modified
        .keys()
        .filter(move |name| is_stored(name, &listed) && !kept.contains(name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::{Duration, UNIX_EPOCH};

    use super::super::tests::header_map;
    use super::*;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_700_000_000)
    }

    #[test]
    fn rfc9111_3_1_only_end_to_end_fields_are_stored() {
        let came = header_map(&[
            ("connection", "close, X-Hop"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("proxy-authenticate", "Basic"),
            ("x-hop", "1"),
            ("x-end", "1"),
            ("x-end", "2"),
            ("age", "7"),
            ("content-length", "7"),
            ("cache-status", ""),
        ]);
        let stored = Head::of(&came, now());
        let expected = "x-end: 1\r\nx-end: 2\r\ndate: Tue, 14 Nov 2023 22:13:20 GMT\r\n";
        assert_eq!(std::str::from_utf8(stored.lines(Tags::Pass)).unwrap(), expected);
    }

    #[test]
    fn rfc9111_5_2_2_4_fields_that_may_not_be_served_again_are_not_stored() {
        let came = header_map(&[
            ("cache-control", "max-age=60, no-cache=\"a\", private=\"b, set-cookie\""),
            ("a", "1"),
            ("b", "2"),
            ("c", "3"),
            ("set-cookie", "x=y"),
        ]);
        let stored = Head::of(&came, now()).to_map(Tags::Pass);
        assert!(stored.contains_key("c"));
        for withheld in ["a", "b", "set-cookie"] {
            assert!(!stored.contains_key(withheld), "{withheld}");
        }
    }

    #[test]
    fn tags_stand_last_and_are_left_out_where_they_are_not_wanted() {
        let came = header_map(&[
            ("surrogate-key", "a b"),
            ("etag", "\"1\""),
            ("cache-tag", "c"),
            ("date", "x"),
        ]);
        let head = Head::of(&came, now());
        assert_eq!(head.lines(Tags::Strip), b"etag: \"1\"\r\ndate: x\r\n");
        assert_eq!(head.to_map(Tags::Pass), came);
        assert_eq!(head.get(&CACHE_TAG), Some(&b"c"[..]));
    }
}
