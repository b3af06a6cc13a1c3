//! `form-data; name="a"; filename="b.png"`: what a `Content-Disposition` says.

use super::flags::{Flag, Flags};
use super::split_at;

/// What it says.
#[derive(Debug, Default)]
pub(super) struct Disposition {
    pub(super) name: Option<Vec<u8>>,
    pub(super) filename: Option<Vec<u8>>,
}

impl Disposition {
    pub(super) fn parse(text: &[u8], flags: &mut Flags) -> Result<Self, String> {
        let (kind, mut rest) = split_at(text, |&byte| byte == b';');
        if !kind.trim_ascii().eq_ignore_ascii_case(b"form-data") {
            return Err("a part is not form-data".to_owned());
        }
        let mut disposition = Self::default();
        while let Some(after) = rest.strip_prefix(b";") {
            let after = after.trim_ascii_start();
            if after.is_empty() {
                break;
            }
            let (name, after) = split_at(after, |&byte| byte == b'=');
            let (found, after) = value(after.get(1..).unwrap_or_default().trim_ascii_start(), is_token_byte)?;
            let name = name.trim_ascii();
            let known = match name {
                _ if name.eq_ignore_ascii_case(b"name") => &mut disposition.name,
                // The extended form (RFC 5987) is not for forms (RFC 7578 §4.2), and servers disagree about which one counts.
                _ if name.eq_ignore_ascii_case(b"filename") || name.eq_ignore_ascii_case(b"filename*") => {
                    &mut disposition.filename
                }
                _ => return Err("there is an unknown parameter in a Content-Disposition".to_owned()),
            };
            let text = match found {
                Value::Token(token) => token.to_vec(),
                Value::Quoted { raw, quote } => {
                    if quote == b'\'' {
                        flags.set(Flag::InvalidQuoting);
                    }
                    unescaped(raw, quote)
                }
            };
            if known.replace(text).is_some() {
                return Err("a parameter of a Content-Disposition is repeated".to_owned());
            }
            rest = after.trim_ascii_start();
            if !rest.is_empty() && !rest.starts_with(b";") {
                flags.set(Flag::InvalidQuoting);
                return Err("text follows the value of a parameter of a Content-Disposition".to_owned());
            }
        }
        Ok(disposition)
    }
}

/// The value of a parameter.
pub(super) enum Value<'a> {
    Token(&'a [u8]),
    /// What stands between quotes, escapes included.
    Quoted {
        raw: &'a [u8],
        quote: u8,
    },
}

/// A token, or a text in quotes of either kind, in which a backslash protects a quote; and what follows it.
pub(super) fn value(text: &[u8], is_token: impl Fn(u8) -> bool) -> Result<(Value<'_>, &[u8]), String> {
    let quote = match text.first() {
        Some(quote @ (b'"' | b'\'')) => *quote,
        _ => {
            let (token, rest) = split_at(text, |&byte| !is_token(byte));
            return Ok((Value::Token(token), rest));
        }
    };
    let inside = text.get(1..).unwrap_or_default();
    let mut at = 0;
    loop {
        match inside.get(at) {
            Some(&byte) if byte == quote => {
                let raw = inside.get(..at).unwrap_or_default();
                let rest = inside.get(at + 1..).unwrap_or_default();
                return Ok((Value::Quoted { raw, quote }, rest));
            }
            // Some clients send paths with backslashes as they are; only a quote and a backslash are ever escaped.
            Some(b'\\') if matches!(inside.get(at + 1), Some(&next) if next == quote || next == b'\\') => at += 2,
            Some(_) => at += 1,
            None => return Err("a quote is never closed".to_owned()),
        }
    }
}

fn unescaped(raw: &[u8], quote: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let escaped = byte == b'\\' && bytes.peek().is_some_and(|&next| next == quote || next == b'\\');
        out.extend(if escaped { bytes.next() } else { Some(byte) });
    }
    out
}

/// A byte of a token (RFC 9110 §5.6.2), and those beyond ASCII, which clients send.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&*+-.^_`|~".contains(&byte) || byte >= 0x80
}
