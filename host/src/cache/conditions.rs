//! Conditional requests: the client's, answered from the cache, and Weir's own, asked of the origin (RFC 9110 §13,
//! RFC 9111 §4.3). `If-Match` and `If-Unmodified-Since` are for origins alone (RFC 9111 §4.3.2).

use std::time::Duration;

use ahash::RandomState;
use http::header::{
    DATE, ETAG, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED,
    RANGE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use smallvec::SmallVec;

use super::dates;
use super::head::Head;
use super::ranges::{Boundary, Parts};
use crate::http1::head::RequestHead;

/// What a client asks to be spared (RFC 9110 §13.1.2, §13.1.3), and which part it wants (§14.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    none_match: SmallVec<[HeaderValue; 1]>,
    modified_since: Option<HeaderValue>,
    range: Option<HeaderValue>,
    /// Under this condition (§13.1.5).
    if_range: Option<HeaderValue>,
}

impl Conditions {
    pub(super) fn of(method: &Method, headers: &HeaderMap) -> Self {
        let none_match: SmallVec<_> = headers.get_all(IF_NONE_MATCH).iter().cloned().collect();
        // §13.1.3: If-Modified-Since is ignored where there is an If-None-Match.
        let modified_since = if none_match.is_empty() {
            headers.get(IF_MODIFIED_SINCE).cloned()
        } else {
            None
        };
        // Ranges are defined for GET alone; two of them are a list that the field does not have.
        let mut ranges = headers.get_all(RANGE).iter();
        let range = ranges
            .next()
            .filter(|_| *method == Method::GET && ranges.next().is_none());
        Self {
            none_match,
            modified_since,
            if_range: range.and_then(|_| headers.get(IF_RANGE).cloned()),
            range: range.cloned(),
        }
    }

    /// Whether a request has any, which most have not.
    pub(super) fn are_in(RequestHead { headers, names, .. }: &RequestHead) -> bool {
        (names.may_have("if-none-match") && headers.contains_key(IF_NONE_MATCH))
            || (names.may_have("if-modified-since") && headers.contains_key(IF_MODIFIED_SINCE))
            || (names.may_have("range") && headers.contains_key(RANGE))
    }

    /// The parts of a stored response of this length that the client wants.
    pub(super) fn parts(&self, status: StatusCode, stored: &Head, length: u64) -> Parts {
        match &self.range {
            Some(range) if status == StatusCode::OK && self.holds_for_range(stored) => {
                Parts::of(range.as_bytes(), length, boundary)
            }
            _ => Parts::Whole,
        }
    }

    /// If-Range: the tag or date must name exactly the stored response (RFC 9110 §13.1.5).
    fn holds_for_range(&self, stored: &Head) -> bool {
        let Some(validator) = &self.if_range else { return true };
        let asked = validator.as_bytes().trim_ascii();
        if asked.starts_with(b"\"") || asked.starts_with(b"W/") {
            let etag = stored.get(&ETAG);
            return asked.starts_with(b"\"") && etag == Some(asked);
        }
        let Some(asked) = dates::parse(asked) else {
            return false;
        };
        // §8.8.2.2: two versions of one second have one Last-Modified, so that it says nothing about the last second.
        let settled = |modified| {
            stored
                .date(&DATE)
                .is_some_and(|date| modified + Duration::from_secs(1) <= date)
        };
        stored
            .date(&LAST_MODIFIED)
            .is_some_and(|modified| modified == asked && settled(modified))
    }

    /// Whether a stored response is what the client has already: a 304 then says as much as the whole.
    pub(super) fn spare(&self, status: StatusCode, stored: &Head) -> bool {
        if !status.is_success() {
            return false;
        }
        if !self.none_match.is_empty() {
            let etag = stored.get(&ETAG);
            return self.none_match.iter().any(|list| names(list.as_bytes(), etag));
        }
        let Some(since) = self
            .modified_since
            .as_ref()
            .and_then(|since| dates::parse(since.as_bytes()))
        else {
            return false;
        };
        // RFC 9111 §4.3.2: without a Last-Modified, the response's Date stands in for it.
        let modified = stored.date(&LAST_MODIFIED).or_else(|| stored.date(&DATE));
        modified.is_some_and(|modified| modified <= since)
    }
}

fn boundary() -> Boundary {
    let half = || u128::from(RandomState::new().hash_one(0));
    Boundary(half() << 64 | half())
}

