//! Which names the fields of a head have, in one word.
//!
//! Every exchange asks for a dozen fields that hardly any request has, and each time a map is asked it hashes the name. So a head
//! remembers one bit for each name that it has (a Bloom filter with one function: Bloom, "Space/time trade-offs in hash coding with
//! allowable errors", 1970). Where the bit is missing the field is, and where it is set the map knows. Fields can share a bit, and a
//! client that sets all of them has its fields looked for as if there were none.

use http::HeaderMap;

/// The names of a head's fields. Without knowing better, any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names(u64);

impl Names {
    /// No field.
    pub const NONE: Self = Self(0);
    /// Whatever there may be.
    pub const ANY: Self = Self(u64::MAX);

    /// Those of a map.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut names = Self::NONE;
        for name in headers.keys() {
            names.add(name.as_str().as_bytes());
        }
        names
    }

    /// One more, in any case.
    #[inline]
    pub fn add(&mut self, name: &[u8]) {
        self.0 |= bit(name);
    }

    /// Whether there may be a field of this name. The bit is a constant where the name is.
    #[inline]
    #[must_use]
    pub const fn may_have(self, name: &str) -> bool {
        self.0 & bit(name.as_bytes()) != 0
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::ANY
    }
}

/// Length and outer letters. With these factors none of the names that Weir asks for shares its bit with one that browsers send with
/// every request.
#[inline]
const fn bit(name: &[u8]) -> u64 {
    let (first, last) = match name {
        [first, .., last] => (*first, *last),
        [only] => (*only, *only),
        [] => (0, 0),
    };
    // Letters differ from their capitals in this bit alone.
    let (first, last) = (first as usize | 0x20, last as usize | 0x20);
    1 << ((9 * name.len() + 5 * first + last) % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Weir asks for.
    const ASKED: [&str; 10] = [
        "cache-control",
        "connection",
        "content-length",
        "expect",
        "if-modified-since",
        "if-none-match",
        "pragma",
        "range",
        "transfer-encoding",
        "upgrade",
    ];

    #[test]
    fn a_name_that_was_added_may_be_there_in_any_case() {
        for name in ASKED {
            let mut names = Names::NONE;
            assert!(!names.may_have(name));
            names.add(name.to_ascii_uppercase().as_bytes());
            assert!(names.may_have(name));
            assert!(Names::default().may_have(name));
        }
        let mut names = Names::NONE;
        names.add(b"");
        names.add(b"x");
    }

    #[test]
    fn what_browsers_always_send_hides_nothing() {
        let browser = [
            "host",
            "user-agent",
            "accept",
            "accept-encoding",
            "accept-language",
            "cookie",
            "referer",
            "origin",
            "dnt",
            "sec-fetch-site",
            "sec-fetch-mode",
            "sec-fetch-dest",
            "sec-fetch-user",
            "sec-ch-ua",
            "sec-ch-ua-mobile",
            "sec-ch-ua-platform",
            "upgrade-insecure-requests",
            "priority",
            "te",
            "authorization",
            "content-type",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
            "x-real-ip",
            "x-request-id",
            "via",
        ];
        let mut names = Names::NONE;
        for name in browser {
            names.add(name.as_bytes());
        }
        for name in ASKED {
            assert!(!names.may_have(name), "{name}");
        }
    }
}
