//! A value as tokens of SQL, as its dialects write them.

use memchr::{memchr, memmem};

use super::words::{self, LONGEST};
use crate::bytes::{ByteSet, find_pair};

/// The kinds of tokens, by their letters in fingerprints.
pub(super) mod kind {
    pub(in super::super) const NONE: u8 = 0;
    pub(in super::super) const KEYWORD: u8 = b'k';
    pub(in super::super) const UNION: u8 = b'U';
    pub(in super::super) const GROUP: u8 = b'B';
    pub(in super::super) const EXPRESSION: u8 = b'E';
    pub(in super::super) const SQL_TYPE: u8 = b't';
    pub(in super::super) const FUNCTION: u8 = b'f';
    pub(in super::super) const BAREWORD: u8 = b'n';
    pub(in super::super) const NUMBER: u8 = b'1';
    pub(in super::super) const VARIABLE: u8 = b'v';
    pub(in super::super) const STRING: u8 = b's';
    pub(in super::super) const OPERATOR: u8 = b'o';
    pub(in super::super) const LOGIC: u8 = b'&';
    pub(in super::super) const COMMENT: u8 = b'c';
    pub(in super::super) const COLLATE: u8 = b'A';
    pub(in super::super) const OPEN: u8 = b'(';
    pub(in super::super) const CLOSE: u8 = b')';
    pub(in super::super) const OPEN_BRACE: u8 = b'{';
    pub(in super::super) const CLOSE_BRACE: u8 = b'}';
    pub(in super::super) const DOT: u8 = b'.';
    pub(in super::super) const COMMA: u8 = b',';
    pub(in super::super) const COLON: u8 = b':';
    pub(in super::super) const SEMICOLON: u8 = b';';
    pub(in super::super) const TSQL: u8 = b'T';
    pub(in super::super) const UNKNOWN: u8 = b'?';
    pub(in super::super) const EVIL: u8 = b'X';
    pub(in super::super) const BACKSLASH: u8 = b'\\';
}

/// A token, with the start of its text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    /// One of [`kind`].
    pub(super) kind: u8,
    /// The quote that opens a string; 0 where it is not in the value.
    pub(super) open: u8,
    /// The quote that closes it.
    pub(super) close: u8,
    length: u8,
    bytes: [u8; LONGEST],
}

/// In which quotes a value would stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    None,
    Single,
    Double,
}

/// Which SQL is read, where it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Ansi,
    MySql,
}

/// Comments that only one dialect takes for some.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Comments {
    ambiguous: bool,
}

impl Comments {
    /// Whether another dialect would read the value differently.
    pub(super) fn depends_on_dialect(self) -> bool {
        self.ambiguous
    }
}

impl Token {
    pub(super) const NONE: Self = Self {
        kind: kind::NONE,
        open: 0,
        close: 0,
        length: 0,
        bytes: [0; LONGEST],
    };

    fn new(kind: u8, text: &[u8]) -> Self {
        let mut token = Self { kind, ..Self::NONE };
        token.set_text(text);
        token
    }

    /// The start of its text.
    pub(super) fn text(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Keeps the start of a text.
    pub(super) fn set_text(&mut self, text: &[u8]) {
        let text = text.get(..LONGEST).unwrap_or(text);
        self.length = text.len() as u8;
        for (place, byte) in self.bytes.iter_mut().zip(text) {
            *place = *byte;
        }
    }

    fn in_quotes(self, open: u8, close: u8) -> Self {
        Self { open, close, ..self }
    }
}

/// What ends a word.
const WORD_END: ByteSet = ByteSet::of(b" []{}<>:\\?=@!#~+-*/&|^%(),';\t\n\x0b\x0c\r\"\xa0\0");
/// What ends the name of a variable.
const VARIABLE_END: ByteSet = ByteSet::of(b" <>:\\?=@!#~+-*/&|^%(),';\t\n\x0b\x0c\r`\"");
/// White space of some dialect.
const WHITE: ByteSet = ByteSet::of(b" \t\n\x0b\x0c\r\xa0\0");

/// Reads tokens one after the other.
pub(super) struct Tokens<'v> {
    value: &'v [u8],
    at: usize,
    quotes: Quotes,
    dialect: Dialect,
    pub(super) comments: Comments,
}

/// A token and where the next one starts.
type Read = (Token, usize);

impl<'v> Tokens<'v> {
    pub(super) fn new(value: &'v [u8], quotes: Quotes, dialect: Dialect) -> Self {
        Self {
            value,
            at: 0,
            quotes,
            dialect,
            comments: Comments::default(),
        }
    }