/// Takes away what would keep the origin from answering with the whole representation.
pub(super) fn strip(headers: &mut HeaderMap) {
    for name in [
        IF_NONE_MATCH,
        IF_MODIFIED_SINCE,
        IF_MATCH,
        IF_UNMODIFIED_SINCE,
        IF_RANGE,
        RANGE,
    ] {
        headers.remove(name);
    }
}

/// The condition under which the origin may answer 304 instead of sending a stored response again (RFC 9111 §4.3.1).
pub(super) fn validators(stored: &Head) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let of = |validator, condition| stored.value(validator).map(|value| (condition, value));
    [of(&ETAG, IF_NONE_MATCH), of(&LAST_MODIFIED, IF_MODIFIED_SINCE)]
        .into_iter()
        .flatten()
}

/// Whether a 304 is about the stored response that was asked about (RFC 9111 §4.3.4). One without an ETag is: there was only
/// one to ask about.
pub(super) fn is_about(stored: &Head, not_modified: &HeaderMap) -> bool {
    match (stored.get(&ETAG), not_modified.get(ETAG)) {
        (Some(one), Some(other)) => opaque(one) == opaque(other.as_bytes()),
        (None, Some(_)) => false,
        (_, None) => true,
    }
}

/// Whether an If-None-Match list has `*` or this tag, compared weakly (RFC 9110 §8.8.3.2).
fn names(list: &[u8], etag: Option<&[u8]>) -> bool {
    let mut rest = list;
    loop {
        rest = rest.trim_ascii_start();
        rest = match rest.split_first() {
            None => return false,
            Some((b',', after)) => after,
            Some(_) => {
                let (tag, after) = first_tag(rest);
                if tag == b"*" || etag.is_some_and(|etag| opaque(etag) == opaque(tag)) {
                    return true;
                }
                after
            }
        };
    }
}

/// The first tag of a list, quotes and all, and what follows. What is no tag ends at its comma.
fn first_tag(list: &[u8]) -> (&[u8], &[u8]) {
    let prefix = if list.starts_with(b"W/\"") {
        3
    } else {
        usize::from(list.starts_with(b"\""))
    };
    let end_of = |from: usize, byte: u8| {
        list.iter()
            .skip(from)
            .position(|other| *other == byte)
            .map(|at| from + at)
    };
    let end = match prefix {
        0 => None,
        prefix => end_of(prefix, b'"').map(|quote| quote + 1),
    };
    let (tag, after) = list.split_at(end.or_else(|| end_of(0, b',')).unwrap_or(list.len()));
    (tag.trim_ascii_end(), after)
}

