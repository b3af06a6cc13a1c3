//! Where a redirect leads: text with captures, checked so that no request can choose the host.

use std::fmt;
use std::ops::Range;

/// Which scheme a URL has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// In clear.
    Http,
    /// Through TLS.
    Https,
}

impl Scheme {
    /// Reads `http` or `https`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            _ => None,
        }
    }
}

/// The origin that a target names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The one of the request: the target is a path.
    Same,
    /// Another one, or the same by name.
    Named {
        /// Of the URL.
        scheme: Scheme,
        /// Host and port as written, in lower case.
        authority: String,
    },
}

/// A target: literal text and captured groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    origin: Origin,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Capture { group: usize, component: Component },
}

/// The part of a URL that text is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    /// Up to `?` or `#`.
    Path,
    /// A value within the query: separators in captured text must not make new parameters.
    QueryValue,
    /// A whole query, separators included.
    Query,
    /// Behind `#`.
    Fragment,
}

/// The groups of a pattern, as far as a target may name them.
pub trait Groups {
    /// The index of a named group.
    fn index_of(&self, name: &str) -> Option<usize>;
    /// How many groups there are; the whole match, 0, is one.
    fn count(&self) -> usize;
}

/// An exact rule has none.
impl Groups for () {
    fn index_of(&self, _: &str) -> Option<usize> {
        None
    }

    fn count(&self) -> usize {
        0
    }
}

impl Target {
    /// Reads a target: a path, or a URL with `http` or `https`, in which `$1` and `${name}` stand for what a pattern captured
    /// and `$$` for a dollar.
    ///
    /// # Errors
    /// What was found and what would be right. Captures in front of the path are refused: whoever sends the request would
    /// choose where it leads.
    pub fn parse(text: &str, groups: &impl Groups) -> Result<Self, String> {
        let (origin, rest_at) = parse_origin(text)?;
        let mut pieces = Vec::new();
        let mut literal = text.get(..rest_at).unwrap_or_default().to_owned();
        let mut component = Component::Path;
        let mut rest = text.get(rest_at..).unwrap_or_default();
        while let Some(character) = rest.chars().next() {
            let after = rest.get(character.len_utf8()..).unwrap_or_default();
            match character {
                '$' => match parse_reference(after, groups).map_err(|what| format!("\"{text}\": {what}"))? {
                    (Reference::Dollar, after) => {
                        literal.push('$');
                        rest = after;
                        continue;
                    }
                    (Reference::Group(group), after) => {
                        if !literal.is_empty() {
                            pieces.push(Piece::Text(std::mem::take(&mut literal).into()));
                        }
                        pieces.push(Piece::Capture { group, component });
                        rest = after;
                        continue;
                    }
                },
                '?' if component == Component::Path => component = Component::QueryValue,
                '#' => component = Component::Fragment,
                _ if character.is_ascii() && is_url_byte(character as u8) => {}
                _ => {
                    return Err(format!(
                        "\"{text}\": {character:?} cannot stand in a URL: write it percent-encoded, for example a space as %20"
                    ));
                }
            }
            literal.push(character);
            rest = after;
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal.into()));
        }
        Ok(Self { origin, pieces })
    }

    /// The origin that it names.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The path and the query of an expanded target; an absent path is `/`, an absent query empty.
    #[must_use]
    pub fn path_and_query(url: &[u8]) -> (&[u8], &[u8]) {
        let behind_scheme = url
            .windows(3)
            .position(|window| window == b"://")
            .filter(|_| !url.starts_with(b"/"))
            .map_or(0, |at| at + 3);
        let rest = url.get(behind_scheme..).unwrap_or_default();
        let authority = if behind_scheme == 0 { 0 } else { position(rest, b"/?#") };
        let rest = rest.get(authority..).unwrap_or_default();
        let (before_fragment, _) = rest.split_at(position(rest, b"#"));
        let (path, query) = before_fragment.split_at(position(before_fragment, b"?"));
        (
            if path.is_empty() { b"/" } else { path },
            query.strip_prefix(b"?").unwrap_or_default(),
        )
    }

    /// Writes the target of one request. Captured text keeps its percent-encoding, and what cannot stand in a URL is encoded.
    #[must_use]
    pub fn expand<'a>(&self, path: &'a [u8], group: impl Fn(usize) -> Option<Range<usize>>) -> Vec<u8> {
        let mut url: Vec<u8> = Vec::with_capacity(128);
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => url.extend_from_slice(text.as_bytes()),
                Piece::Capture {
                    group: index,
                    component,
                } => {
                    let captured: &'a [u8] = group(*index).and_then(|range| path.get(range)).unwrap_or_default();
                    encode(captured, *component, &mut url);
                }
            }
        }
        if self.origin == Origin::Same {
            keep_on_origin(&mut url);
        }
        url
    }
}

