//! Patterns as rules write them (PCRE) to what the crate `regex` runs, in time linear in the value.
//!
//! Both languages look alike and differ in traps: `\<` is a word boundary in one and a `<` in the other, `[a[b]` nests sets in
//! one, `&&`, `--` and `~~` in a set are operators, a `{` that starts no quantifier is a literal in one and an error in the
//! other, `\v` is one byte or five. So a pattern is read as PCRE reads it and written out anew: sets are computed to the bytes
//! that they hold.
//!
//! A few patterns need what cannot be said in linear time: look-around, back-references, atomic groups, possessive quantifiers.
//! They are written out twice, once exactly, for an engine that goes back and has a limit of steps, and once loosely, without
//! those parts, so that everything that the exact one finds the loose one finds, too. The loose one runs first; the exact one
//! only where that says yes.

use std::fmt::Write as _;

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::Hir;

use crate::bytes::{ByteSet, SPACE, hex_digit};

/// The most that one compiled pattern may take, in bytes.
const COMPILED_LIMIT: usize = 16 << 20;

/// How many steps back a pattern may take in one value that needs to go back.
const MOST_STEPS: usize = 100_000;

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern {
    /// What runs; where there is an exact one as well, what runs before it.
    pub regex: Regex,
    /// What decides, where the pattern needs more than linear time.
    pub exact: Option<fancy_regex::Regex>,
    /// What `regex` was made of, for analysis.
    pub(crate) syntax: Hir,
}

impl Pattern {
    /// Whether it is found in a value; not where it reaches its limit of steps.
    pub(crate) fn is_found(&self, value: &[u8]) -> bool {
        let exactly = |exact: &fancy_regex::Regex| exact.is_match(value).unwrap_or(false);
        self.regex.is_match(value) && self.exact.as_ref().is_none_or(exactly)
    }
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
        .parse(&translated.loose)
        .map_err(|error| wrong(&error))?;
    let regex = RegexBuilder::new(&translated.loose)
        .unicode(false)
        .dot_matches_new_line(true)
        .case_insensitive(case == Case::Ignored)
        .size_limit(COMPILED_LIMIT)
        .build()
        .map_err(|error| wrong(&error))?;
    let exact = match translated.needs {
        Needs::LinearTime => None,
        Needs::GoingBack => Some(
            fancy_regex::RegexBuilder::new(&translated.exact)
                .bytes_mode(fancy_regex::BytesMode::Ascii)
                .dot_matches_new_line(true)
                .case_insensitive(case == Case::Ignored)
                .backtrack_limit(MOST_STEPS)
                .delegate_size_limit(COMPILED_LIMIT)
                .build()
                .map_err(|error| wrong(&error))?,
        ),
    };
    Ok(Pattern { regex, exact, syntax })
}

/// Compiles a pattern for names and picks of rules, where linear time has to do.
///
/// # Errors
/// When it is not a pattern, or needs more.
pub fn compile_linear(pattern: &str, case: Case) -> Result<Regex, String> {
    let compiled = compile(pattern, case)?;
    match compiled.exact {
        None => Ok(compiled.regex),
        Some(_) => Err(format!(
            "the pattern \"{pattern}\": look-around, back-references and possessive quantifiers work in @rx only"
        )),
    }
}

/// A pattern in the syntax of the crate `regex`, and where it needs more, in that of `fancy-regex`.
#[derive(Debug)]
pub(super) struct Translated {
    /// The same language, or a larger one.
    loose: String,
    /// The same language.
    exact: String,
    needs: Needs,
}

/// What it takes to run a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    LinearTime,
    GoingBack,
}

/// Reads a pattern as PCRE does and writes it out anew.
pub(super) fn translate(pattern: &str) -> Result<Translated, String> {
    let mut translator = Translator {
        rest: pattern.as_bytes(),
        out: Out {
            translated: Translated {
                loose: String::with_capacity(pattern.len() + 16),
                exact: String::with_capacity(pattern.len() + 16),
                needs: Needs::LinearTime,
            },
            hidden: 0,
        },
        groups: Vec::new(),
    };
    while let Some(byte) = translator.next() {
        translator.item(byte)?;
    }
    Ok(translator.out.translated)
}

/// Both ways of writing a pattern.
struct Out {
    translated: Translated,
    /// In how many groups that the loose one leaves out.
    hidden: usize,
}

impl Out {
    fn push(&mut self, c: char) {
        self.translated.exact.push(c);
        if self.hidden == 0 {
            self.translated.loose.push(c);
        }
    }

    fn push_str(&mut self, text: &str) {
        text.chars().for_each(|c| self.push(c));
    }

    /// What only the exact one can say, and what stands for it in the loose one.
    fn push_exact(&mut self, exact: &str, loose: &str) {
        self.translated.needs = Needs::GoingBack;
        self.translated.exact.push_str(exact);
        if self.hidden == 0 {
            self.translated.loose.push_str(loose);
        }
    }
}

impl std::fmt::Write for Out {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.push_str(text);
        Ok(())
    }
}

/// What a group is to the loose pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Shown,
    /// A look around, of which nothing is left.
    Hidden,
}