/// A tag without its mark of weakness.
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&str, &str)| {
            (
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        };
        lines.iter().map(line).collect()
    }

    fn spares(request: &[(&str, &str)], stored: &[(&str, &str)]) -> bool {
        Conditions::of(&Method::GET, &headers(request)).spare(StatusCode::OK, &Head::from(&headers(stored)))
    }

    #[test]
    fn rfc9110_13_1_2_if_none_match() {
        for (list, etag, expected) in [
            ("\"a\"", "\"a\"", true),
            ("\"a\"", "\"b\"", false),
            ("W/\"a\"", "\"a\"", true),
            ("\"a\"", "W/\"a\"", true),
            ("\"x\", \"a\"", "\"a\"", true),
            ("\"x\" , W/\"a\"", "\"a\"", true),
            ("\"x\"\"a\"", "\"a\"", true),
            ("\"x,a\"", "\"x,a\"", true),
            ("\"x,\"a\"", "\"a\"", false),
            ("*", "\"a\"", true),
            ("\"*\"", "\"a\"", false),
            (",,", "\"a\"", false),
            ("a", "\"a\"", false),
            ("a", "a", true),
            ("\"a", "\"a\"", false),
        ] {
            assert_eq!(
                spares(&[("if-none-match", list)], &[("etag", etag)]),
                expected,
                "{list} | {etag}"
            );
        }
        assert!(!spares(&[("if-none-match", "\"a\"")], &[]));
        assert!(spares(&[("if-none-match", "*")], &[]));
        assert!(spares(
            &[("if-none-match", "\"x\""), ("if-none-match", "\"a\"")],
            &[("etag", "\"a\"")]
        ));
    }

    const EARLIER: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
    const LATER: &str = "Tue, 14 Nov 2023 22:13:21 GMT";

    #[test]
    fn rfc9110_13_1_3_if_modified_since() {
        for (since, modified, expected) in [
            (EARLIER, EARLIER, true),
            (LATER, EARLIER, true),
            (EARLIER, LATER, false),
            ("nonsense", EARLIER, false),
        ] {
            let spared = spares(&[("if-modified-since", since)], &[("last-modified", modified)]);
            assert_eq!(spared, expected, "{since} | {modified}");
        }
        assert!(
            spares(&[("if-modified-since", EARLIER)], &[("date", EARLIER)]),
            "RFC 9111 §4.3.2"
        );
        let both = [("if-modified-since", LATER), ("if-none-match", "\"x\"")];
        assert!(
            !spares(&both, &[("last-modified", EARLIER), ("etag", "\"a\"")]),
            "If-None-Match goes first"
        );
    }

    #[test]
    fn rfc9110_13_1_5_if_range() {
        const MUCH_LATER: &str = "Tue, 14 Nov 2023 23:13:20 GMT";
        let stored = [("etag", "\"a\""), ("last-modified", EARLIER), ("date", MUCH_LATER)];
        for (validator, stored, holds) in [
            ("\"a\"", &stored[..], true),
            ("\"b\"", &stored, false),
            ("W/\"a\"", &[("etag", "W/\"a\"")], false),
            ("\"a\"", &[("etag", "W/\"a\"")], false),
            ("\"a\"", &[], false),
            (EARLIER, &stored, true),
            (LATER, &stored, false),
            (EARLIER, &[("last-modified", EARLIER), ("date", EARLIER)], false),
            (EARLIER, &[("last-modified", EARLIER)], false),
            ("nonsense", &stored, false),
        ] {
            let asked = headers(&[("range", "bytes=0-1"), ("if-range", validator)]);
            let conditions = Conditions::of(&Method::GET, &asked);
            let parts = conditions.parts(StatusCode::OK, &Head::from(&headers(stored)), 10);
            assert_eq!(parts == Parts::One(0..2), holds, "{validator} | {stored:?}");
        }
    }

    #[test]
    fn rfc9110_14_2_ranges_are_for_get_of_a_200_alone() {
        let asked = headers(&[("range", "bytes=0-1")]);
        let parts =
            |method, asked: &HeaderMap, status| Conditions::of(&method, asked).parts(status, &Head::default(), 10);
        assert_eq!(parts(Method::GET, &asked, StatusCode::OK), Parts::One(0..2));
        assert_eq!(parts(Method::HEAD, &asked, StatusCode::OK), Parts::Whole);
        assert_eq!(parts(Method::GET, &asked, StatusCode::NOT_FOUND), Parts::Whole);
        let twice = headers(&[("range", "bytes=0-1"), ("range", "bytes=2-3")]);
        assert_eq!(parts(Method::GET, &twice, StatusCode::OK), Parts::Whole);
    }

    #[test]
    fn only_successes_are_spared() {
        let conditions = Conditions::of(&Method::GET, &headers(&[("if-none-match", "\"a\"")]));
        assert!(!conditions.spare(StatusCode::NOT_FOUND, &Head::from(&headers(&[("etag", "\"a\"")]))));
    }

    #[test]
    fn rfc9111_4_3_1_validators() {
        let stored = Head::from(&headers(&[("etag", "W/\"a\""), ("last-modified", EARLIER)]));
        let conditions: HeaderMap = validators(&stored).collect();
        assert_eq!(
            conditions,
            headers(&[("if-none-match", "W/\"a\""), ("if-modified-since", EARLIER)])
        );
    }

    #[test]
    fn rfc9111_4_3_4_which_response_a_304_is_about() {
        let about = |stored: &[_], fresh: &[_]| is_about(&Head::from(&headers(stored)), &headers(fresh));
        assert!(about(&[("etag", "\"a\"")], &[("etag", "\"a\"")]));
        assert!(about(&[("etag", "\"a\"")], &[]));
        assert!(!about(&[("etag", "\"a\"")], &[("etag", "\"b\"")]));
        assert!(!about(&[], &[("etag", "\"b\"")]));
    }

    proptest! {
        #[test]
        fn any_list_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = names(&bytes, Some(b"\"a\""));
        }
    }
}