/// Where the first of these bytes is, or the end.
fn position(text: &[u8], any_of: &[u8]) -> usize {
    text.iter().position(|byte| any_of.contains(byte)).unwrap_or(text.len())
}

/// Two slashes in front would be read as the start of another host (RFC 3986 §4.2): one of them is enough.
fn keep_on_origin(url: &mut Vec<u8>) {
    let slashes = url.iter().take_while(|byte| **byte == b'/').count();
    if slashes > 1 {
        url.drain(1..slashes);
    }
}

/// The origin, and where the rest begins.
fn parse_origin(text: &str) -> Result<(Origin, usize), String> {
    let wrong = || {
        format!(
            "\"{text}\" is not a target: write a path that starts with one /, or a URL such as https://example.org/new"
        )
    };
    if text.starts_with('/') {
        return if text.starts_with("//") {
            Err(wrong())
        } else {
            Ok((Origin::Same, 0))
        };
    }
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let scheme = Scheme::from_name(scheme).ok_or_else(wrong)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = rest.get(..end).unwrap_or_default();
    if authority.contains('$') {
        return Err(format!(
            "\"{text}\": captured text must not stand in front of the path, because whoever sends the request would choose the \
             host: write the host out and put a / behind it"
        ));
    }
    if !is_authority(authority) {
        return Err(format!(
            "\"{text}\": \"{authority}\" is not a host with an optional port"
        ));
    }
    Ok((
        Origin::Named {
            scheme,
            authority: authority.to_ascii_lowercase(),
        },
        text.len() - rest.len() + end,
    ))
}

/// A host and perhaps a port; no user information, which serves only to deceive.
fn is_authority(authority: &str) -> bool {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    weir_plugin_common::HostPattern::parse(host)
        .is_ok_and(|host| matches!(host, weir_plugin_common::HostPattern::Exact(_)))
        && port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

enum Reference {
    Dollar,
    Group(usize),
}

/// What stands behind a `$`, and what follows it.
fn parse_reference<'a>(text: &'a str, groups: &impl Groups) -> Result<(Reference, &'a str), String> {
    if let Some(rest) = text.strip_prefix('$') {
        return Ok((Reference::Dollar, rest));
    }
    let (name, rest) = if let Some(text) = text.strip_prefix('{') {
        text.split_once('}').ok_or("\"${\" has no end: write ${name}")?
    } else {
        let digits = text
            .find(|character: char| !character.is_ascii_digit())
            .unwrap_or(text.len());
        text.split_at(digits)
    };
    if name.is_empty() {
        return Err("\"$\" must be followed by a group: write $1, ${name}, or $$ for a dollar".to_owned());
    }
    let group = match name.parse::<usize>() {
        Ok(group) => Some(group).filter(|group| *group < groups.count()),
        Err(_) => groups.index_of(name),
    };
    match (group, groups.count()) {
        (Some(group), _) => Ok((Reference::Group(group), rest)),
        (None, 0) => Err(format!(
            "\"${name}\" needs a pattern, and this rule is exact: write $$ for a dollar"
        )),
        (None, _) => Err(format!("the pattern has no group \"{name}\"")),
    }
}

/// Appends text that came with a request. What is percent-encoded stays so; a byte that has no place in the component is
/// encoded, which covers CR, LF and everything else that could end a header line.
pub fn encode(text: &[u8], component: Component, url: &mut Vec<u8>) {
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        let is_kept = match byte {
            b'%' => matches!(after, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()),
            b'?' => matches!(component, Component::Query | Component::Fragment),
            b'#' => false,
            b'&' | b'+' | b';' => component != Component::QueryValue,
            _ => is_url_byte(*byte),
        };
        if is_kept {
            url.push(*byte);
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            url.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        rest = after;
    }
}

