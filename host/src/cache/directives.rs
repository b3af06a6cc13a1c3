//! `Cache-Control` of requests and responses (RFC 9111 §5.2), as sent by the careless and the hostile.
//!
//! Unknown directives are ignored (§5.2.3), names know no case, arguments may be tokens or quoted strings whatever the grammar
//! of the directive says (§5.2). Where a lifetime cannot be read, the response counts as stale (§4.2.1); of a repeated
//! directive the smallest argument counts.

use http::HeaderMap;
use http::header::{AsHeaderName, CACHE_CONTROL, HeaderName, PRAGMA};
use smallvec::SmallVec;

use super::span::Seconds;

/// What a client asks of caches (§5.2.1). They are wishes; Weir grants them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) no_cache: bool,
    pub(super) no_store: bool,
    pub(super) only_if_cached: bool,
    /// Seconds.
    pub(super) max_age: Option<u32>,
    /// Seconds.
    pub(super) min_fresh: Option<u32>,
    /// Seconds; [`FOR_EVER`] without an argument.
    pub(super) max_stale: Option<u32>,
    /// Seconds (RFC 5861 §4).
    pub(super) stale_if_error: Option<u32>,
}

/// What an origin allows caches to do (§5.2.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) source: Source,
    /// Without field names; what it says with them, [`withheld`] knows.
    pub(super) no_cache: bool,
    pub(super) no_store: bool,
    /// Without field names.
    pub(super) private: bool,
    pub(super) public: bool,
    pub(super) must_revalidate: bool,
    pub(super) proxy_revalidate: bool,
    pub(super) must_understand: bool,
    /// Seconds; 0 where it cannot be read.
    pub(super) max_age: Option<u32>,
    /// Seconds; 0 where it cannot be read.
    pub(super) s_maxage: Option<u32>,
    /// Seconds (RFC 5861 §3).
    pub(super) stale_while_revalidate: Option<u32>,
    /// Seconds (RFC 5861 §4).
    pub(super) stale_if_error: Option<u32>,
}

/// Which field said it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Source {
    /// `Cache-Control`, or nothing.
    #[default]
    CacheControl,
    /// A field for caches like this one (RFC 9213), beside which `Cache-Control` and `Expires` say nothing.
    Targeted,
}

/// What serving needs of what an origin said: a stored response has nothing but that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) no_cache: bool,
    pub(super) forbids_stale: bool,
    pub(super) lifetime: Lifetime,
    pub(super) stale_while_revalidate: Seconds,
    pub(super) stale_if_error: Seconds,
}

/// What the directives say of a response's lifetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// `s-maxage` or `max-age` of a targeted field.
    Targeted,
    SMaxage,
    MaxAge,
    /// Nothing; `Expires` may.
    Unsaid,
    /// Nothing, in a targeted field, beside which `Expires` does not count.
    UnsaidByTargeted,
}

/// The longest delta in seconds; RFC 9111 §1.2.2 has larger ones count as this.
pub(super) const FOR_EVER: u32 = 1 << 31;

impl Request {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut request = Self::default();
        if !headers.contains_key(CACHE_CONTROL) {
            // §5.4: an HTTP/1.0 client's way to say it, heard only where Cache-Control is silent.
            each(headers, PRAGMA, |name, _| {
                request.no_cache |= name.eq_ignore_ascii_case(b"no-cache")
            });
            return request;
        }
        each(headers, CACHE_CONTROL, |name, argument| {
            match_name(name, |name| match name {
                "no-cache" => request.no_cache = true,
                "no-store" => request.no_store = true,
                "only-if-cached" => request.only_if_cached = true,
                "max-age" => request.max_age = smallest(request.max_age, argument.seconds().or(Some(0))),
                "min-fresh" => request.min_fresh = argument.seconds().max(request.min_fresh),
                "max-stale" => {
                    let seconds = if argument == Argument::None {
                        Some(FOR_EVER)
                    } else {
                        argument.seconds()
                    };
                    request.max_stale = smallest(request.max_stale, seconds);
                }
                "stale-if-error" => request.stale_if_error = smallest(request.stale_if_error, argument.seconds()),
                _ => {}
            });
        });
        request
    }
}

