//! Patterns as rules write them (PCRE) to what the crate `regex` runs, in time linear in the value.
//!
//! Both languages look alike and differ in traps: `\<` is a word boundary in one and a `<` in the other, `[a[b]` nests sets in
//! one, `&&`, `--` and `~~` in a set are operators, a `{` that starts no quantifier is a literal in one and an error in the
//! other, `\v` is one byte or five. So a pattern is read as PCRE reads it and written out anew: sets are computed to the bytes
//! that they hold. What cannot be said in linear time (look-around, back-references, atomic groups, possessive
//! quantifiers) is refused by name.

use std::fmt::Write as _;

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::Hir;

use crate::bytes::{ByteSet, SPACE, hex_digit};

/// The most that one compiled pattern may take, in bytes.
const COMPILED_LIMIT: usize = 16 << 20;

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern {
    /// What runs.
    pub regex: Regex,
    /// What it was made of, for analysis.
    pub(super) syntax: Hir,
}

/// How letters compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// As the pattern says.
    AsWritten,
    /// Without case, whatever the pattern says. So names in collections are matched.
    Ignored,
}

/// Compiles a pattern that is written for PCRE.
///
/// # Errors
/// When it is not a pattern, or needs what `regex` does not have.
pub fn compile(pattern: &str, case: Case) -> Result<Pattern, String> {
    let translated = translate(pattern).map_err(|message| format!("the pattern \"{pattern}\": {message}"))?;
    let wrong = |error: &dyn std::fmt::Display| format!("the pattern \"{pattern}\" does not compile: {error}");
    let syntax = ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .dot_matches_new_line(true)
        .case_insensitive(case == Case::Ignored)
        .build()
        .parse(&translated)
        .map_err(|error| wrong(&error))?;
    let regex = RegexBuilder::new(&translated)
        .unicode(false)
        .dot_matches_new_line(true)
        .case_insensitive(case == Case::Ignored)
        .size_limit(COMPILED_LIMIT)
        .build()
        .map_err(|error| wrong(&error))?;
    Ok(Pattern { regex, syntax })
}

/// The same language in the syntax of the crate `regex`.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    let mut translator = Translator {
        rest: pattern.as_bytes(),
        out: String::with_capacity(pattern.len() + 16),
    };
    while let Some(byte) = translator.next() {
        translator.item(byte)?;
    }
    Ok(translator.out)
}

struct Translator<'a> {
    rest: &'a [u8],
    out: String,
}

