//! Which changes to a message Weir refuses. The proxy and the fake host ask the same functions.
//!
//! What is checked, in this order:
//! 1. the message can still be changed in this phase ([`EditError::TooLate`]; each host knows that for itself),
//! 2. the name is a token ([`EditError::InvalidName`]),
//! 3. it is not one of the proxy's own ([`EditError::Reserved`]),
//! 4. the value can stand in a header line, a request line or a status line ([`EditError::InvalidValue`]).

use std::fmt;
use std::ops::RangeInclusive;

/// Why a change to a message was refused. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditError {
    /// The name is not a token (RFC 9110 §5.6.2).
    InvalidName,
    /// The value holds CR, LF, NUL or another control byte (RFC 9110 §5.5); or it is no target, or no status.
    InvalidValue,
    /// The name belongs to the proxy: framing, hop-by-hop and forwarding headers.
    Reserved,
    /// The message has left already, or does not exist yet, in this phase.
    TooLate,
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidName => "a header name is letters, digits and any of !#$%&'*+-.^_`|~",
            Self::InvalidValue => "the value holds bytes that cannot be sent",
            Self::Reserved => "the header belongs to the proxy",
            Self::TooLate => "the message cannot be changed in this phase",
        })
    }
}

impl std::error::Error for EditError {}

/// Statuses that a plugin may give: final ones (RFC 9110 §15).
pub const STATUSES: RangeInclusive<u16> = 200..=599;

/// Bytes of a note's key that are kept.
pub const NOTE_KEY_BYTES: usize = 64;
/// Bytes of a note's value that are kept.
pub const NOTE_VALUE_BYTES: usize = 1024;
/// Bytes of an event; a longer one is dropped.
pub const EVENT_BYTES: usize = 16 * 1024;
/// Events that are kept of an exchange.
pub const EVENTS: usize = 16;
/// Bytes of a target that the proxy can carry.
pub const TARGET_BYTES: usize = 65_534;

/// The headers that belong to the proxy: the hop-by-hop ones (RFC 9110 §7.6.1), framing, and the trail of proxies. All of
/// `x-forwarded-*` is theirs, too.
pub const RESERVED: [&str; 10] = [
    "connection",
    "content-length",
    "forwarded",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Whether a header can be set or appended.
///
/// # Errors
/// When it cannot.
pub fn check_header(name: &str, value: &[u8]) -> Result<(), EditError> {
    check_name(name)?;
    if is_value(value) {
        Ok(())
    } else {
        Err(EditError::InvalidValue)
    }
}

/// Whether a header can be removed.
///
/// # Errors
/// When it cannot.
pub fn check_name(name: &str) -> Result<(), EditError> {
    if !is_token(name.as_bytes()) {
        Err(EditError::InvalidName)
    } else if is_reserved(name) {
        Err(EditError::Reserved)
    } else {
        Ok(())
    }
}

/// Whether a path and query can be sent.
///
/// # Errors
/// When it cannot.
pub fn check_target(target: &[u8]) -> Result<(), EditError> {
    if is_target(target) {
        Ok(())
    } else {
        Err(EditError::InvalidValue)
    }
}

/// Bytes of a tag of the cache.
pub const CACHE_TAG_BYTES: usize = 256;

/// Tags that plugins can give to one exchange.
pub const CACHE_TAGS: usize = 64;

/// Whether a tag can be given: visible ASCII without comma, as tags stand in lists.
///
/// # Errors
/// When it cannot.
pub fn check_cache_tag(tag: &[u8]) -> Result<(), EditError> {
    let visible = |byte: &u8| byte.is_ascii_graphic() && *byte != b',';
    if !tag.is_empty() && tag.len() <= CACHE_TAG_BYTES && tag.iter().all(visible) {
        Ok(())
    } else {
        Err(EditError::InvalidValue)
    }
}

/// Whether a status can be given.
///
/// # Errors
/// When it cannot.
pub fn check_status(status: u16) -> Result<(), EditError> {
    if STATUSES.contains(&status) {
        Ok(())
    } else {
        Err(EditError::InvalidValue)
    }
}

/// Whether a header name belongs to the proxy, in any case of letters.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    const FORWARDED: &[u8] = b"x-forwarded-";
    RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved))
        || name
            .as_bytes()
            .get(..FORWARDED.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(FORWARDED))
}