impl Response {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut response = Self::default();
        each(headers, CACHE_CONTROL, |name, argument| {
            match_name(name, |name| match name {
                "no-cache" => response.no_cache |= argument.field_names().is_none(),
                "no-store" => response.no_store = true,
                "private" => response.private |= argument.field_names().is_none(),
                "public" => response.public = true,
                "must-revalidate" => response.must_revalidate = true,
                "proxy-revalidate" => response.proxy_revalidate = true,
                "must-understand" => response.must_understand = true,
                "max-age" => response.max_age = smallest(response.max_age, argument.seconds().or(Some(0))),
                "s-maxage" => response.s_maxage = smallest(response.s_maxage, argument.seconds().or(Some(0))),
                "stale-while-revalidate" => {
                    response.stale_while_revalidate = smallest(response.stale_while_revalidate, argument.seconds());
                }
                "stale-if-error" => response.stale_if_error = smallest(response.stale_if_error, argument.seconds()),
                _ => {}
            });
        });
        response
    }

    pub(super) fn kept(&self) -> Kept {
        Kept {
            no_cache: self.no_cache,
            forbids_stale: self.forbids_stale(),
            lifetime: match (self.source, self.s_maxage, self.max_age) {
                (Source::Targeted, None, None) => Lifetime::UnsaidByTargeted,
                (Source::Targeted, ..) => Lifetime::Targeted,
                (Source::CacheControl, Some(_), _) => Lifetime::SMaxage,
                (Source::CacheControl, None, Some(_)) => Lifetime::MaxAge,
                (Source::CacheControl, None, None) => Lifetime::Unsaid,
            },
            stale_while_revalidate: self.stale_while_revalidate.into(),
            stale_if_error: self.stale_if_error.into(),
        }
    }

    /// Whether a stale response must not be served at all (§4.2.4): `s-maxage` means `proxy-revalidate` (§5.2.2.10).
    fn forbids_stale(&self) -> bool {
        self.no_cache || self.must_revalidate || self.proxy_revalidate || self.s_maxage.is_some()
    }
}

/// Fields that are not to be served again, or not for others: the names that `no-cache` and `private` come with (§5.2.2.4,
/// §5.2.2.7). They are left out of what is stored.
pub(super) fn withheld(headers: &HeaderMap) -> SmallVec<[HeaderName; 2]> {
    let mut withheld = SmallVec::new();
    each(headers, CACHE_CONTROL, |name, argument| {
        match_name(name, |name| {
            if matches!(name, "no-cache" | "private") {
                withheld.extend(argument.field_names().unwrap_or_default());
            }
        });
    });
    withheld
}

/// The argument of a directive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Argument<'a> {
    None,
    /// A token, or what stands between the quotes, escapes and all: no directive that is read here has any.
    Value(&'a [u8]),
    /// Empty, with white space around `=`, or with a quote that never ends.
    Malformed,
}

impl Argument<'_> {
    /// A delta in seconds (§1.2.2): digits and nothing else.
    fn seconds(self) -> Option<u32> {
        match self {
            Self::Value(digits) => seconds(digits),
            Self::None | Self::Malformed => None,
        }
    }

    /// A list of field names; `None` where it is anything else, and the directive holds for the whole response.
    fn field_names(self) -> Option<SmallVec<[HeaderName; 2]>> {
        let Self::Value(list) = self else { return None };
        let names = list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let names: Option<SmallVec<[HeaderName; 2]>> = names
            .filter(|name| !name.is_empty())
            .map(|name| HeaderName::from_bytes(name).ok())
            .collect();
        names.filter(|names| !names.is_empty())
    }
}

/// A non-negative number of seconds, at most [`FOR_EVER`].
pub(super) fn seconds(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |sum: u32, digit: &u8| sum.saturating_mul(10).saturating_add(u32::from(digit - b'0'));
    Some(digits.iter().fold(0, add).min(FOR_EVER))
}

