//! From fields to header blocks: literals with static names, nothing added to the peer's table.

use bytes::{BufMut, BytesMut};
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};

use super::table::static_index;

const AUTHORITY: u8 = 1;
const METHOD: u8 = 2;
const PATH: u8 = 4;
const STATUS: u8 = 8;

/// A table size of 0, which a peer waits for after it has made its table smaller (RFC 7541 §4.2).
pub fn no_table(out: &mut BytesMut) {
    out.put_u8(0b0010_0000);
}

/// `:status`.
pub fn status(out: &mut BytesMut, status: StatusCode) {
    let known = match status.as_u16() {
        200 => 8,
        204 => 9,
        206 => 10,
        304 => 11,
        400 => 12,
        404 => 13,
        500 => 14,
        _ => return indexed_name(out, STATUS, status.as_str().as_bytes()),
    };
    out.put_u8(0b1000_0000 | known);
}

/// `:method`.
pub fn method(out: &mut BytesMut, method: &[u8]) {
    match method {
        b"GET" => out.put_u8(0b1000_0000 | 2),
        b"POST" => out.put_u8(0b1000_0000 | 3),
        _ => indexed_name(out, METHOD, method),
    }
}

/// `:scheme`: `https` or `http`.
pub fn scheme(out: &mut BytesMut, scheme: &[u8]) {
    out.put_u8(0b1000_0000 | if scheme == b"https" { 7 } else { 6 });
}

/// `:path`.
pub fn path(out: &mut BytesMut, path: &[u8]) {
    match path {
        b"/" => out.put_u8(0b1000_0000 | PATH),
        _ => indexed_name(out, PATH, path),
    }
}

/// `:authority`.
pub fn authority(out: &mut BytesMut, authority: &[u8]) {
    indexed_name(out, AUTHORITY, authority);
}

/// Any other field. One that came as sensitive goes on as sensitive (RFC 7541 §6.2.3).
pub fn field(out: &mut BytesMut, name: &HeaderName, value: &HeaderValue) {
    let kind = if value.is_sensitive() { 0b0001_0000 } else { 0 };
    match static_index(name.as_str().as_bytes()) {
        Some(index) => integer(out, kind, 4, usize::from(index)),
        None => {
            out.put_u8(kind);
            string(out, name.as_str().as_bytes());
        }
    }
    string(out, value.as_bytes());
}

/// A field of Weir's own.
pub fn plain(out: &mut BytesMut, name: &HeaderName, value: &[u8]) {
    bytes(out, name.as_str().as_bytes(), value);
}

/// A field that is kept as bytes, its name in lower case.
pub fn bytes(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    match static_index(name) {
        Some(index) => indexed_name(out, index, value),
        None => literal(out, name, value),
    }
}

/// A field whose name is in no table.
pub fn literal(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.put_u8(0);
    string(out, name);
    string(out, value);
}

fn indexed_name(out: &mut BytesMut, index: u8, value: &[u8]) {
    integer(out, 0, 4, usize::from(index));
    string(out, value);
}

fn string(out: &mut BytesMut, value: &[u8]) {
    integer(out, 0, 7, value.len());
    out.extend_from_slice(value);
}

/// RFC 7541 §5.1.
fn integer(out: &mut BytesMut, kind: u8, prefix: u32, value: usize) {
    let mask = (1_usize << prefix) - 1;
    if value < mask {
        out.put_u8(kind | value as u8);
        return;
    }
    out.put_u8(kind | mask as u8);
    let mut rest = value - mask;
    while rest >= 0x80 {
        out.put_u8(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    out.put_u8(rest as u8);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::decode::{Decoder, Field, Pseudo};
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut block = BytesMut::new();
        status(&mut block, StatusCode::OK);
        status(&mut block, StatusCode::IM_A_TEAPOT);
        let long = HeaderValue::from_bytes(&[b'x'; 5000]).unwrap();
        field(&mut block, &HeaderName::from_static("x-long"), &long);
        field(&mut block, &http::header::VIA, &HeaderValue::from_static("a"));
        let mut seen = Vec::new();
        Decoder::default()
            .decode(&block, |field, size| seen.push((field, size)))
            .unwrap();
        assert!(matches!(&seen[0], (Field::Pseudo(Pseudo::Status, value), 42) if value == "200"));
        assert!(matches!(&seen[1], (Field::Pseudo(Pseudo::Status, value), _) if value == "418"));
        assert!(matches!(&seen[2], (Field::Regular(_, value), 5038) if *value == long));
        assert!(matches!(&seen[3], (Field::Regular(name, value), _) if name == "via" && value == "a"));
    }

    #[test]
    fn integers_are_those_of_the_rfc() {
        let mut out = BytesMut::new();
        integer(&mut out, 0, 5, 1337);
        integer(&mut out, 0, 5, 10);
        integer(&mut out, 0b1000_0000, 7, 127);
        assert_eq!(&out[..], [31, 154, 10, 10, 0xff, 0]);
    }
}
