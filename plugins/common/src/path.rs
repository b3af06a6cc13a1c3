//! Paths: the notation of a bundle's matcher, and the one form in which paths are compared.

use std::borrow::Cow;

use crate::wildcard::Wildcard;

/// `/api` is that path and everything below it, by whole segments; `=/api` is exactly that path; a pattern with a `*` must fit
/// the whole path. Paths are compared as [`normalize_path`] gives them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathPattern {
    /// This path, without a slash at its end, and everything below.
    Below(Box<[u8]>),
    /// This path.
    Exact(Box<[u8]>),
    /// Text with stars, over the whole path.
    Wildcard(Wildcard),
}

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What was found and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "\"{text}\" is not a path pattern: write /api for it and all below, =/api for exactly it, or /img/*.png"
            )
        };
        let (path, exact) = match text.strip_prefix('=') {
            Some(path) => (path, true),
            None => (text, false),
        };
        if !(path.starts_with('/') || (path.starts_with('*') && !exact)) || path.contains(['?', '#']) {
            return Err(wrong());
        }
        let normal = normalize_path(path.as_bytes());
        if *normal != *path.as_bytes() {
            return Err(format!(
                "\"{text}\" would never fit, because paths are compared decoded, without dot segments and doubled slashes: write {}",
                String::from_utf8_lossy(&normal)
            ));
        }
        Ok(match (exact, path.contains('*')) {
            (true, _) => Self::Exact(path.as_bytes().into()),
            (false, true) => Self::Wildcard(Wildcard::new(path)),
            (false, false) => Self::Below(path.trim_end_matches('/').as_bytes().into()),
        })
    }

    /// Whether a path in normal form fits.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Below(prefix) => path
                .strip_prefix(&**prefix)
                .is_some_and(|rest| matches!(rest, [] | [b'/', ..])),
            Self::Exact(expected) => path == &**expected,
            Self::Wildcard(pattern) => pattern.matches(path),
        }
    }
}

/// The form in which policies compare paths, so that `/%61dmin`, `//admin` and `/x/../admin` are all `/admin`: percent-encoded
/// bytes decoded once, dot segments resolved (RFC 3986 §5.2.4), doubled slashes merged. What goes upstream stays as it is.
///
/// Allocates only when there is something to change. A path that is not absolute (`*`, an authority) stays as it is.
#[must_use]
pub fn normalize_path(path: &[u8]) -> Cow<'_, [u8]> {
    if path.first() != Some(&b'/') || is_normal(path) {
        return Cow::Borrowed(path);
    }
    let decoded = decode(path);
    let mut normal = Vec::with_capacity(decoded.len());
    let mut segments = decoded.split(|byte| *byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            b"" | b"." => {}
            b".." => {
                let parent = normal.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                normal.truncate(parent);
            }
            _ => {
                normal.push(b'/');
                normal.extend_from_slice(segment);
            }
        }
        if last && matches!(segment, b"" | b"." | b"..") {
            normal.push(b'/');
        }
    }
    Cow::Owned(normal)
}

/// [`normalize_path`] for a path that is owned already: only one that changes is copied.
#[must_use]
pub fn into_normal_path(path: Vec<u8>) -> Vec<u8> {
    if let Cow::Owned(normal) = normalize_path(&path) {
        return normal;
    }
    path
}

/// Nothing encoded, no segment that is empty or starts with a dot. (A hidden file pays for the check that it may be `..`.)
fn is_normal(path: &[u8]) -> bool {
    let mut after_slash = false;
    for byte in path {
        match byte {
            b'%' => return false,
            b'/' | b'.' if after_slash => return false,
            _ => after_slash = *byte == b'/',
        }
    }
    true
}

fn decode(path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    loop {
        match rest {
            [b'%', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                decoded.push(hex(*high) << 4 | hex(*low));
                rest = after;
            }
            [byte, after @ ..] => {
                decoded.push(*byte);
                rest = after;
            }
            [] => return decoded,
        }
    }
}

/// The value of a hexadecimal digit; the caller has checked that it is one.
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20).wrapping_sub(b'a').wrapping_add(10),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn fits(pattern: &str, path: &str) -> bool {
        PathPattern::parse(pattern)
            .unwrap()
            .matches(&normalize_path(path.as_bytes()))
    }

    #[test]
    fn the_notation_is_the_one_of_the_bundle() {
        assert!(fits("/api", "/api"));
        assert!(fits("/api", "/api/"));
        assert!(fits("/api", "/api/v1"));
        assert!(!fits("/api", "/apix"));
        assert!(fits("/api/", "/api"));
        assert!(fits("/", "/anything"));
        assert!(fits("=/api", "/api"));
        assert!(!fits("=/api", "/api/"));
        assert!(fits("/img/*.png", "/img/a/b.png"));
        assert!(fits("*.php", "/a/b.php"));
        assert!(!fits("/img/*.png", "/img/a.png.txt"));
    }

    #[test]
    fn other_spellings_of_a_path_do_not_get_around_a_pattern() {
        for path in [
            "/admin",
            "//admin",
            "/%61dmin",
            "/x/../admin",
            "/x/%2e%2e/admin",
            "/./admin",
            "/%2Fadmin",
            "/x%2f..%2fadmin",
            "/../admin",
        ] {
            assert!(fits("/admin", path), "{path}");
        }
    }

    #[test]
    fn normal_forms() {
        for (path, normal) in [
            ("/", "/"),
            ("//", "/"),
            ("/a/b", "/a/b"),
            ("/a//b/", "/a/b/"),
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("/a/../..", "/"),
            ("/.hidden", "/.hidden"),
            ("/a/...", "/a/..."),
            ("/100%", "/100%"),
            ("/%zz%4", "/%zz%4"),
            ("/%2541", "/%41"),
            ("*", "*"),
            ("", ""),
        ] {
            assert_eq!(normalize_path(path.as_bytes()), normal.as_bytes(), "{path}");
        }
    }

    #[test]
    fn a_plain_path_is_not_copied() {
        assert!(matches!(normalize_path(b"/a/b.html"), Cow::Borrowed(_)));
    }

    #[test]
    fn what_could_never_fit_is_refused() {
        for (text, expected) in [
            ("api", "is not a path pattern"),
            ("", "is not a path pattern"),
            ("=", "is not a path pattern"),
            ("/a?b", "is not a path pattern"),
            ("/%61", "write /a"),
            ("/a//b", "write /a/b"),
            ("/a/../b", "write /b"),
        ] {
            let problem = PathPattern::parse(text).unwrap_err();
            assert!(problem.contains(expected), "{text}: {problem}");
        }
    }

    proptest! {
        #[test]
        fn the_normal_form_is_absolute_and_has_no_dot_segments(path in "/[a./%2eEfF5]{0,20}") {
            let normal = normalize_path(path.as_bytes());
            prop_assert_eq!(normal.first(), Some(&b'/'));
            prop_assert!(normal.split(|byte| *byte == b'/').all(|segment| segment != b"." && segment != b".."));
            prop_assert!(!normal.windows(2).any(|pair| pair == b"//"));
        }
    }
}
