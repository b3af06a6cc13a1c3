//! Where a body ends (RFC 9112 §6.3).

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode, Version};

use super::head::{Malformed, RequestHead};

/// How a body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// So many bytes.
    Length(u64),
    /// The chunked coding.
    Chunked,
    /// Everything until the connection ends (responses only).
    UntilClose,
}

/// The body of a request (RFC 9112 §6.3). Stricter than the RFC asks: a message with both fields, with `Transfer-Encoding`
/// in HTTP/1.0, or with any coding but exactly one `chunked` is refused, because those are what another parser reads
/// differently.
pub fn of_request(head: &RequestHead) -> Result<Framing, Malformed> {
    let RequestHead {
        version,
        headers,
        names,
        ..
    } = head;
    if !names.may_have("transfer-encoding") && !names.may_have("content-length") {
        return Ok(Framing::None);
    }
    let coded = headers.contains_key(TRANSFER_ENCODING);
    let length = content_length(headers)?;
    match (coded, length) {
        (false, None) => Ok(Framing::None),
        (false, Some(0)) => Ok(Framing::None),
        (false, Some(length)) => Ok(Framing::Length(length)),
        (true, Some(_)) => Err(Malformed::LengthAndCoding),
        (true, None) if *version < Version::HTTP_11 => Err(Malformed::TransferCoding),
        (true, None) => exactly_chunked(headers).map(|()| Framing::Chunked),
    }
}

/// The body of a response to a request with `method`.
pub fn of_response(
    method: &Method,
    status: StatusCode,
    version: Version,
    headers: &HeaderMap,
) -> Result<Framing, Malformed> {
    let coded = headers.contains_key(TRANSFER_ENCODING);
    let length = content_length(headers)?;
    if coded && length.is_some() {
        return Err(Malformed::LengthAndCoding);
    }
    if coded && version < Version::HTTP_11 {
        return Err(Malformed::TransferCoding);
    }
    if coded {
        exactly_chunked(headers)?;
    }
    if method == Method::HEAD || status.is_informational() || matches!(status.as_u16(), 204 | 304) {
        return Ok(Framing::None);
    }
    Ok(match (coded, length) {
        (true, _) => Framing::Chunked,
        (false, Some(0)) => Framing::None,
        (false, Some(length)) => Framing::Length(length),
        (false, None) => Framing::UntilClose,
    })
}

/// `Content-Length`: one field, digits only, no sign, list or leading zero (RFC 9110 §8.6 lets a recipient refuse repeats).
pub(crate) fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Malformed> {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Malformed::ContentLength);
    }
    parse_length(value.as_bytes()).map(Some).ok_or(Malformed::ContentLength)
}

/// Digits only, and no zero before others, which some parsers take for an octal number; nothing over `u64::MAX / 2`, so that sums of lengths cannot overflow.
fn parse_length(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 || (digits.len() > 1 && digits.first() == Some(&b'0')) {
        return None;
    }
    let length = digits.iter().try_fold(0_u64, |sum, &digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })?;
    (length <= u64::MAX / 2).then_some(length)
}

fn exactly_chunked(headers: &HeaderMap) -> Result<(), Malformed> {
    let mut values = headers.get_all(TRANSFER_ENCODING).iter();
    match (values.next(), values.next()) {
        (Some(value), None) if value.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(Malformed::TransferCoding),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use http::HeaderValue;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    fn head(version: Version, fields: &[(&'static str, &'static str)]) -> RequestHead {
        RequestHead {
            version,
            headers: headers(fields),
            ..RequestHead::default()
        }
    }

    #[test]
    fn a_request_body_ends_where_every_parser_agrees() {
        let of = |fields: &[(&'static str, &'static str)]| of_request(&head(Version::HTTP_11, fields));
        assert_eq!(of(&[]), Ok(Framing::None));
        assert_eq!(of(&[("content-length", "0")]), Ok(Framing::None));
        assert_eq!(of(&[("content-length", "12")]), Ok(Framing::Length(12)));
        assert_eq!(of(&[("transfer-encoding", "Chunked")]), Ok(Framing::Chunked));
        for refused in [
            "+1",
            "-1",
            " 1",
            "1 ",
            "01",
            "00",
            "0x1",
            "1,1",
            "",
            "18446744073709551616",
            "99999999999999999999",
        ] {
            assert_eq!(
                of(&[("content-length", refused)]),
                Err(Malformed::ContentLength),
                "{refused:?}"
            );
        }
        assert_eq!(
            of(&[("content-length", "1"), ("content-length", "1")]),
            Err(Malformed::ContentLength)
        );
        assert_eq!(
            of(&[("content-length", "1"), ("transfer-encoding", "chunked")]),
            Err(Malformed::LengthAndCoding)
        );
        for refused in [
            "gzip, chunked",
            "chunked, chunked",
            "identity",
            "xchunked",
            "chunked;q=1",
        ] {
            assert_eq!(
                of(&[("transfer-encoding", refused)]),
                Err(Malformed::TransferCoding),
                "{refused:?}"
            );
        }
        assert_eq!(
            of(&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")]),
            Err(Malformed::TransferCoding)
        );
        assert_eq!(
            of_request(&head(Version::HTTP_10, &[("transfer-encoding", "chunked")])),
            Err(Malformed::TransferCoding)
        );
    }

    #[test]
    fn a_response_body_depends_on_method_and_status() {
        let of = |method: Method, status: u16, fields: &[(&'static str, &'static str)]| {
            of_response(
                &method,
                StatusCode::from_u16(status).unwrap(),
                Version::HTTP_11,
                &headers(fields),
            )
        };
        assert_eq!(of(Method::HEAD, 200, &[("content-length", "9")]), Ok(Framing::None));
        assert_eq!(of(Method::GET, 304, &[("content-length", "9")]), Ok(Framing::None));
        assert_eq!(of(Method::GET, 204, &[]), Ok(Framing::None));
        assert_eq!(of(Method::GET, 200, &[]), Ok(Framing::UntilClose));
        assert_eq!(of(Method::GET, 200, &[("content-length", "9")]), Ok(Framing::Length(9)));
        assert_eq!(
            of(Method::GET, 200, &[("transfer-encoding", "chunked")]),
            Ok(Framing::Chunked)
        );
    }
}