/// Unreserved and reserved characters (RFC 3986 §2), and the percent sign. Brackets are left out: browsers disagree on them.
fn is_url_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#@!$&'()*+,;=%".contains(&byte)
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => f.write_str(text)?,
                Piece::Capture { group, .. } => write!(f, "${{{group}}}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    struct Named;

    impl Groups for Named {
        fn index_of(&self, name: &str) -> Option<usize> {
            (name == "slug").then_some(2)
        }
        fn count(&self) -> usize {
            3
        }
    }

    fn expand(target: &str, captured: &str) -> String {
        let url = Target::parse(target, &Named)
            .unwrap()
            .expand(captured.as_bytes(), |_| Some(0..captured.len()));
        String::from_utf8(url).unwrap()
    }

    #[test]
    fn captures_are_put_in() {
        assert_eq!(expand("/a/$1/b", "x"), "/a/x/b");
        assert_eq!(expand("/a/${slug}b/${1}$$", "x"), "/a/xb/x$");
        assert_eq!(expand("https://Example.org:8443/$1", "x"), "https://Example.org:8443/x");
        assert_eq!(expand("https://example.org?q=$1#$2", "x"), "https://example.org?q=x#x");
    }

    #[test]
    fn percent_encoding_is_kept_and_the_rest_encoded() {
        assert_eq!(expand("/$1", "a%20b%2Fc"), "/a%20b%2Fc");
        assert_eq!(expand("/$1", "a b\r\nc%zz%"), "/a%20b%0D%0Ac%25zz%25");
        assert_eq!(expand("/$1", "é\\\"<>?#"), "/%C3%A9%5C%22%3C%3E%3F%23");
    }

    #[test]
    fn captured_text_makes_no_new_parameters() {
        assert_eq!(expand("/s?q=$1", "a&b=c+d;e"), "/s?q=a%26b=c%2Bd%3Be");
        assert_eq!(expand("/s/$1", "a&b"), "/s/a&b");
    }

    #[test]
    fn captured_text_does_not_choose_the_host() {
        assert_eq!(expand("/$1", "/evil.example/"), "/evil.example/");
        assert_eq!(expand("/$1", "//evil.example/"), "/evil.example/");
        assert_eq!(expand("/$1", "\\evil.example/"), "/%5Cevil.example/");
        for target in [
            "https://$1/",
            "https://a.$1",
            "https://example.org$1/",
            "https://example.org:$1/",
            "http://${slug}.example.org/",
        ] {
            assert!(
                Target::parse(target, &Named)
                    .unwrap_err()
                    .contains("must not stand in front of the path"),
                "{target}"
            );
        }
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        for (target, expected) in [
            ("", "is not a target"),
            ("a/b", "is not a target"),
            ("$1", "is not a target"),
            ("//example.org/", "is not a target"),
            ("javascript://x/", "is not a target"),
            ("ftp://example.org/", "is not a target"),
            ("https:///x", "is not a host"),
            ("https://user@example.org/", "is not a host"),
            ("https://*.example.org/", "is not a host"),
            ("https://example.org:99999/", "is not a host"),
            ("/a b", "' ' cannot stand in a URL"),
            ("/a\r\nset-cookie: x", "'\\r' cannot stand in a URL"),
            ("/ä", "'ä' cannot stand in a URL"),
            ("/\\evil", "cannot stand in a URL"),
            ("/$", "must be followed by a group"),
            ("/$x", "must be followed by a group"),
            ("/${slug", "has no end"),
            ("/$3", "no group \"3\""),
            ("/${other}", "no group \"other\""),
        ] {
            let problem = Target::parse(target, &Named).unwrap_err();
            assert!(problem.contains(expected), "{target}: {problem}");
        }
        assert!(Target::parse("/$1", &()).unwrap_err().contains("this rule is exact"));
    }

    #[test]
    fn path_and_query_of_an_expanded_target() {
        for (url, path, query) in [
            ("/a/b?c=d#e", "/a/b", "c=d"),
            ("/a", "/a", ""),
            ("/a#b?c", "/a", ""),
            ("/a?to=http://x/y", "/a", "to=http://x/y"),
            ("https://example.org", "/", ""),
            ("https://example.org?q", "/", "q"),
            ("https://example.org:1/a?q", "/a", "q"),
        ] {
            assert_eq!(
                Target::path_and_query(url.as_bytes()),
                (path.as_bytes(), query.as_bytes()),
                "{url}"
            );
        }
    }

    #[test]
    fn the_origin_is_known() {
        assert_eq!(Target::parse("/x", &()).unwrap().origin(), &Origin::Same);
        let named = Origin::Named {
            scheme: Scheme::Https,
            authority: "example.org:8443".to_owned(),
        };
        assert_eq!(
            Target::parse("https://EXAMPLE.org:8443/", &()).unwrap().origin(),
            &named
        );
    }

    proptest! {
        #[test]
        fn whatever_is_captured_the_url_is_safe(captured in prop::collection::vec(any::<u8>(), 0..40),
                                                target in prop::sample::select(vec!["/$1", "/a?b=$1", "https://example.org/$1", "/$1#$1", "/$1$1"])) {
            let target = Target::parse(target, &Named).unwrap();
            let url = target.expand(&captured, |_| Some(0..captured.len()));
            prop_assert!(url.iter().all(|byte| is_url_byte(*byte)));
            match target.origin() {
                Origin::Same => prop_assert!(url.starts_with(b"/") && !url.starts_with(b"//")),
                Origin::Named { .. } => prop_assert!(url.starts_with(b"https://example.org/")),
            }
        }

        #[test]
        fn parsing_never_panics(text in "\\PC{0,30}") {
            let _ = Target::parse(&text, &Named);
        }

        #[test]
        fn nearly_right_text_never_panics(text in "(https?://)?[/a$1{}?#:@%.\\[\\]]{0,20}") {
            let _ = Target::parse(&text, &Named);
        }
    }
}