fn smallest(one: Option<u32>, other: Option<u32>) -> Option<u32> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Calls with the name in lower case; names too long to be known are left out.
fn match_name(name: &[u8], known: impl FnOnce(&str)) {
    let mut lower = [0; 24];
    let Some(lower) = lower.get_mut(..name.len()) else {
        return;
    };
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    if let Ok(name) = std::str::from_utf8(lower) {
        known(name);
    }
}

/// Calls with every directive of every line of a field.
fn each(headers: &HeaderMap, field: impl AsHeaderName, mut directive: impl FnMut(&[u8], Argument<'_>)) {
    for value in headers.get_all(field) {
        let mut rest = value.as_bytes();
        while !rest.is_empty() {
            let (name, argument, after) = first(rest);
            if !name.is_empty() {
                directive(name, argument);
            }
            rest = after;
        }
    }
}

/// The first directive of a list, and what follows its comma.
fn first(list: &[u8]) -> (&[u8], Argument<'_>, &[u8]) {
    let name_end = list
        .iter()
        .position(|byte| matches!(byte, b'=' | b','))
        .unwrap_or(list.len());
    let (name, rest) = list.split_at(name_end);
    let Some(after_equals) = rest.strip_prefix(b"=") else {
        return (name.trim_ascii(), Argument::None, after_comma(rest));
    };
    // A quote that never ends is no quote: it must not hide a directive that follows it.
    if let Some((value, rest)) = after_equals.strip_prefix(b"\"").and_then(quoted) {
        let clean = rest
            .iter()
            .take_while(|byte| **byte != b',')
            .all(|byte| matches!(byte, b' ' | b'\t'));
        let argument = if clean && name.trim_ascii_end().len() == name.len() {
            Argument::Value(value)
        } else {
            Argument::Malformed
        };
        return (name.trim_ascii(), argument, after_comma(rest));
    }
    let end = after_equals
        .iter()
        .position(|byte| *byte == b',')
        .unwrap_or(after_equals.len());
    let (value, rest) = after_equals.split_at(end);
    let value = value.trim_ascii_end();
    let malformed = value.first().is_none_or(u8::is_ascii_whitespace) || name.trim_ascii_end().len() != name.len();
    (
        name.trim_ascii(),
        if malformed {
            Argument::Malformed
        } else {
            Argument::Value(value)
        },
        after_comma(rest),
    )
}

/// What stands before the closing quote, and what after it.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut position = 0;
    loop {
        match text.get(position)? {
            b'"' => return Some((text.get(..position)?, text.get(position + 1..)?)),
            b'\\' => position += 2,
            _ => position += 1,
        }
    }
}

