//! JSON (RFC 8259) as arguments: `{"a":{"b":[1,"x"]}}` is `json.a.b.array_0=1` and `json.a.b.array_1=x`. Read without
//! recursion, with its depth, its number of values and the length of names bounded.

use super::super::texts::Texts;
use super::super::urlencoded::Field;
use crate::bytes::hex_digit;

/// The longest name of a value, in bytes.
const LONGEST_NAME: usize = 4096;

/// What is refused beyond.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) depth: usize,
    pub(super) fields: usize,
}

/// Adds the values of a document to a list. An error tells what is wrong with the document; the values before it are kept.
pub(super) fn parse(text: &[u8], limits: Limits, texts: &mut Texts, fields: &mut Vec<Field>) -> Result<(), String> {
    Reader {
        text,
        at: 0,
        limits,
        name: b"json".to_vec(),
        open: Vec::new(),
        texts,
        fields,
    }
    .document()
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    limits: Limits,
    /// The name of the value that is read next.
    name: Vec<u8>,
    open: Vec<Container>,
    texts: &'a mut Texts,
    fields: &'a mut Vec<Field>,
}

/// An object or array that has not ended.
#[derive(Clone, Copy)]
struct Container {
    kind: Kind,
    /// How long its own name is.
    name: usize,
    /// How many members have been started.
    members: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Object,
    Array,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<(), String> {
        self.value()?;
        while let Some(container) = self.open.last().copied() {
            self.name.truncate(container.name);
            let close = if container.kind == Kind::Object { b'}' } else { b']' };
            match self.peek()? {
                byte if byte == close => {
                    self.at += 1;
                    self.open.pop();
                }
                b',' if container.members > 0 => {
                    self.at += 1;
                    self.member(container)?;
                }
                _ if container.members == 0 => self.member(container)?,
                byte => return Err(self.unexpected(byte)),
            }
        }
        self.skip_space();
        match self.text.get(self.at) {
            None => Ok(()),
            Some(&byte) => Err(self.unexpected(byte)),
        }
    }

    fn member(&mut self, container: Container) -> Result<(), String> {
        if let Some(container) = self.open.last_mut() {
            container.members += 1;
        }
        match container.kind {
            Kind::Array => self.name.extend(format!(".array_{}", container.members).bytes()),
            Kind::Object => {
                self.expect(b'"')?;
                let key = self.string()?;
                self.name.push(b'.');
                self.name.extend(key);
                self.expect(b':')?;
            }
        }
        if self.name.len() > LONGEST_NAME {
            return Err(format!("JSON: a name is longer than {LONGEST_NAME} bytes"));
        }
        self.value()
    }