impl Translator<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// Skips a text if it comes next.
    fn skip(&mut self, text: &[u8]) -> bool {
        let tail = self.rest.strip_prefix(text);
        self.rest = tail.unwrap_or(self.rest);
        tail.is_some()
    }

    /// Takes what comes before the next `end`, and the end.
    fn until(&mut self, end: &[u8]) -> Option<&[u8]> {
        let at = memchr::memmem::find(self.rest, end)?;
        let (before, after) = self.rest.split_at(at);
        self.rest = after.get(end.len()..).unwrap_or_default();
        Some(before)
    }

    fn literal(&mut self, byte: u8) {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'<' | b'>' | b' ' => self.out.push(byte as char),
            b'!'..=b'~' => self.out.extend(['\\', byte as char]),
            _ => self.hex(byte),
        }
    }

    fn hex(&mut self, byte: u8) {
        // Writing to a string cannot fail.
        let _ = write!(self.out, "\\x{byte:02x}");
    }

    fn set(&mut self, set: ByteSet) {
        self.out.push('[');
        if set.is_empty() {
            self.out.push_str("^\\x00-\\xff");
        }
        let mut byte = 0u16;
        while byte <= 255 {
            let first = byte;
            while byte <= 255 && set.contains(byte as u8) {
                byte += 1;
            }
            if byte > first {
                self.hex(first as u8);
                if byte - first > 1 {
                    self.out.push('-');
                    self.hex((byte - 1) as u8);
                }
            }
            byte += 1;
        }
        self.out.push(']');
    }

    fn item(&mut self, byte: u8) -> Result<(), String> {
        match byte {
            b'\\' => self.escape(),
            b'[' => {
                let (set, inverted) = self.class()?;
                // An inverted set is folded before it is inverted, so the inversion is left to the crate.
                self.set(set);
                if inverted {
                    self.invert_last_set();
                }
                Ok(())
            }
            b'(' => self.group(),
            b'{' => {
                match quantifier_length(self.rest) {
                    Some(length) => {
                        let (text, rest) = self.rest.split_at(length);
                        self.out.push('{');
                        self.out.push_str(&String::from_utf8_lossy(text));
                        self.rest = rest;
                        self.refuse_possessive()?;
                    }
                    None => self.out.push_str("\\{"),
                }
                Ok(())
            }
            b'*' | b'+' | b'?' => {
                self.out.push(byte as char);
                self.refuse_possessive()
            }
            b'^' | b'$' | b'.' | b'|' | b')' => {
                self.out.push(byte as char);
                Ok(())
            }
            _ => {
                self.literal(byte);
                Ok(())
            }
        }
    }

    /// The set that was written last starts with the last `[`, because sets are written in hexadecimal digits only.
    fn invert_last_set(&mut self) {
        if let Some(start) = self.out.rfind('[') {
            if self.out.get(start + 1..).is_some_and(|set| set.starts_with('^')) {
                self.out.remove(start + 1);
            } else {
                self.out.insert(start + 1, '^');
            }
        }
    }

    /// After a quantifier: a `?` makes it lazy, a `+` possessive.
    fn refuse_possessive(&mut self) -> Result<(), String> {
        if self.skip(b"+") {
            return Err("possessive quantifiers (a++) are not supported; write a+".to_owned());
        }
        if self.skip(b"?") {
            self.out.push('?');
        }
        Ok(())
    }

    fn group(&mut self) -> Result<(), String> {
        if self.skip(b"?#") {
            return match self.until(b")") {
                Some(_) => Ok(()),
                None => Err("the comment (?# is never closed".to_owned()),
            };
        }
        let look_around: [&[u8]; 4] = [b"?=", b"?!", b"?<=", b"?<!"];
        if look_around.iter().any(|start| self.rest.starts_with(start)) {
            return Err("look-around ((?= (?! (?<= (?<!) is not supported".to_owned());
        }
        for (start, what) in [
            (&b"?>"[..], "atomic groups (?>"),
            (b"?|", "branch resets (?|"),
            (b"?R", "recursion (?R"),
            (b"?(", "conditions (?("),
            (b"*", "verbs (*"),
        ] {
            if self.rest.starts_with(start) {
                return Err(format!("{what} are not supported"));
            }
        }
        self.out.push('(');
        if !self.skip(b"?") {
            return Ok(());
        }
        self.out.push('?');
        for (open, close) in [(&b"P<"[..], &b">"[..]), (b"<", b">"), (b"'", b"'")] {
            if self.skip(open) {
                let name = self.until(close).ok_or("the name of a group is never closed")?;
                let name = String::from_utf8_lossy(name).into_owned();
                let _ = write!(self.out, "P<{name}>");
                return Ok(());
            }
        }
        while let Some(byte) = self.next() {
            match byte {
                b'i' | b'm' | b's' | b'-' | b':' | b')' => self.out.push(byte as char),
                _ => {
                    return Err(format!(
                        "the flag \"{}\" of a group is not supported; i, m and s are",
                        byte as char
                    ));
                }
            }
            if matches!(byte, b':' | b')') {
                return Ok(());
            }
        }
        Err("a group is never closed".to_owned())
    }

    /// A backslash outside of a set has been read.
    fn escape(&mut self) -> Result<(), String> {
        let Some(byte) = self.next() else {
            return Err("it ends in a backslash".to_owned());
        };
        match byte {
            b'b' | b'B' | b'A' | b'z' => self.out.extend(['\\', byte as char]),
            b'Z' => self.out.push_str("(?:\\n?\\z)"),
            b'R' => self.out.push_str("(?:\\r\\n|[\\n\\x0b\\x0c\\r\\x85])"),
            b'N' => self.out.push_str("[^\\n]"),
            b'G' | b'K' | b'X' | b'C' | b'E' | b'p' | b'P' | b'k' | b'g' => {
                return Err(format!("\\{} is not supported", byte as char));
            }
            b'Q' => {
                let text = match memchr::memmem::find(self.rest, b"\\E") {
                    Some(_) => self.until(b"\\E").unwrap_or_default().to_vec(),
                    None => std::mem::take(&mut self.rest).to_vec(),
                };
                for byte in text {
                    self.literal(byte);
                }
            }
            // Three octal digits are a byte; fewer after a digit from 1 name a group.
            b'1'..=b'9' if !self.two_octal_digits_follow() => {
                return Err(format!("back-references (\\{}) are not supported", byte as char));
            }
            _ => match self.escaped(byte)? {
                Escaped::Byte(byte) => self.literal(byte),
                Escaped::Set(set) => self.set(set),
            },
        }
        Ok(())
    }

    fn two_octal_digits_follow(&self) -> bool {
        matches!(self.rest, [b'0'..=b'7', b'0'..=b'7', ..])
    }

    /// The escapes that mean the same inside and outside of a set. The byte after the backslash is given.
    fn escaped(&mut self, byte: u8) -> Result<Escaped, String> {
        let digit = ByteSet::range(b'0', b'9');
        let word = digit
            .union(ByteSet::range(b'a', b'z'))
            .union(ByteSet::range(b'A', b'Z'))
            .with(b'_');
        let vertical = ByteSet::of(b"\n\x0b\x0c\r\x85");
        let horizontal = ByteSet::of(b"\t \xa0");
        Ok(match byte {
            b'd' => Escaped::Set(digit),
            b'D' => Escaped::Set(digit.complement()),
            b'w' => Escaped::Set(word),
            b'W' => Escaped::Set(word.complement()),
            b's' => Escaped::Set(SPACE),
            b'S' => Escaped::Set(SPACE.complement()),
            b'v' => Escaped::Set(vertical),
            b'V' => Escaped::Set(vertical.complement()),
            b'h' => Escaped::Set(horizontal),
            b'H' => Escaped::Set(horizontal.complement()),
            b'a' => Escaped::Byte(0x07),
            b'e' => Escaped::Byte(0x1b),
            b'f' => Escaped::Byte(0x0c),
            b'n' => Escaped::Byte(b'\n'),
            b'r' => Escaped::Byte(b'\r'),
            b't' => Escaped::Byte(b'\t'),
            b'c' => {
                let letter = self.next().ok_or("\\c needs a letter")?;
                Escaped::Byte(letter.to_ascii_uppercase() ^ 0x40)
            }
            b'x' => Escaped::Byte(self.hexadecimal()?),
            b'0'..=b'7' => {
                let more = self
                    .rest
                    .iter()
                    .take(2)
                    .take_while(|b| (b'0'..=b'7').contains(b))
                    .count();
                let (digits, rest) = self.rest.split_at(more);
                let code = digits
                    .iter()
                    .fold(u32::from(byte - b'0'), |code, &b| code << 3 | u32::from(b - b'0'));
                self.rest = rest;
                Escaped::Byte(u8::try_from(code).map_err(|_| "an octal escape is at most \\377")?)
            }
            _ if byte.is_ascii_alphanumeric() => return Err(format!("\\{} is not supported", byte as char)),
            _ => Escaped::Byte(byte),
        })
    }

    fn hexadecimal(&mut self) -> Result<u8, String> {
        let digits = if self.skip(b"{") {
            self.until(b"}").ok_or("\\x{ is never closed")?.to_vec()
        } else {
            let count = self
                .rest
                .iter()
                .take(2)
                .take_while(|b| hex_digit(**b).is_some())
                .count();
            let (digits, rest) = self.rest.split_at(count);
            self.rest = rest;
            digits.to_vec()
        };
        digits
            .iter()
            .try_fold(0u8, |code, &b| code.checked_mul(16)?.checked_add(hex_digit(b)?))
            .ok_or_else(|| "\\x{...} is one byte, 00 to ff; write a character as its bytes in UTF-8".to_owned())
    }

    /// A `[` has been read: the bytes of the set, and whether it is inverted.
    fn class(&mut self) -> Result<(ByteSet, bool), String> {
        const OPEN: &str = "a set [ is never closed";
        let inverted = self.skip(b"^");
        let mut set = ByteSet::EMPTY;
        let mut first = true;
        loop {
            let byte = self.next().ok_or(OPEN)?;
            if byte == b']' && !first {
                return Ok((set, inverted));
            }
            first = false;
            let start = match self.member(byte)? {
                Escaped::Set(members) => {
                    set = set.union(members);
                    continue;
                }
                Escaped::Byte(byte) => byte,
            };
            // A `-` is a range only between two bytes.
            if !self.rest.starts_with(b"-") || self.rest.starts_with(b"-]") {
                set = set.with(start);
                continue;
            }
            self.skip(b"-");
            let byte = self.next().ok_or(OPEN)?;
            match self.member(byte)? {
                Escaped::Byte(end) if start <= end => set = set.union(ByteSet::range(start, end)),
                Escaped::Byte(end) => {
                    return Err(format!(
                        "the range {:?}-{:?} in a set is backwards",
                        start as char, end as char
                    ));
                }
                Escaped::Set(members) => set = set.with(start).with(b'-').union(members),
            }
        }
    }

    /// One member of a set, of which the first byte has been read.
    fn member(&mut self, byte: u8) -> Result<Escaped, String> {
        match byte {
            b'\\' => match self.next().ok_or("it ends in a backslash")? {
                b'b' => Ok(Escaped::Byte(0x08)),
                byte => self.escaped(byte),
            },
            b'[' if self.rest.starts_with(b":") && memchr::memmem::find(self.rest, b":]").is_some() => {
                let name = self.until(b":]").unwrap_or_default();
                let name = String::from_utf8_lossy(name.get(1..).unwrap_or_default()).into_owned();
                posix(&name)
                    .map(Escaped::Set)
                    .ok_or_else(|| format!("there is no POSIX class [:{name}:]"))
            }
            _ => Ok(Escaped::Byte(byte)),
        }
    }
}

