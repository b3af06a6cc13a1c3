//! `Cookie: a=b; c=d`: names and values of cookies, as received (RFC 6265 §4.2.1 does not encode them).

use super::texts::Texts;
use super::urlencoded::Field;
use crate::bytes::is_space;

/// Adds the cookies of a header to a list that holds at most `most`.
pub(super) fn parse(header: &[u8], separator: u8, most: usize, texts: &mut Texts, fields: &mut Vec<Field>) {
    for pair in header.split(|&b| b == separator) {
        let start = pair.iter().position(|&b| !is_space(b)).unwrap_or(pair.len());
        let pair = pair.get(start..).unwrap_or_default();
        if pair.is_empty() || fields.len() >= most {
            continue;
        }
        let (name, value) = match memchr::memchr(b'=', pair) {
            Some(at) => (
                pair.get(..at).unwrap_or_default(),
                pair.get(at + 1..).unwrap_or_default(),
            ),
            None => (pair, &[][..]),
        };
        let field = Field {
            name: texts.push(name),
            value: texts.push(value),
        };
        fields.push(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_split_and_kept_as_they_are() {
        let (mut texts, mut fields) = (Texts::default(), Vec::new());
        parse(b"a=b%20c;  d=e=f;;g", b';', 10, &mut texts, &mut fields);
        let found: Vec<(&[u8], &[u8])> = fields.iter().map(|f| (texts.get(f.name), texts.get(f.value))).collect();
        assert_eq!(found, [(&b"a"[..], &b"b%20c"[..]), (b"d", b"e=f"), (b"g", b"")]);
    }
}
