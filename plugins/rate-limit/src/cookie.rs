//! The `Cookie` header.

/// The value of the first cookie of this name in a header line (RFC 6265 §4.2.1), as it stands there.
#[must_use]
pub fn value<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    line.split(|byte| *byte == b';').find_map(|pair| {
        let pair = pair.trim_ascii();
        pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cookie_of_the_name_is_found() {
        let line = b"a=1; session=abc=; sessions=x;session=later";
        assert_eq!(value(line, "session"), Some(b"abc=".as_slice()));
        assert_eq!(value(line, "a"), Some(b"1".as_slice()));
        assert_eq!(value(line, "b"), None);
    }

    #[test]
    fn what_is_not_a_pair_is_passed_over() {
        assert_eq!(value(b"", "a"), None);
        assert_eq!(value(b"a", "a"), None);
        assert_eq!(value(b";;=; a=", "a"), Some(b"".as_slice()));
        assert_eq!(value(&[0xff, b';', b'a', b'=', 0xfe], "a"), Some([0xfe].as_slice()));
    }
}