/// A token (RFC 9110 §5.6.2).
#[must_use]
pub fn is_token(name: &[u8]) -> bool {
    !name.is_empty()
        && name.iter().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'!' | b'#'
                        | b'$'
                        | b'%'
                        | b'&'
                        | b'\''
                        | b'*'
                        | b'+'
                        | b'-'
                        | b'.'
                        | b'^'
                        | b'_'
                        | b'`'
                        | b'|'
                        | b'~'
                )
        })
}

/// A field value (RFC 9110 §5.5): no control byte but the tab. Bytes above 0x7f are opaque and allowed.
#[must_use]
pub fn is_value(value: &[u8]) -> bool {
    value
        .iter()
        .all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

/// A path and query in origin form (RFC 9112 §3.2.1), as liberal as what Weir accepts from clients: braces, `|` and their like
/// pass, and so does UTF-8 that is not percent-encoded; white space, control bytes and `#` do not.
#[must_use]
pub fn is_target(target: &[u8]) -> bool {
    let mut refused_here = b'`';
    target.first() == Some(&b'/')
        && target.len() <= TARGET_BYTES
        && target.iter().all(|&byte| {
            if byte == b'?' {
                refused_here = b'"';
            }
            byte > b' ' && byte != refused_here && !matches!(byte, 0x7f | b'#' | b'<' | b'>')
        })
        && std::str::from_utf8(target).is_ok()
}

/// The start of a text that fits into so many bytes, cut between characters.
#[must_use]
pub fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len()))
        .rev()
        .find(|&end| text.is_char_boundary(end))
        .unwrap_or(0);
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_and_forwarding_headers_belong_to_the_proxy() {
        for name in RESERVED {
            assert_eq!(check_header(name, b"x"), Err(EditError::Reserved), "{name}");
            assert_eq!(
                check_header(&name.to_uppercase(), b"x"),
                Err(EditError::Reserved),
                "{name}"
            );
        }
        assert_eq!(check_name("X-Forwarded-Anything"), Err(EditError::Reserved));
        assert_eq!(check_name("host"), Ok(()));
        assert_eq!(check_name("x-forwarded"), Ok(()));
    }

    #[test]
    fn a_name_is_a_token() {
        for name in ["", "a b", "a:b", "a\r\nb", "ä", "a\0"] {
            assert_eq!(check_name(name), Err(EditError::InvalidName), "{name:?}");
        }
        assert_eq!(check_name("x_1.~|`^"), Ok(()));
    }

    #[test]
    fn a_value_holds_no_control_bytes() {
        for value in [&b"a\r\nset-cookie: b"[..], b"\0", b"\x7f", b"\x1b[1m"] {
            assert_eq!(check_header("x", value), Err(EditError::InvalidValue), "{value:?}");
        }
        assert_eq!(check_header("x", b"\ta b\xff"), Ok(()));
        assert_eq!(check_header("x", b""), Ok(()));
    }

    #[test]
    fn a_target_is_a_path_and_perhaps_a_query() {
        for target in [
            &b""[..],
            b"a",
            b"*",
            b"http://x/",
            b"/a b",
            b"/a#b",
            b"/a\r\n",
            b"/\xff",
            b"/`",
            b"/?\"",
        ] {
            assert_eq!(check_target(target), Err(EditError::InvalidValue), "{target:?}");
        }
        assert_eq!(check_target("/ä/{x}|\"y\"?{`z`}?".as_bytes()), Ok(()));
    }

    #[test]
    fn a_status_is_final() {
        assert_eq!(check_status(100), Err(EditError::InvalidValue));
        assert_eq!(check_status(600), Err(EditError::InvalidValue));
        assert_eq!(check_status(200), Ok(()));
        assert_eq!(check_status(599), Ok(()));
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("aä", 2), "a");
        assert_eq!(cut("aä", 3), "aä");
        assert_eq!(cut("aä", 9), "aä");
    }
}
