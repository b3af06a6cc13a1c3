//! `@detectSQLi`: the value reads as a part of an SQL statement, by libinjection's method. `capture` keeps the fingerprint.
//!
//! A value is split into tokens of SQL ([`token`]) as it stands, and as it would be inside of quotes if it holds some; what says
//! nothing about the kind of a statement is folded away ([`fold`]) until five tokens are left. Their letters are the
//! fingerprint, and a table knows which fingerprints are those of attacks. A few short ones are ambiguous, and a closer look
//! decides ([`closer`]).
//!
//! The table of words and fingerprints is that of the crate `libinjectionrs`; the rest is ours, because this runs on almost every
//! value of every request: it allocates nothing, takes time linear in the value, and cannot panic.

mod closer;
mod fold;
mod token;
mod words;

use fold::Folded;
use token::{Dialect, Quotes};

use super::Test;
use crate::bytes::ByteSet;
use crate::seclang::Files;

/// Bytes that never end a word: a value made of nothing else is at most a few numbers and a word.
const WORD: ByteSet = ByteSet::range(b'a', b'z')
    .union(ByteSet::range(b'A', b'Z'))
    .union(ByteSet::range(b'0', b'9'))
    .with(b'_');

/// Bytes of which one must occur.
pub(super) const NEEDED: ByteSet = WORD.complement();

/// The letters of at most five tokens.
pub(super) type Fingerprint = Letters;

/// A few letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Letters {
    letters: [u8; 5],
    length: usize,
}

impl Letters {
    fn push(&mut self, letter: u8) {
        if let Some(place) = self.letters.get_mut(self.length) {
            *place = letter;
            self.length += 1;
        }
    }

    /// As text.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.letters.get(..self.length).unwrap_or_default()
    }
}

pub(super) fn build(_argument: &str, _files: &dyn Files) -> Result<Test, String> {
    // The table is made when rules are loaded, not when the first request comes.
    words::table();
    Ok(Test::Sqli)
}

/// Whether it does.
pub(super) fn is_found(value: &[u8], present: &ByteSet) -> bool {
    NEEDED.intersects(present) && detect(value).is_some()
}

/// The fingerprint by which it does.
pub(super) fn fingerprint(value: &[u8]) -> Option<Vec<u8>> {
    detect(value).map(|found| found.as_bytes().to_vec())
}

/// Looks at a value as it stands, and as if a quote of either kind stood before it. What MySQL takes for a comment and others do
/// not, or the other way round, is read in both ways.
fn detect(value: &[u8]) -> Option<Fingerprint> {
    let look = |quotes, dialect| {
        let folded = fold::fold(value, quotes, dialect);
        let found = words::table().is_attack(&folded.fingerprint) && closer::is_attack(&folded, value);
        (found.then_some(folded.fingerprint), folded)
    };
    let both = |quotes| match look(quotes, Dialect::Ansi) {
        (None, Folded { comments, .. }) if comments.depends_on_dialect() => look(quotes, Dialect::MySql).0,
        (found, _) => found,
    };
    let has = |quote| memchr::memchr(quote, value).is_some();
    both(Quotes::None)
        .or_else(|| has(b'\'').then(|| both(Quotes::Single)).flatten())
        .or_else(|| has(b'"').then(|| look(Quotes::Double, Dialect::MySql).0).flatten())
}

#[cfg(test)]
mod tests {
    use libinjectionrs::{SqliFlags, SqliState};

    use super::*;

    struct Random(u64);

    impl Random {
        fn below(&mut self, most: usize) -> usize {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % most
        }
    }

    /// What lets words pass unread must never hide a match: every text of up to three bytes of one of the kinds that the
    /// tokenizer tells apart in a word, and long ones at random.
    #[test]
    fn a_word_alone_is_never_found() {
        let kinds = b"aAbBdeEfnNqQuUxX019_";
        for first in kinds {
            for second in kinds {
                for third in kinds {
                    assert_eq!(detect(&[*first, *second, *third]), None);
                }
            }
        }
        let mut random = Random(5);
        for _ in 0..20_000 {
            let value: Vec<u8> = (0..16).map(|_| kinds[random.below(kinds.len())]).collect();
            assert_eq!(detect(&value), None, "{}", String::from_utf8_lossy(&value));
        }
    }