    /// A value: one that is not a container is kept, of a container only the start is read.
    fn value(&mut self) -> Result<(), String> {
        let byte = self.peek()?;
        match byte {
            b'{' => self.enter(Kind::Object),
            b'[' => self.enter(Kind::Array),
            b'"' => {
                self.at += 1;
                let value = self.string()?;
                self.keep(&value)
            }
            b't' => self.word(b"true", b"true"),
            b'f' => self.word(b"false", b"false"),
            b'n' => self.word(b"null", b""),
            b'-' | b'0'..=b'9' => {
                let rest = self.rest();
                let end = rest
                    .iter()
                    .position(|b| !matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'));
                let number = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
                self.at += number.len();
                self.keep(number)
            }
            _ => Err(self.unexpected(byte)),
        }
    }

    fn enter(&mut self, kind: Kind) -> Result<(), String> {
        if self.open.len() >= self.limits.depth {
            return Err(format!("JSON: nested deeper than {} levels", self.limits.depth));
        }
        self.at += 1;
        self.open.push(Container {
            kind,
            name: self.name.len(),
            members: 0,
        });
        Ok(())
    }

    fn word(&mut self, word: &[u8], value: &[u8]) -> Result<(), String> {
        if !self.rest().starts_with(word) {
            return Err(format!("JSON: not a value at byte {}", self.at));
        }
        self.at += word.len();
        self.keep(value)
    }

    fn keep(&mut self, value: &[u8]) -> Result<(), String> {
        if self.fields.len() >= self.limits.fields {
            return Err(format!("JSON: more than {} values", self.limits.fields));
        }
        let field = Field {
            name: self.texts.push(&self.name),
            value: self.texts.push(value),
        };
        self.fields.push(field);
        Ok(())
    }

    /// A string, of which the opening quote has been read.
    fn string(&mut self) -> Result<Vec<u8>, String> {
        const OPEN: &str = "JSON: a string is never closed";
        let mut out = Vec::new();
        loop {
            let rest = self.rest();
            let end = memchr::memchr2(b'"', b'\\', rest).ok_or(OPEN)?;
            let (plain, rest) = rest.split_at(end);
            out.extend_from_slice(plain);
            self.at += end + 1;
            if rest.first() == Some(&b'"') {
                return Ok(out);
            }
            let escape = *rest.get(1).ok_or(OPEN)?;
            self.at += 1;
            out.push(match escape {
                b'"' | b'\\' | b'/' => escape,
                b'b' => 0x08,
                b'f' => 0x0c,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'u' => {
                    let c = self.unicode()?;
                    out.extend(c.encode_utf8(&mut [0; 4]).bytes());
                    continue;
                }
                _ => return Err(format!("JSON: not an escape at byte {}", self.at)),
            });
        }
    }

    /// What follows `\u`, with the second half of a surrogate pair. Half a pair alone is U+FFFD.
    fn unicode(&mut self) -> Result<char, String> {
        let first = self.four_digits()?;
        let mut code = first;
        if (0xd800..0xdc00).contains(&first) && self.rest().starts_with(b"\\u") {
            let before = self.at;
            self.at += 2;
            match self.four_digits()? {
                second @ 0xdc00..0xe000 => code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                _ => self.at = before,
            }
        }
        Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn four_digits(&mut self) -> Result<u32, String> {
        let digits = self.text.get(self.at..self.at + 4).unwrap_or_default();
        let value = |code: u32, digit: &u8| Some(code << 4 | u32::from(hex_digit(*digit)?));
        match digits.iter().try_fold(0, value) {
            Some(code) if digits.len() == 4 => {
                self.at += 4;
                Ok(code)
            }
            _ => Err(format!("JSON: not an escape at byte {}", self.at)),
        }
    }

    fn expect(&mut self, wanted: u8) -> Result<(), String> {
        match self.peek()? {
            byte if byte == wanted => {
                self.at += 1;
                Ok(())
            }
            byte => Err(self.unexpected(byte)),
        }
    }

    fn peek(&mut self) -> Result<u8, String> {
        self.skip_space();
        self.text
            .get(self.at)
            .copied()
            .ok_or_else(|| "JSON: it ends too early".to_owned())
    }

    fn skip_space(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn unexpected(&self, byte: u8) -> String {
        format!("JSON: unexpected {:?} at byte {}", byte as char, self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Result<(), String>, Vec<(String, String)>) {
        let (mut texts, mut fields) = (Texts::default(), Vec::new());
        let result = parse(text.as_bytes(), Limits { depth: 4, fields: 6 }, &mut texts, &mut fields);
        let shown = |id| String::from_utf8_lossy(texts.get(id)).into_owned();
        (
            result,
            fields
                .iter()
                .map(|field| (shown(field.name), shown(field.value)))
                .collect(),
        )
    }

    #[test]
    fn values_become_arguments() {
        let (result, found) =
            parsed(r#" {"a": {"b": [1, "x\n\u0041\ud83d\ude00"], "c": {}}, "d": null, "e": true, "f": -1.5e3} "#);
        assert_eq!(result, Ok(()));
        let expected = [
            ("json.a.b.array_0", "1"),
            ("json.a.b.array_1", "x\nA😀"),
            ("json.d", ""),
            ("json.e", "true"),
            ("json.f", "-1.5e3"),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_bare_value_is_a_document() {
        assert_eq!(parsed("\"x\"").1, [("json".to_owned(), "x".to_owned())]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for text in [
            "",
            "{",
            "[1,]",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "[1 2]",
            "[1]]",
            "tru",
            "\"a",
            "\"\\",
            "\"\\u12",
            "\"\\x\"",
            "{a:1}",
            "[[[[[1]]]]]",
            "[1,2,3,4,5,6,7]",
            "[1}",
        ] {
            assert!(parsed(text).0.is_err(), "{text}");
        }
    }
}
