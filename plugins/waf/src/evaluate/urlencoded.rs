//! `a=b&c=d`: names and values of a query or a form's body, decoded as ModSecurity decodes them.

use serde::{Deserialize, Serialize};

use super::texts::{TextId, Texts};
use crate::bytes::hex_pair;

/// An argument, header or cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Field {
    pub(super) name: TextId,
    pub(super) value: TextId,
}

/// What parsing found beside the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Parsed {
    /// Nothing.
    Clean,
    /// An escape that is none; it stays as it is.
    BrokenEscape,
    /// More fields than are kept.
    TooMany,
}

/// Adds the fields of a text to a list that holds at most `most`.
pub(super) fn parse(text: &[u8], separator: u8, most: usize, texts: &mut Texts, fields: &mut Vec<Field>) -> Parsed {
    let mut parsed = Parsed::Clean;
    for pair in text.split(|&b| b == separator).filter(|pair| !pair.is_empty()) {
        if fields.len() >= most {
            return Parsed::TooMany;
        }
        let (name, value) = match memchr::memchr(b'=', pair) {
            Some(at) => (
                pair.get(..at).unwrap_or_default(),
                pair.get(at + 1..).unwrap_or_default(),
            ),
            None => (pair, &[][..]),
        };
        let mut decoded = |text: &[u8]| {
            texts.write(text.len(), |out| {
                if decode(text, out) == Parsed::BrokenEscape {
                    parsed = Parsed::BrokenEscape;
                }
            })
        };
        let field = Field {
            name: decoded(name),
            value: decoded(value),
        };
        fields.push(field);
    }
    parsed
}

fn decode(text: &[u8], out: &mut Vec<u8>) -> Parsed {
    let mut parsed = Parsed::Clean;
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        rest = after;
        match (byte, after) {
            (b'+', _) => out.push(b' '),
            (b'%', [high, low, tail @ ..]) if hex_pair(*high, *low).is_some() => {
                out.extend(hex_pair(*high, *low));
                rest = tail;
            }
            (b'%', _) => {
                parsed = Parsed::BrokenEscape;
                out.push(b'%');
            }
            _ => out.push(*byte),
        }
    }
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &[u8], most: usize) -> (Parsed, Vec<(String, String)>) {
        let (mut texts, mut fields) = (Texts::default(), Vec::new());
        let parsed = parse(text, b'&', most, &mut texts, &mut fields);
        let shown = |id| String::from_utf8_lossy(texts.get(id)).into_owned();
        (
            parsed,
            fields
                .iter()
                .map(|field| (shown(field.name), shown(field.value)))
                .collect(),
        )
    }

    #[test]
    fn pairs_are_decoded() {
        let (parsed, found) = fields(b"a=b+c&%61%62=%zz&&x&=y&p=q=r", 10);
        let expected = [("a", "b c"), ("ab", "%zz"), ("x", ""), ("", "y"), ("p", "q=r")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(parsed, Parsed::BrokenEscape);
    }

    #[test]
    fn the_number_is_bounded() {
        let (parsed, found) = fields(b"a&b&c", 2);
        assert_eq!((parsed, found.len()), (Parsed::TooMany, 2));
    }
}
