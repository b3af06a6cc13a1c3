//! The boundary that a `Content-Type` names.

use super::disposition::{Value, value};
use super::flags::{Flag, Flags};
use super::split_at;

/// The longest boundary (RFC 2046 §5.1.1).
const LONGEST: usize = 70;

/// Reads `multipart/form-data; boundary=...`.
pub(super) fn of<'a>(content_type: &'a [u8], flags: &mut Flags) -> Result<&'a [u8], String> {
    let (media, mut rest) = split_at(content_type, |&byte| byte == b';' || byte.is_ascii_whitespace());
    if !media.eq_ignore_ascii_case(b"multipart/form-data") {
        return Err("the Content-Type is not multipart/form-data".to_owned());
    }
    let mut found = None;
    loop {
        rest = rest.trim_ascii_start();
        rest = match rest.strip_prefix(b";") {
            Some(after) => after.trim_ascii_start(),
            None if rest.is_empty() => break,
            None => {
                flags.set(Flag::MissingSemicolon);
                rest
            }
        };
        if rest.is_empty() {
            break;
        }
        let (name, after) = split_at(rest, |&byte| byte == b'=' || byte == b';');
        let is_boundary = name.trim_ascii().eq_ignore_ascii_case(b"boundary");
        let Some(after) = after.strip_prefix(b"=") else {
            if is_boundary {
                return Err("the boundary in the Content-Type has no =".to_owned());
            }
            rest = after;
            continue;
        };
        let text = after.trim_ascii_start();
        let spaced = name.trim_ascii_end().len() < name.len() || text.len() < after.len();
        let (boundary, after) = value(text, is_boundary_byte)?;
        rest = after;
        if !is_boundary {
            continue;
        }
        if spaced {
            flags.set(Flag::BoundaryWhitespace);
        }
        let boundary = match boundary {
            Value::Token(boundary) => boundary,
            Value::Quoted { raw, quote: b'"' } => {
                flags.set(Flag::BoundaryQuoted);
                raw
            }
            Value::Quoted { .. } => {
                return Err("the quotes around the boundary in the Content-Type are wrong".to_owned());
            }
        };
        if found.replace(boundary).is_some() {
            return Err("there are two boundaries in the Content-Type".to_owned());
        }
        if !rest.trim_ascii_start().is_empty() && !rest.trim_ascii_start().starts_with(b";") {
            return Err("there are quotes or bytes in the boundary that have no place there".to_owned());
        }
    }
    match found {
        Some(found) if (1..=LONGEST).contains(&found.len()) && found.iter().all(|&byte| is_boundary_byte(byte)) => {
            Ok(found)
        }
        Some(_) => Err(format!(
            "the boundary is empty, longer than {LONGEST} bytes, or has bytes that have no place there"
        )),
        None => Err("there is no boundary in the Content-Type".to_owned()),
    }
}

/// RFC 2046 §5.1.1, without the space, which it allows inside only.
fn is_boundary_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte)
}
