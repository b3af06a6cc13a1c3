//! A certificate's subject as text (RFC 4514): `CN=client,O=Example`.
//!
//! Servers decide by this text, so that no subject may look like another one: what has a meaning in it is escaped, and what is
//! not printable ASCII is written byte by byte.

use std::fmt::Write as _;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const NUMERIC_STRING: u8 = 0x12;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;

/// The attribute types that RFC 4514 §3 gives short names, by their object identifiers.
const SHORT: [(&[u8], &str); 9] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
];

/// The text of a `Name`, given what its outer SEQUENCE holds; nothing when that is malformed. The most specific part comes
/// first.
#[must_use]
pub(super) fn distinguished_name(mut names: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    while !names.is_empty() {
        let (tag, attributes, rest) = tlv(names)?;
        if tag != SET {
            return None;
        }
        parts.push(relative_name(attributes)?);
        names = rest;
    }
    parts.reverse();
    Some(parts.join(","))
}

/// One or more attributes of equal rank.
fn relative_name(mut attributes: &[u8]) -> Option<String> {
    let mut text = String::new();
    while !attributes.is_empty() {
        let (tag, attribute, rest) = tlv(attributes)?;
        let (kind, oid, value) = tlv(attribute)?;
        if tag != SEQUENCE || kind != OID {
            return None;
        }
        if !text.is_empty() {
            text.push('+');
        }
        write_attribute(&mut text, oid, value)?;
        attributes = rest;
    }
    Some(text)
}

fn write_attribute(text: &mut String, oid: &[u8], value: &[u8]) -> Option<()> {
    let (tag, content, rest) = tlv(value)?;
    if !rest.is_empty() {
        return None;
    }
    let readable = matches!(tag, UTF8_STRING | NUMERIC_STRING | PRINTABLE_STRING | IA5_STRING);
    let short = SHORT.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name);
    match short {
        Some(name) => text.push_str(name),
        None => write_oid(text, oid)?,
    }
    text.push('=');
    // A type without a name has its value in the form of its encoding, which nobody can mistake (RFC 4514 §2.4).
    if short.is_none() || !readable {
        text.push('#');
        hex(text, value);
        return Some(());
    }
    for (index, &byte) in content.iter().enumerate() {
        let last = index + 1 == content.len();
        match byte {
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' | b'=' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b'#' if index == 0 => text.push_str("\\#"),
            b' ' if index == 0 || last => text.push_str("\\ "),
            0x20..=0x7e => text.push(char::from(byte)),
            _ => {
                text.push('\\');
                hex(text, &[byte]);
            }
        }
    }
    Some(())
}

/// Dotted decimal. The first byte holds two numbers (X.690 §8.19.4).
fn write_oid(text: &mut String, oid: &[u8]) -> Option<()> {
    let mut number = 0_u64;
    let mut first = true;
    for &byte in oid {
        number = number.checked_mul(128)?.checked_add(u64::from(byte & 0x7f))?;
        if byte & 0x80 != 0 {
            continue;
        }
        let _ = if first {
            let top = (number / 40).min(2);
            write!(text, "{top}.{}", number - top * 40)
        } else {
            write!(text, ".{number}")
        };
        first = false;
        number = 0;
    }
    Some(())
}

/// Appends bytes in hexadecimal.
pub(super) fn hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
}

/// A tag, what it holds, and what follows (X.690 §8.1); nothing when the bytes end before.
pub(super) fn tlv(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;

    fn subject(attributes: &[(DnType, &str)]) -> String {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in attributes {
            params.distinguished_name.push(kind.clone(), *value);
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let leaf = webpki::EndEntityCert::try_from(certificate.der()).unwrap();
        distinguished_name(leaf.subject()).unwrap()
    }

    #[test]
    fn the_most_specific_part_comes_first() {
        let name = subject(&[
            (DnType::CountryName, "DE"),
            (DnType::OrganizationName, "Example"),
            (DnType::CommonName, "client"),
        ]);
        assert_eq!(name, "CN=client,O=Example,C=DE");
    }

    #[test]
    fn no_value_looks_like_another_attribute() {
        assert_eq!(
            subject(&[(DnType::CommonName, "a,O=b+\"c\"\\")]),
            "CN=a\\,O\\=b\\+\\\"c\\\"\\\\"
        );
        assert_eq!(subject(&[(DnType::CommonName, "#1 ")]), "CN=\\#1\\ ");
        assert_eq!(subject(&[(DnType::CommonName, " ü\r\n")]), "CN=\\ \\c3\\bc\\0d\\0a");
        let odd = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
        assert_eq!(subject(&[(odd, "a")]), "1.2.840.113549.1.9.1=#0c0161");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Some(name) = distinguished_name(&bytes) {
                prop_assert!(name.bytes().all(|byte| matches!(byte, 0x20..=0x7e)));
            }
        }
    }
}