    /// From a position on.
    fn rest(&self, at: usize) -> &'v [u8] {
        self.value.get(at..).unwrap_or_default()
    }

    fn part(&self, start: usize, end: usize) -> &'v [u8] {
        self.value.get(start..end).unwrap_or_default()
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.value.get(at).copied()
    }

    /// How many bytes from a position on are in a set.
    fn run(&self, at: usize, set: &ByteSet) -> usize {
        let rest = self.rest(at);
        rest.iter().position(|&byte| !set.contains(byte)).unwrap_or(rest.len())
    }

    /// A token that is one byte.
    fn one(&self, at: usize, kind: u8) -> Read {
        (Token::new(kind, self.part(at, at + 1)), at + 1)
    }

    fn text(&self, kind: u8, start: usize, end: usize) -> Read {
        (Token::new(kind, self.part(start, end)), end)
    }

    fn token(&mut self, at: usize, byte: u8) -> Read {
        match byte {
            b'"' | b'\'' => self.string(at, at + 1, byte),
            b'#' => self.hash(at),
            b'$' => self.money(at),
            b'%' | b'+' | b'^' | b'~' => self.one(at, kind::OPERATOR),
            b'!' | b'&' | b'*' | b':' | b'<'..=b'>' | b'|' => self.operator(at),
            b'(' | b')' | b',' | b';' | b'{' | b'}' => self.one(at, byte),
            b'-' => self.dash(at),
            b'.' | b'0'..=b'9' => self.number(at),
            b'/' => self.slash(at),
            b'?' | b']' => self.one(at, kind::UNKNOWN),
            b'@' => self.variable(at),
            b'B' | b'b' => self.digits_in_quotes(at, &ByteSet::of(b"01")),
            b'X' | b'x' => self.digits_in_quotes(at, &ByteSet::of(b"0123456789abcdefABCDEF")),
            b'E' | b'e' => self.escaped_string(at),
            b'N' | b'n' if self.byte(at + 1) == Some(b'\'') => self.escaped_string(at),
            b'N' | b'n' => self.oracle_string(at, at + 1),
            b'Q' | b'q' => self.oracle_string(at, at),
            b'U' | b'u' => self.unicode_string(at),
            b'[' => match memchr(b']', self.rest(at)) {
                Some(end) => self.text(kind::BAREWORD, at, at + end + 1),
                None => self.text(kind::BAREWORD, at, self.value.len()),
            },
            // A name that MySQL has for NULL.
            b'\\' if self.byte(at + 1) == Some(b'N') => self.text(kind::NUMBER, at, at + 2),
            b'\\' => self.one(at, kind::BACKSLASH),
            b'`' => self.tick(at),
            _ => self.word(at),
        }
    }

    /// `open` is where the string starts, after its quote. A quote is escaped by a backslash before it, or by another.
    fn string(&self, at: usize, open: usize, quote: u8) -> Read {
        let mut from = open;
        while let Some(found) = memchr(quote, self.rest(from)) {
            let end = from + found;
            let before = self.part(open, end);
            let backslashes = before.iter().rev().take_while(|&&byte| byte == b'\\').count();
            if backslashes % 2 == 1 {
                from = end + 1;
            } else if self.byte(end + 1) == Some(quote) {
                from = end + 2;
            } else {
                let token = Token::new(kind::STRING, before);
                return (token.in_quotes(if open > at { quote } else { 0 }, quote), end + 1);
            }
        }
        let token = Token::new(kind::STRING, self.rest(open));
        (token.in_quotes(if open > at { quote } else { 0 }, 0), self.value.len())
    }

    fn hash(&mut self, at: usize) -> Read {
        self.comments.ambiguous = true;
        match self.dialect {
            Dialect::MySql => self.line_comment(at),
            Dialect::Ansi => self.one(at, kind::OPERATOR),
        }
    }

    fn dash(&mut self, at: usize) -> Read {
        if self.byte(at + 1) != Some(b'-') {
            return self.one(at, kind::OPERATOR);
        }
        if self.byte(at + 2).is_none_or(|byte| WHITE.contains(byte)) {
            return self.line_comment(at);
        }
        self.comments.ambiguous = true;
        match self.dialect {
            Dialect::Ansi => self.line_comment(at),
            Dialect::MySql => self.one(at, kind::OPERATOR),
        }
    }

    fn line_comment(&self, at: usize) -> Read {
        match memchr(b'\n', self.rest(at)) {
            Some(length) => (Token::new(kind::COMMENT, self.part(at, at + length)), at + length + 1),
            None => self.text(kind::COMMENT, at, self.value.len()),
        }
    }

    fn slash(&self, at: usize) -> Read {
        if self.byte(at + 1) != Some(b'*') {
            return self.one(at, kind::OPERATOR);
        }
        let inside = self.rest(at + 2);
        let (end, nested) = match find_pair(inside, *b"*/") {
            // As far as the star that ends it: `/*/` within counts as nested.
            Some(length) => {
                let looked_at = inside.get(..=length).unwrap_or_default();
                (at + 2 + length + 2, find_pair(looked_at, *b"/*").is_some())
            }
            None => (self.value.len(), false),
        };
        let conditional = inside.first() == Some(&b'!');
        let kind = if nested || conditional {
            kind::EVIL
        } else {
            kind::COMMENT
        };
        self.text(kind, at, end)
    }

    fn operator(&self, at: usize) -> Read {
        if self.rest(at).starts_with(b"<=>") {
            return self.text(kind::OPERATOR, at, at + 3);
        }
        let pair = self.part(at, at + 2);
        match words::table().kind(pair).filter(|_| pair.len() == 2) {
            Some(kind::LOGIC) => self.text(kind::LOGIC, at, at + 2),
            Some(_) => self.text(kind::OPERATOR, at, at + 2),
            // At the end of a value a colon is an operator like others.
            None if self.byte(at) == Some(b':') && pair.len() == 2 => self.one(at, kind::COLON),
            None => self.one(at, kind::OPERATOR),
        }
    }

    fn word(&self, at: usize) -> Read {
        let rest = self.rest(at);
        let length = rest
            .iter()
            .position(|&byte| WORD_END.contains(byte))
            .unwrap_or(rest.len());
        let word = self.part(at, at + length);
        let start = word.get(..LONGEST).unwrap_or(word);
        // A keyword before a dot or a backtick is a word of its own.
        for (end, _) in start.iter().enumerate().filter(|(_, byte)| matches!(byte, b'.' | b'`')) {
            let known = word.get(..end).and_then(|start| words::table().kind(start));
            if let Some(kind) = known.filter(|&kind| kind != kind::BAREWORD) {
                return self.text(kind, at, at + end);
            }
        }
        let kind = words::table().kind(word).unwrap_or(kind::BAREWORD);
        self.text(kind, at, at + length)
    }

    fn tick(&self, at: usize) -> Read {
        let (mut token, end) = self.string(at, at + 1, b'`');
        token.kind = match words::table().kind(token.text()) {
            Some(kind::FUNCTION) => kind::FUNCTION,
            _ => kind::BAREWORD,
        };
        (token, end)
    }

    fn variable(&self, at: usize) -> Read {
        let start = at + 1 + usize::from(self.byte(at + 1) == Some(b'@'));
        let quoted = match self.byte(start) {
            Some(b'`') => Some(self.tick(start)),
            Some(quote @ (b'\'' | b'"')) => Some(self.string(start, start + 1, quote)),
            _ => None,
        };
        if let Some((token, end)) = quoted {
            let token = Token {
                kind: kind::VARIABLE,
                ..token
            };
            return (token, end);
        }
        let end = start + self.run(start, &VARIABLE_END.complement());
        self.text(kind::VARIABLE, at, end)
    }

    fn money(&self, at: usize) -> Read {
        let amount = self.run(at + 1, &ByteSet::of(b"0123456789.,"));
        match self.rest(at + 1) {
            [] => self.text(kind::BAREWORD, at, at + 1),
            [b'.', ..] if amount == 1 => self.word(at),
            _ if amount > 0 => self.text(kind::NUMBER, at, at + 1 + amount),
            [b'$', ..] => self.dollar_string(at, at + 2),
            _ => {
                let letters = ByteSet::range(b'a', b'z').union(ByteSet::range(b'A', b'Z'));
                let tag = self.run(at + 1, &letters);
                if tag > 0 && self.byte(at + 1 + tag) == Some(b'$') {
                    self.dollar_string(at, at + tag + 2)
                } else {
                    self.one(at, kind::BAREWORD)
                }
            }
        }
    }

    /// `$$text$$` or `$tag$text$tag$`. `start` is where the text starts.
    fn dollar_string(&self, at: usize, start: usize) -> Read {
        let tag = self.part(at, start);
        let (end, next, close) = match memmem::find(self.rest(start), tag) {
            Some(length) => (start + length, start + length + tag.len(), b'$'),
            None => (self.value.len(), self.value.len(), 0),
        };
        (
            Token::new(kind::STRING, self.part(start, end)).in_quotes(b'$', close),
            next,
        )
    }

    fn number(&self, at: usize) -> Read {
        let prefix = match (self.byte(at), self.byte(at + 1)) {
            (Some(b'0'), Some(b'x' | b'X')) => Some(ByteSet::of(b"0123456789abcdefABCDEF")),
            (Some(b'0'), Some(b'b' | b'B')) => Some(ByteSet::of(b"01")),
            _ => None,
        };
        if let Some(digits) = prefix {
            return match self.run(at + 2, &digits) {
                0 => self.text(kind::BAREWORD, at, at + 2),
                length => self.text(kind::NUMBER, at, at + 2 + length),
            };
        }
        let digits = ByteSet::range(b'0', b'9');
        let mut end = at + self.run(at, &digits);
        if self.byte(end) == Some(b'.') {
            end += 1;
            end += self.run(end, &digits);
            if end == at + 1 {
                return self.one(at, kind::DOT);
            }
        }
        let mut kind = kind::NUMBER;
        if matches!(self.byte(end), Some(b'e' | b'E')) {
            end += 1;
            end += usize::from(matches!(self.byte(end), Some(b'+' | b'-')));
            let exponent = self.run(end, &digits);
            end += exponent;
            if exponent == 0 {
                kind = kind::BAREWORD;
            }
        }
        // Oracle's float and double, also right before UNION.
        if matches!(self.byte(end), Some(b'd' | b'D' | b'f' | b'F')) {
            let ends = |byte| WHITE.contains(byte) || matches!(byte, b';' | b'u' | b'U');
            end += usize::from(self.byte(end + 1).is_none_or(ends));
        }
        self.text(kind, at, end)
    }

    /// `b'01'` and `x'4f'`.
    fn digits_in_quotes(&self, at: usize, digits: &ByteSet) -> Read {
        if self.byte(at + 1) == Some(b'\'') && self.byte(at + 2).is_some() {
            let end = at + 2 + self.run(at + 2, digits);
            if self.byte(end) == Some(b'\'') {
                return self.text(kind::NUMBER, at, end + 1);
            }
        }
        self.word(at)
    }

    /// `e'text'` and `n'text'`.
    fn escaped_string(&self, at: usize) -> Read {
        if self.byte(at + 1) == Some(b'\'') && self.byte(at + 2).is_some() {
            self.string(at, at + 2, b'\'')
        } else {
            self.word(at)
        }
    }

    /// `u&'text'`
    fn unicode_string(&self, at: usize) -> Read {
        if !self.rest(at + 1).starts_with(b"&'") {
            return self.word(at);
        }
        let (token, end) = self.string(at + 2, at + 3, b'\'');
        let close = if token.close == b'\'' { b'u' } else { 0 };
        (token.in_quotes(b'u', close), end)
    }

    /// `q'(text)'`, also with an `n` before it. `q` is where the letter stands.
    fn oracle_string(&self, at: usize, q: usize) -> Read {
        let opening = match self.rest(q) {
            [b'q' | b'Q', b'\'', open @ b'!'..=0x7f, ..] => *open,
            _ => return self.word(at),
        };
        let closing = match opening {
            b'(' => b')',
            b'[' => b']',
            b'{' => b'}',
            b'<' => b'>',
            other => other,
        };
        let start = q + 3;
        let (end, next, close) = match find_pair(self.rest(start), [closing, b'\'']) {
            Some(length) => (start + length, start + length + 2, b'q'),
            None => (self.value.len(), self.value.len(), 0),
        };
        (
            Token::new(kind::STRING, self.part(start, end)).in_quotes(b'q', close),
            next,
        )
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let quote = match self.quotes {
            Quotes::None => None,
            Quotes::Single => Some(b'\''),
            Quotes::Double => Some(b'"'),
        };
        if let Some(quote) = quote.filter(|_| self.at == 0 && !self.value.is_empty()) {
            let (token, next) = self.string(0, 0, quote);
            self.at = next;
            return Some(token);
        }
        loop {
            let byte = self.byte(self.at)?;
            // White space, and what some dialects take for it.
            if matches!(byte, 0..=b' ' | 0x7f | 0xa0) {
                self.at += 1;
                continue;
            }
            let (token, next) = self.token(self.at, byte);
            // A word that starts with a byte that ends words is empty: the value is read on after it in any case.
            self.at = next.max(self.at + 1);
            return Some(token);
        }
    }
}