struct Translator<'a> {
    rest: &'a [u8],
    out: Out,
    /// The groups that are open.
    groups: Vec<Group>,
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
            b'!'..=b'~' => {
                self.out.push('\\');
                self.out.push(byte as char);
            }
            _ => self.hex(byte),
        }
    }

    fn hex(&mut self, byte: u8) {
        // Writing to a string cannot fail.
        let _ = write!(self.out, "\\x{byte:02x}");
    }

    fn set(&mut self, set: ByteSet) {
        self.write_set(set, "[");
    }

    fn write_set(&mut self, set: ByteSet, open: &str) {
        if set.is_empty() {
            // No byte, or any.
            self.out
                .push_str(if open == "[" { "[^\\x00-\\xff]" } else { "[\\x00-\\xff]" });
            return;
        }
        self.out.push_str(open);
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
                self.write_set(set, if inverted { "[^" } else { "[" });
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
                        self.after_quantifier();
                    }
                    None => self.out.push_str("\\{"),
                }
                Ok(())
            }
            b'*' | b'+' | b'?' => {
                self.out.push(byte as char);
                self.after_quantifier();
                Ok(())
            }
            b')' => {
                if self.groups.pop() == Some(Group::Hidden) {
                    self.out.push_exact(")", "");
                    self.out.hidden = self.out.hidden.saturating_sub(1);
                } else {
                    self.out.push(')');
                }
                Ok(())
            }
            b'^' | b'$' | b'.' | b'|' => {
                self.out.push(byte as char);
                Ok(())
            }
            _ => {
                self.literal(byte);
                Ok(())
            }
        }
    }

    /// After a quantifier: a `?` makes it lazy, a `+` possessive.
    fn after_quantifier(&mut self) {
        if self.skip(b"+") {
            self.out.push_exact("+", "");
        } else if self.skip(b"?") {
            self.out.push('?');
        }
    }

    fn group(&mut self) -> Result<(), String> {
        if self.skip(b"?#") {
            return match self.until(b")") {
                Some(_) => Ok(()),
                None => Err("the comment (?# is never closed".to_owned()),
            };
        }
        for start in ["?<=", "?<!", "?=", "?!"] {
            if self.skip(start.as_bytes()) {
                // Nothing at all stands in the loose pattern where it looks around, but a quantifier may follow.
                self.out.push_exact(&format!("({start}"), "(?:)");
                self.out.hidden += 1;
                self.groups.push(Group::Hidden);
                return Ok(());
            }
        }
        if self.skip(b"?>") {
            self.out.push_exact("(?>", "(?:");
            self.groups.push(Group::Shown);
            return Ok(());
        }
        for (start, what) in [
            (&b"?|"[..], "branch resets (?|"),
            (b"?R", "recursion (?R"),
            (b"?(", "conditions (?("),
            (b"*", "verbs (*"),
        ] {
            if self.rest.starts_with(start) {
                return Err(format!("{what} are not supported"));
            }
        }
        self.out.push('(');
        self.groups.push(Group::Shown);
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
            if byte == b')' {
                self.groups.pop();
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
            b'b' | b'B' | b'A' | b'z' => {
                self.out.push('\\');
                self.out.push(byte as char);
            }
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
                let more = self.rest.iter().take_while(|digit| digit.is_ascii_digit()).count();
                let (digits, rest) = self.rest.split_at(more);
                let number = format!("\\{}{}", byte as char, String::from_utf8_lossy(digits));
                self.rest = rest;
                // A group of its own, so that a digit after it does not become a part of the number.
                self.out.push_exact(&format!("(?:{number})"), "(?s:.*)");
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

    /// Both ways of writing a pattern must agree, where one is enough.
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
                translate(pattern).unwrap().exact
            );
            assert!(
                !found(pattern, no),
                "{pattern} {no:?} as {}",
                translate(pattern).unwrap().exact
            );
        }
    }

    #[test]
    fn what_needs_to_go_back_is_exact_and_its_loose_form_finds_more() {
        type Values = &'static [&'static [u8]];
        let cases: [(&str, Values, Values); 9] = [
            // pattern, found in, not found in
            (r"<\?(?!xml)", &[b"<?php", b"<?"], &[b"<?xml"]),
            (r"a(?=b)", &[b"ab"], &[b"a", b"ba"]),
            (r"(?<!x)y", &[b"y", b"zy"], &[b"xy"]),
            (r"(?<=x)y", &[b"xy"], &[b"y"]),
            (r"(?i)\b(\w+)=\1\b", &[b"Abc=aBC", b"\xff a=a \xff"], &[b"abc=abd"]),
            (r"^a++ab|^\s*+c", &[b" \x0bc"], &[b"aab"]),
            (r"^a{1,2}+a$", &[b"aaa"], &[b"aa"]),
            (r"^(?>a|ab)c", &[b"ac"], &[b"abc"]),
            (r"(a)(?:\1)0", &[b"aa0"], &[b"ab0"]),
        ];
        for (pattern, yes, no) in cases {
            let compiled = compile(pattern, Case::AsWritten).unwrap();
            let exact = compiled.exact.unwrap();
            for value in yes {
                assert!(exact.is_match(*value).unwrap(), "{pattern} {value:?}");
                assert!(compiled.regex.is_match(value), "{pattern} {value:?}");
            }
            for value in no {
                assert!(!exact.is_match(*value).unwrap(), "{pattern} {value:?}");
            }
            assert!(compile_linear(pattern, Case::AsWritten).is_err());
        }
    }

    #[test]
    fn what_cannot_be_translated_is_refused_by_name() {
        for (pattern, word) in [
            ("(?|a)", "branch resets"),
            ("a(?R)", "recursion"),
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
