//! Header lines that are kept as HTTP/1.1 writes them: `name: value` and CRLF, one after the other.
//!
//! A stored response is sent far more often than it is looked at, and as bytes it is one copy. Names are in lower case. Neither
//! names nor values can have a byte in them that would end them early: [`HeaderName`] has no colon, [`HeaderValue`] no CR.

use http::header::{HeaderName, HeaderValue};

/// Appends one line.
pub fn push(lines: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    push_bytes(lines, name.as_str(), value.as_bytes());
}

/// Bytes of a line.
#[must_use]
pub fn length(name: &HeaderName, value: &HeaderValue) -> usize {
    name.as_str().len() + value.len() + 4
}

/// Appends one line of Weir's own; name and value are what a line may have.
pub fn push_bytes(lines: &mut Vec<u8>, name: &str, value: &[u8]) {
    lines.extend_from_slice(name.as_bytes());
    lines.extend_from_slice(b": ");
    lines.extend_from_slice(value);
    lines.extend_from_slice(b"\r\n");
}

/// Reads lines.
#[must_use]
pub fn fields(lines: &[u8]) -> Fields<'_> {
    Fields(lines)
}

/// Names and values, in order.
#[derive(Debug, Clone)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = self.0.split_at_checked(memchr::memchr(b':', self.0)?)?;
        let rest = rest.get(2..)?;
        let (value, rest) = rest.split_at_checked(memchr::memchr(b'\r', rest)?)?;
        self.0 = rest.get(2..)?;
        Some((name, value))
    }
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_TYPE, ETAG};

    use super::*;

    #[test]
    fn lines_are_read_as_they_were_written() {
        let mut lines = Vec::new();
        push(&mut lines, &ETAG, &HeaderValue::from_static("\"a:b\""));
        push(&mut lines, &CONTENT_TYPE, &HeaderValue::from_static(""));
        push_bytes(&mut lines, "x", b"y: z");
        assert_eq!(lines, b"etag: \"a:b\"\r\ncontent-type: \r\nx: y: z\r\n");
        let read: Vec<_> = fields(&lines).collect();
        let expected: [(&[u8], &[u8]); 3] = [(b"etag", b"\"a:b\""), (b"content-type", b""), (b"x", b"y: z")];
        assert_eq!(read, expected);
        assert_eq!(fields(b"cut off: he").count(), 0);
    }
}