fn after_comma(rest: &[u8]) -> &[u8] {
    rest.iter()
        .position(|byte| *byte == b',')
        .and_then(|comma| rest.get(comma + 1..))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        lines
            .iter()
            .map(|line| (CACHE_CONTROL, HeaderValue::from_bytes(line.as_bytes()).unwrap()))
            .collect()
    }

    fn response(line: &str) -> Response {
        Response::of(&headers(&[line]))
    }

    fn request(line: &str) -> Request {
        Request::of(&headers(&[line]))
    }

    #[test]
    fn rfc9111_5_2_max_age_in_all_its_spellings() {
        for (line, expected) in [
            ("max-age=60", Some(60)),
            ("Max-Age=60", Some(60)),
            ("  max-age=60  ", Some(60)),
            ("max-age=\"60\"", Some(60)),
            (",,max-age=60,,", Some(60)),
            ("a, b=c, d=\"e, max-age=5\", max-age=60", Some(60)),
            ("d=\"e\\\", max-age=5\", max-age=60", Some(60)),
            ("max-age=0060", Some(60)),
            ("max-age=99999999999999999999", Some(FOR_EVER)),
            ("max-age=60, max-age=10", Some(10)),
            ("max-age=10, max-age=60", Some(10)),
            // What cannot be read counts as stale (§4.2.1).
            ("max-age", Some(0)),
            ("max-age=", Some(0)),
            ("max-age=-1", Some(0)),
            ("max-age=+1", Some(0)),
            ("max-age=1.5", Some(0)),
            ("max-age=60s", Some(0)),
            ("max-age='60'", Some(0)),
            ("max-age=60;x", Some(0)),
            ("max-age =60", Some(0)),
            ("max-age= 60", Some(0)),
            ("max-age=\"60\"x", Some(0)),
            ("max-age=\"60", Some(0)),
            // Not the directive.
            ("max-age-60", None),
            ("xmax-age=60", None),
            ("max-agee=60", None),
            ("x=\"max-age=60\"", None),
        ] {
            assert_eq!(response(line).max_age, expected, "{line}");
        }
    }

    #[test]
    fn rfc9111_5_2_2_response_directives() {
        let all = response(
            "no-cache, no-store, private, public, must-revalidate, proxy-revalidate, must-understand, max-age=1, s-maxage=2, \
             stale-while-revalidate=3, stale-if-error=4",
        );
        let expected = Response {
            source: Source::CacheControl,
            no_cache: true,
            no_store: true,
            private: true,
            public: true,
            must_revalidate: true,
            proxy_revalidate: true,
            must_understand: true,
            max_age: Some(1),
            s_maxage: Some(2),
            stale_while_revalidate: Some(3),
            stale_if_error: Some(4),
        };
        assert_eq!(all, expected);
        assert_eq!(response("stale-if-error=x").stale_if_error, None);
        assert_eq!(response(""), Response::default());
    }

    #[test]
    fn rfc9111_5_2_2_4_and_7_with_field_names_they_hold_for_these() {
        let names = |line: &str| {
            let names = withheld(&headers(&[line]));
            names.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(" ")
        };
        for (line, expected) in [
            ("no-cache=\"Set-Cookie, x\"", "set-cookie x"),
            ("private=set-cookie", "set-cookie"),
            ("private=\"a\", no-cache=\"b\"", "a b"),
            ("no-cache=\"a,,\"", "a"),
        ] {
            assert_eq!(names(line), expected, "{line}");
            assert!(!response(line).no_cache && !response(line).private, "{line}");
        }
        for line in [
            "no-cache",
            "no-cache=\"\"",
            "no-cache=\"a b\"",
            "no-cache=",
            "no-cache=\"a",
            "no-cache=\"a\", no-cache",
        ] {
            assert!(response(line).no_cache, "{line}");
        }
    }

    #[test]
    fn rfc9111_5_2_directives_on_several_lines_are_one_list() {
        let both = Response::of(&headers(&["max-age=60", "no-store"]));
        assert_eq!((both.max_age, both.no_store), (Some(60), true));
    }

    #[test]
    fn a_quote_that_never_ends_hides_nothing() {
        assert!(response("x=\"abc, no-store").no_store);
        assert!(response("x=\"abc\\\", no-store").no_store);
        assert!(response("max-age=\"60, private").private);
    }

    #[test]
    fn rfc9111_5_2_1_request_directives() {
        let all = request("no-cache, no-store, only-if-cached, max-age=1, min-fresh=2, max-stale=3, stale-if-error=4");
        let expected = Request {
            no_cache: true,
            no_store: true,
            only_if_cached: true,
            max_age: Some(1),
            min_fresh: Some(2),
            max_stale: Some(3),
            stale_if_error: Some(4),
        };
        assert_eq!(all, expected);
        assert_eq!(request("max-stale").max_stale, Some(FOR_EVER));
        assert_eq!(request("max-stale=x").max_stale, None);
        assert_eq!(request("max-age=x").max_age, Some(0));
    }

    #[test]
    fn rfc9111_5_4_pragma_counts_only_without_cache_control() {
        let mut headers = HeaderMap::new();
        headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
        assert!(Request::of(&headers).no_cache);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
        assert!(!Request::of(&headers).no_cache);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let headers: HeaderMap = [(CACHE_CONTROL, value)].into_iter().collect();
                let _ = (Request::of(&headers), Response::of(&headers));
            }
        }

        #[test]
        fn no_store_is_found_wherever_it_stands(before in "[a-z=\",\\\\ ]{0,20}", after in "[a-z=\",\\\\ ]{0,20}") {
            // Unless it is inside a quoted string, which needs an even number of quotes around it.
            prop_assume!(!before.contains('"'));
            let found = response(&format!("{before},no-store,{after}")).no_store;
            prop_assert!(found);
        }
    }
}