    /// The crate is a port of libinjection, and agrees with this, but for words longer than it keeps (it looks at dots in all of
    /// such a word, libinjection in its start).
    #[test]
    fn fingerprints_are_those_of_libinjection() {
        let parts: [&[u8]; 110] = [
            b"select",
            b"union",
            b"all",
            b"from",
            b"where",
            b"or",
            b"and",
            b"not",
            b"in",
            b"like",
            b"is",
            b"null",
            b"between",
            b"having",
            b"group",
            b"by",
            b"order",
            b"into",
            b"outfile",
            b"insert",
            b"values",
            b"update",
            b"set",
            b"delete",
            b"drop",
            b"table",
            b"sleep",
            b"benchmark",
            b"char",
            b"concat",
            b"user",
            b"database",
            b"password",
            b"exec",
            b"waitfor",
            b"delay",
            b"if",
            b"case",
            b"when",
            b"then",
            b"end",
            b"as",
            b"cast",
            b"int",
            b"binary",
            b"collate",
            b"latin1_bin",
            b"mod",
            b"div",
            b"xor",
            b"rlike",
            b"limit",
            b"procedure",
            b"analyse",
            b"current_user",
            b"user_id",
            b"foo",
            b"x",
            b"a.b",
            b".",
            b"1",
            b"0x41",
            b"0b1",
            b"1.5e3",
            b"1e",
            b"1f",
            b"0",
            b"\\N",
            b"'",
            b"\"",
            b"`",
            b"''",
            b"'a'",
            b"\\'",
            b"--",
            b"-- ",
            b"--x",
            b"#",
            b"/*",
            b"*/",
            b"/*!",
            b"/**/",
            b"(",
            b")",
            b"((",
            b"))",
            b",",
            b";",
            b"=",
            b"<",
            b">",
            b"<=>",
            b"!=",
            b"!!",
            b"||",
            b"&&",
            b"|",
            b"&",
            b"+",
            b"-",
            b"~",
            b"@",
            b"@@",
            b"$1",
            b"$$",
            b"$a$",
            b"{",
            b"}",
            b"[",
            b"]",
        ];
        let glue: [&[u8]; 6] = [b" ", b" ", b"", b"\t", b"\xa0", b":"];
        let odd: [&[u8]; 12] = [
            b"n'a'",
            b"q'(a)'",
            b"nq'<a>'",
            b"x'41'",
            b"b'01'",
            b"e'a'",
            b"u&'a'",
            b"?",
            b"%",
            b"\\",
            b"\xc3\xa9",
            b"\0",
        ];
        let mut random = Random(1);
        let mut attacks = 0;
        for _ in 0..60_000 {
            let mut value: Vec<u8> = Vec::new();
            for _ in 0..=random.below(9) {
                if random.below(8) == 0 {
                    value.extend_from_slice(odd[random.below(odd.len())]);
                } else {
                    value.extend_from_slice(parts[random.below(parts.len())]);
                }
                value.extend_from_slice(glue[random.below(glue.len())]);
            }
            // The port compares INTO with case.
            if value.windows(4).any(|word| word == b"into") {
                value.make_ascii_uppercase();
            }
            // The port looks at texts where libinjection looks at bytes.
            if std::str::from_utf8(&value).is_err() {
                value.retain(u8::is_ascii);
            }
            let long = |word: &[u8]| word.len() > 31;
            if value
                .split(|byte| b" []{}<>:\\?=@!#~+-*/&|^%(),';\t\n\"\0".contains(byte))
                .any(long)
            {
                continue;
            }
            let mut theirs = SqliState::new(&value, SqliFlags::FLAG_NONE);
            let theirs = theirs.detect().then(|| theirs.fingerprint_string());
            let ours = fingerprint(&value).map(|found| String::from_utf8_lossy(&found).into_owned());
            assert_eq!(ours, theirs, "{:?}", String::from_utf8_lossy(&value));
            attacks += usize::from(ours.is_some());
        }
        assert!(attacks > 2_000, "{attacks}");
    }

    #[test]
    fn any_bytes_are_read_without_harm() {
        let mut random = Random(9);
        for _ in 0..50_000 {
            let value: Vec<u8> = (0..random.below(24))
                .map(|_| match random.below(3) {
                    0 => random.below(256) as u8,
                    _ => b"'\"`\\-#/*!()[]{};,.@$&|<>=qQnNuUxXbBeE01 "[random.below(40)],
                })
                .collect();
            let _ = detect(&value);
        }
    }

    /// What looks at the same bytes again and again would take minutes here.
    #[test]
    fn long_values_take_linear_time() {
        for part in [
            "a.",
            "'",
            "\\'",
            "`",
            "/*",
            "$a$",
            "q'(",
            "--x\n",
            "(",
            "1,",
            "{``",
            "@@`",
            "[",
            "b'0",
            "select 1 ",
            "x'",
        ] {
            let value = part.repeat(50_000);
            let _ = detect(value.as_bytes());
        }
    }
}