/// What an escape stands for.
enum Escaped {
    Byte(u8),
    Set(ByteSet),
}

/// The length of `n}`, `n,}` or `n,m}`, which make of the `{` before them a quantifier.
fn quantifier_length(text: &[u8]) -> Option<usize> {
    let end = memchr::memchr(b'}', text)?;
    let inside = std::str::from_utf8(text.get(..end)?).ok()?;
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    (!least.is_empty() && digits(least) && digits(most)).then_some(end + 1)
}

fn posix(name: &str) -> Option<ByteSet> {
    let (name, inverted) = match name.strip_prefix('^') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let matches: fn(u8) -> bool = match name {
        "alnum" => |b| b.is_ascii_alphanumeric(),
        "alpha" => |b| b.is_ascii_alphabetic(),
        "ascii" => |b| b.is_ascii(),
        "blank" => |b| matches!(b, b' ' | b'\t'),
        "cntrl" => |b| b.is_ascii_control(),
        "digit" => |b| b.is_ascii_digit(),
        "graph" => |b| b.is_ascii_graphic(),
        "lower" => |b| b.is_ascii_lowercase(),
        "print" => |b| b == b' ' || b.is_ascii_graphic(),
        "punct" => |b| b.is_ascii_punctuation(),
        "space" => |b| SPACE.contains(b),
        "upper" => |b| b.is_ascii_uppercase(),
        "word" => |b| b.is_ascii_alphanumeric() || b == b'_',
        "xdigit" => |b| b.is_ascii_hexdigit(),
        _ => return None,
    };
    let bytes: Vec<u8> = (0..=u8::MAX).filter(|&b| matches(b)).collect();
    let set = ByteSet::of(&bytes);
    Some(if inverted { set.complement() } else { set })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn found(pattern: &str, value: &[u8]) -> bool {
        compile(pattern, Case::AsWritten).unwrap().regex.is_match(value)
    }

    #[test]
    fn the_traps_mean_what_pcre_means() {
        let cases: [(&str, &[u8], &[u8]); 25] = [
            // pattern, found in, not found in
            (r"^\<a\>$", b"<a>", b"a"),
            (r"^[a[b]$", b"[", b"c"),
            (r"^[a&&b]$", b"&", b"x"),
            (r"^[+--]$", b",", b"."),
            (r"^[!--]$", b"%", b"."),
            (r"^[~~a]$", b"~", b"b"),
            (r"^[\w-.]$", b"-", b"/"),
            (r"^[]a]$", b"]", b"b"),
            (r"^[^]a]$", b"b", b"]"),
            (r"^[a\]b]$", b"]", b"\\"),
            (r"^a{$", b"a{", b"a"),
            (r"^a{,2}$", b"a{,2}", b"aa"),
            (r"^a{2}$", b"aa", b"a"),
            (r"^a{1,}?b}$", b"aab}", b"b}"),
            (r"^\v$", b"\r", b" "),
            (r"^[\v]$", b"\x85", b" "),
            (r"^\h\x{41}\x42\x9$", b"\xa0AB\t", b"AB"),
            (r"^[[:alpha:][:^ascii:]]$", b"\xe9", b"1"),
            (r"^\Qa.b\E.$", b"a.bc", b"aXbc"),
            (r"^a(?#comment)b$", b"ab", b"a"),
            (r"(?i)^[^a]$", b"b", b"A"),
            (r"^\101\0$", b"A\0", b"A"),
            (r"a$", b"a", b"a\n"),
            ("^é+$", "é".as_bytes(), "éé".as_bytes()),
            (r"^[\s\S]$", b"\xff", b""),
        ];
        for (pattern, yes, no) in cases {
            assert!(
                found(pattern, yes),
                "{pattern} {yes:?} as {}",
                translate(pattern).unwrap()
            );
            assert!(
                !found(pattern, no),
                "{pattern} {no:?} as {}",
                translate(pattern).unwrap()
            );
        }
    }

    #[test]
    fn what_is_not_regular_is_refused_by_name() {
        for (pattern, word) in [
            ("(?=a)", "look-around"),
            ("(?<!a)b", "look-around"),
            (r"(a)\1", "back-references"),
            ("a++", "possessive"),
            ("a{1,2}+", "possessive"),
            ("(?>a)", "atomic"),
            ("(?x)a b", "flag"),
            (r"\x{263a}", "one byte"),
            (r"\y", "not supported"),
            ("[b-a]", "backwards"),
            ("[a", "never closed"),
            ("(a", "does not compile"),
            ("a\\", "backslash"),
        ] {
            let message = compile(pattern, Case::AsWritten).map(|_| ()).unwrap_err();
            assert!(message.contains(word), "{pattern}: {message}");
        }
    }

    #[test]
    fn names_are_matched_without_case_when_asked() {
        assert!(compile("^utm_", Case::Ignored).unwrap().regex.is_match(b"UTM_source"));
    }
}
