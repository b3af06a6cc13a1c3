//! `multipart/form-data` (RFC 7578) as arguments and files.
//!
//! Servers read malformed bodies in different ways, so two things are told apart. What has one likely reading is read, and a
//! [`Flag`] says what was odd about it; rules decide (`MULTIPART_STRICT_ERROR`). What could be read in more than one way is an
//! error, because rules that saw one reading would protect from nothing.

mod boundary;
mod disposition;
mod flags;

use disposition::Disposition;
pub(in crate::evaluate) use flags::{Flag, Flags};
use memchr::{memchr, memmem};
use serde::{Deserialize, Serialize};

use crate::evaluate::texts::{TextId, Texts};
use crate::evaluate::urlencoded::Field;

/// The most header lines that one part may have; browsers send two.
const MOST_HEADERS: usize = 16;

/// The longest header line of a part, in bytes.
const LONGEST_HEADER: usize = 4096;

/// What a body holds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::evaluate) struct Files {
    /// Field names and file names.
    pub(in crate::evaluate) files: Vec<Field>,
    /// Field names and lengths, in the order of the files.
    pub(in crate::evaluate) sizes: Vec<(TextId, usize)>,
    /// Field names and what the files hold.
    pub(in crate::evaluate) contents: Vec<Field>,
    /// Field names and header lines.
    pub(in crate::evaluate) headers: Vec<Field>,
    /// What was odd.
    pub(in crate::evaluate) flags: Flags,
}

/// How much is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Fields and files.
    pub(super) parts: usize,
    /// Files.
    pub(super) files: usize,
    /// Bytes that are not in files.
    pub(super) no_files: usize,
    pub(super) contents: Contents,
}

/// Whether rules look at what files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Contents {
    Wanted,
    Unwanted,
}

/// Adds the fields of a body to a list, and its files to another.
pub(super) fn parse(
    content_type: &[u8],
    body: &[u8],
    limits: Limits,
    texts: &mut Texts,
    fields: &mut Vec<Field>,
    files: &mut Files,
) -> Result<(), String> {
    let result = boundary::of(content_type, &mut files.flags).and_then(|boundary| {
        let mut reader = Reader {
            delimiter: [b"--", boundary].concat(),
            quoted: [b"--\"", boundary, b"\""].concat(),
            body,
            limits,
            no_files: 0,
            texts,
            fields,
            files,
        };
        reader.read()
    });
    result.map_err(|message| {
        files.flags.set(Flag::Error);
        format!("Multipart: {message}")
    })
}

struct Reader<'a> {
    /// `--` and the boundary.
    delimiter: Vec<u8>,
    /// The same with quotes around the boundary, which some servers take for it.
    quoted: Vec<u8>,
    body: &'a [u8],
    limits: Limits,
    /// Bytes so far that are not in files.
    no_files: usize,
    texts: &'a mut Texts,
    fields: &'a mut Vec<Field>,
    files: &'a mut Files,
}

/// What the lines that come now belong to.
enum State<'a> {
    /// Nothing: no boundary has come.
    Before,
    /// The headers of a part.
    Headers(Vec<Header<'a>>),
    /// The data of a part, which start here.
    Data { part: Part, start: usize },
}

/// A header of a part: its name and its value, unfolded.
struct Header<'a> {
    name: &'a [u8],
    value: Vec<u8>,
}

/// A part whose headers have been read.
struct Part {
    name: TextId,
    filename: Option<TextId>,
}

impl<'a> Reader<'a> {
    fn read(&mut self) -> Result<(), String> {
        let finder = memmem::Finder::new(&self.delimiter).into_owned();
        let mut state = State::Before;
        let mut at = 0;
        while at < self.body.len() {
            let rest = self.body.get(at..).unwrap_or_default();
            let next = memchr(b'\n', rest).map_or(self.body.len(), |end| at + end + 1);
            let line = self.body.get(at..next).unwrap_or_default();
            if let Some(after) = line.strip_prefix(self.delimiter.as_slice()) {
                let (is_last, end) = match after.strip_prefix(b"--") {
                    Some(end) => (true, end),
                    None => (false, after),
                };
                match end {
                    b"\r\n" => self.files.flags.set(Flag::CrlfLine),
                    b"\n" => self.files.flags.set(Flag::LfLine),
                    b"" if is_last => {}
                    _ => return Err("a line starts with the boundary and goes on".to_owned()),
                }
                self.finish(state, at)?;
                self.files.flags.boundary_matched();
                if is_last {
                    if next < self.body.len() {
                        self.files.flags.set(Flag::DataAfter);
                    }
                    return Ok(());
                }
                state = State::Headers(Vec::new());
            } else {
                self.look_for_boundary(line, &finder)?;
                state = self.line(state, line, next)?;
            }
            at = next;
        }
        // What has come of the last part is worth looking at.
        let message = match &state {
            State::Before => "there is no boundary in the body",
            State::Headers(_) | State::Data { .. } => "the last boundary is missing",
        };
        self.finish(state, self.body.len())?;
        Err(message.to_owned())
    }

    /// A line that is no boundary, but that a server could take for one.
    fn look_for_boundary(&mut self, line: &[u8], finder: &memmem::Finder<'_>) -> Result<(), String> {
        if let Some(after) = line.strip_prefix(b"--") {
            if line.starts_with(&self.quoted) {
                return Err("quotes stand around a boundary".to_owned());
            }
            let boundary = self.delimiter.get(2..).unwrap_or_default();
            if after.first().is_some_and(u8::is_ascii_whitespace) && after.trim_ascii_start().starts_with(boundary) {
                return Err("white space stands before a boundary".to_owned());
            }
            self.files.flags.boundary_unmatched();
        } else if finder.find(line).is_some() {
            self.files.flags.boundary_unmatched();
        }
        Ok(())
    }

    /// `next` is where the line after this one starts.
    fn line(&mut self, state: State<'a>, line: &'a [u8], next: usize) -> Result<State<'a>, String> {
        match state {
            State::Before => {
                self.files.flags.set(Flag::DataBefore);
                Ok(State::Before)
            }
            State::Data { .. } => Ok(state),
            State::Headers(mut headers) => {
                self.no_files += line.len();
                let text = self.without_end(line);
                if text.is_empty() {
                    let part = self.part(&headers)?;
                    return Ok(State::Data { part, start: next });
                }
                self.header(text, &mut headers)?;
                Ok(State::Headers(headers))
            }
        }
    }

    /// A header line without CR LF or LF, which is noted.
    fn without_end<'l>(&mut self, line: &'l [u8]) -> &'l [u8] {
        match line {
            [text @ .., b'\r', b'\n'] => {
                self.files.flags.set(Flag::CrlfLine);
                text
            }
            [text @ .., b'\n'] => {
                self.files.flags.set(Flag::LfLine);
                text
            }
            text => text,
        }
    }

    fn header(&mut self, line: &'a [u8], headers: &mut Vec<Header<'a>>) -> Result<(), String> {
        if line.len() > LONGEST_HEADER {
            return Err(format!("a header of a part is longer than {LONGEST_HEADER} bytes"));
        }
        if line.contains(&0) {
            return Err("a NUL stands in a part's header".to_owned());
        }
        if line.first().is_some_and(|&byte| crate::bytes::is_space(byte)) {
            self.files.flags.set(Flag::HeaderFolding);
            let (folding, text) = split_at(line, |&byte| !crate::bytes::is_space(byte));
            if folding.iter().any(|byte| !matches!(byte, b' ' | b'\t')) {
                self.files.flags.set(Flag::InvalidHeaderFolding);
            }
            let Some(last) = headers.last_mut().filter(|last| last.value.len() < LONGEST_HEADER) else {
                return Err("a header of a part is folded and has no start".to_owned());
            };
            last.value.push(b' ');
            last.value.extend_from_slice(text);
            return Ok(());
        }
        let (name, value) = split_at(line, |&byte| byte == b':');
        if name.is_empty() || value.is_empty() {
            return Err("a header of a part has no name or no colon".to_owned());
        }
        if headers.iter().any(|header| header.name.eq_ignore_ascii_case(name)) {
            return Err("a part has a header twice".to_owned());
        }
        if headers.len() >= MOST_HEADERS {
            return Err(format!("a part has more than {MOST_HEADERS} headers"));
        }
        let value = value.get(1..).unwrap_or_default().trim_ascii().to_vec();
        headers.push(Header { name, value });
        Ok(())
    }

    /// What the headers of a part say.
    fn part(&mut self, headers: &[Header<'_>]) -> Result<Part, String> {
        let disposition = headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(b"content-disposition"))
            .ok_or("a part has no Content-Disposition")?;
        let Disposition { name, filename } = Disposition::parse(&disposition.value, &mut self.files.flags)?;
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Err("a part has no name".to_owned());
        };
        if self.fields.len() + self.files.files.len() >= self.limits.parts {
            return Err(format!("more than {} parts", self.limits.parts));
        }
        let name = self.texts.push(&name);
        for header in headers {
            let line = [header.name, b": ", &header.value].concat();
            let value = self.texts.push(&line);
            self.files.headers.push(Field { name, value });
        }
        // A browser sends an empty file name where no file was chosen.
        let filename = filename.filter(|filename| !filename.is_empty());
        let filename = filename.map(|filename| self.texts.push(&filename));
        Ok(Part { name, filename })
    }

    /// A part ends where the next boundary stands.
    fn finish(&mut self, state: State<'_>, end: usize) -> Result<(), String> {
        let (part, start) = match state {
            State::Before => return Ok(()),
            State::Headers(_) => {
                self.files.flags.set(Flag::InvalidPart);
                return Ok(());
            }
            State::Data { part, start } => (part, start),
        };
        let data = self.body.get(start..end).unwrap_or_default();
        let data = match data {
            [data @ .., b'\r', b'\n'] | [data @ .., b'\n'] if end < self.body.len() || data.is_empty() => data,
            data => data,
        };
        match part.filename {
            None => {
                self.no_files += data.len();
                if self.no_files > self.limits.no_files {
                    return Err(format!("more than {} bytes are not in files", self.limits.no_files));
                }
                let value = self.texts.push(data);
                self.fields.push(Field { name: part.name, value });
            }
            Some(_) if self.files.files.len() >= self.limits.files => self.files.flags.set(Flag::FileLimitExceeded),
            Some(filename) => {
                self.files.files.push(Field {
                    name: part.name,
                    value: filename,
                });
                self.files.sizes.push((part.name, data.len()));
                if self.limits.contents == Contents::Wanted {
                    let value = self.texts.push(data);
                    self.files.contents.push(Field { name: part.name, value });
                }
            }
        }
        Ok(())
    }
}

/// What comes before the first byte of a kind, and the rest.
fn split_at(text: &[u8], is_end: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(is_end).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TYPE: &[u8] = b"multipart/form-data; boundary=xY-1";
    const LIMITS: Limits = Limits {
        parts: 4,
        files: 2,
        no_files: 1000,
        contents: Contents::Wanted,
    };

    struct Parsed {
        result: Result<(), String>,
        fields: Vec<String>,
        files: Vec<String>,
        headers: Vec<String>,
        flags: Flags,
    }

    fn parsed(content_type: &[u8], body: &[u8]) -> Parsed {
        let (mut texts, mut fields, mut files) = (Texts::default(), Vec::new(), Files::default());
        let result = parse(content_type, body, LIMITS, &mut texts, &mut fields, &mut files);
        let shown = |field: &Field| {
            [field.name, field.value]
                .map(|id| String::from_utf8_lossy(texts.get(id)).into_owned())
                .join("=")
        };
        Parsed {
            result,
            fields: fields.iter().map(shown).collect(),
            files: files.files.iter().chain(&files.contents).map(shown).collect(),
            headers: files.headers.iter().map(shown).collect(),
            flags: files.flags,
        }
    }

    fn crlf(body: &str) -> Vec<u8> {
        body.replace('\n', "\r\n").into_bytes()
    }

    #[test]
    fn fields_and_files_are_told_apart() {
        let found = parsed(
            TYPE,
            &crlf(
                "--xY-1\nContent-Disposition: form-data; name=\"a\"\n\nb\nc\n--xY-1\n\
                 content-disposition: form-data; name=f; filename=\"x \\\"y\\\".png\"\nContent-Type: image/png\n\n1\n2\n\n\
                 --xY-1\nContent-Disposition: form-data; name=\"none\"; filename=\"\"\n\n\n--xY-1--\n",
            ),
        );
        assert_eq!(found.result, Ok(()));
        assert_eq!(found.fields, ["a=b\r\nc", "none="]);
        assert_eq!(found.files, ["f=x \"y\".png", "f=1\r\n2\r\n"]);
        assert_eq!(
            found.headers[..3],
            [
                "a=Content-Disposition: form-data; name=\"a\"",
                "f=content-disposition: form-data; name=f; filename=\"x \\\"y\\\".png\"",
                "f=Content-Type: image/png",
            ]
        );
        assert!(!found.flags.is_odd());
        assert_eq!(found.flags.unmatched_boundary(), 0);
    }

    #[test]
    fn what_is_odd_is_read_and_flagged() {
        let part = "Content-Disposition: form-data; name=a\n\nb";
        let lf = |text: &str| text.as_bytes().to_vec();
        for (content_type, body, flag) in [
            (TYPE, lf(&format!("--xY-1\n{part}\n--xY-1--\n")), Flag::LfLine),
            (
                TYPE,
                crlf(&format!("before\n--xY-1\n{part}\n--xY-1--")),
                Flag::DataBefore,
            ),
            (TYPE, crlf(&format!("--xY-1\n{part}\n--xY-1--\nafter")), Flag::DataAfter),
            (
                TYPE,
                crlf("--xY-1\nContent-Disposition: form-data;\n name=a\n\nb\n--xY-1--"),
                Flag::HeaderFolding,
            ),
            (
                TYPE,
                crlf("--xY-1\nContent-Disposition: form-data;\n\x0b name=a\n\nb\n--xY-1--"),
                Flag::InvalidHeaderFolding,
            ),
            (
                TYPE,
                crlf("--xY-1\nContent-Disposition: form-data; name='a'\n\nb\n--xY-1--"),
                Flag::InvalidQuoting,
            ),
            (
                TYPE,
                crlf(&format!("--xY-1\n{part}\n--xY-1\nX: y\n--xY-1--")),
                Flag::InvalidPart,
            ),
            (
                b"multipart/form-data; boundary=\"xY-1\"",
                crlf(&format!("--xY-1\n{part}\n--xY-1--")),
                Flag::BoundaryQuoted,
            ),
            (
                b"multipart/form-data; boundary= xY-1",
                crlf(&format!("--xY-1\n{part}\n--xY-1--")),
                Flag::BoundaryWhitespace,
            ),
            (
                b"multipart/form-data boundary=xY-1",
                crlf(&format!("--xY-1\n{part}\n--xY-1--")),
                Flag::MissingSemicolon,
            ),
        ] {
            let found = parsed(content_type, &body);
            assert_eq!(
                (found.result, found.fields.as_slice()),
                (Ok(()), &["a=b".to_owned()][..]),
                "{flag:?}"
            );
            assert!(found.flags.has(flag) && found.flags.is_odd(), "{flag:?}");
        }
    }

    #[test]
    fn lines_that_look_like_boundaries_are_told() {
        let around = |data: &str| {
            crlf(&format!(
                "--xY-1\nContent-Disposition: form-data; name=a\n\n{data}\n--xY-1--"
            ))
        };
        for data in ["--other", "text --xY-1 text"] {
            let found = parsed(TYPE, &around(data));
            assert_eq!(found.result, Ok(()));
            assert_eq!(found.flags.unmatched_boundary(), 2, "{data}: a real one follows");
        }
        let found = parsed(TYPE, &crlf("--other\ntext"));
        assert_eq!(found.flags.unmatched_boundary(), 1);
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_an_error() {
        let part = "Content-Disposition: form-data; name=a\n\nb";
        for (content_type, body, word) in [
            (
                &b"multipart/form-data"[..],
                format!("--x\n{part}\n--x--"),
                "no boundary",
            ),
            (
                b"multipart/form-data; boundary=x; boundary=y",
                format!("--x\n{part}\n--x--"),
                "two boundaries",
            ),
            (b"multipart/form-data; boundary=x\"y", String::new(), "quotes"),
            (b"multipart/form-data; boundary=x@y", String::new(), "bytes"),
            (b"multipart/mixed; boundary=x", String::new(), "not multipart/form-data"),
            (TYPE, format!("--xY-1\n{part}\n--xY-1x\n--xY-1--"), "goes on"),
            (TYPE, format!("--xY-1\n{part}\n-- xY-1\n--xY-1--"), "white space"),
            (TYPE, format!("--xY-1\n{part}\n--\"xY-1\"\n--xY-1--"), "quotes"),
            (TYPE, format!("--xY-1\n{part}\n--xY-1"), "goes on"),
            (TYPE, format!("--xY-1\n{part}"), "last boundary"),
            (TYPE, "nothing".to_owned(), "no boundary"),
            (
                TYPE,
                "--xY-1\nContent-Disposition: form-data\n\nb\n--xY-1--".to_owned(),
                "no name",
            ),
            (
                TYPE,
                "--xY-1\nContent-Disposition: form-data; name=a; name=b\n\nb\n--xY-1--".to_owned(),
                "repeated",
            ),
            (
                TYPE,
                "--xY-1\nContent-Disposition: form-data; name=\"a\n\nb\n--xY-1--".to_owned(),
                "never closed",
            ),
            (
                TYPE,
                "--xY-1\nContent-Disposition: form-data; name=\"a\"b\n\nb\n--xY-1--".to_owned(),
                "follows",
            ),
            (
                TYPE,
                "--xY-1\nContent-Disposition: form-data; x=y\n\nb\n--xY-1--".to_owned(),
                "unknown",
            ),
            (
                TYPE,
                "--xY-1\nContent-Disposition: attachment; name=a\n\nb\n--xY-1--".to_owned(),
                "not form-data",
            ),
            (TYPE, "--xY-1\nX: y\n\nb\n--xY-1--".to_owned(), "no Content-Disposition"),
            (TYPE, "--xY-1\nX\n\nb\n--xY-1--".to_owned(), "no colon"),
            (TYPE, "--xY-1\nX: y\nx: z\n\nb\n--xY-1--".to_owned(), "twice"),
            (TYPE, "--xY-1\n X: y\n\nb\n--xY-1--".to_owned(), "no start"),
            (
                TYPE,
                format!("{}--xY-1--", format!("--xY-1\n{part}\n").repeat(5)),
                "more than 4",
            ),
            (
                TYPE,
                format!("--xY-1\n{part}{}\n--xY-1--", "b".repeat(1000)),
                "not in files",
            ),
        ] {
            let found = parsed(content_type, &crlf(&body));
            let message = found.result.unwrap_err();
            assert!(message.contains(word), "{body}: {message}");
            assert!(found.flags.has(Flag::Error) && found.flags.is_odd());
        }
    }

    #[test]
    fn files_beyond_the_limit_are_flagged() {
        let file = "--xY-1\nContent-Disposition: form-data; name=f; filename=x\n\n1\n";
        let found = parsed(TYPE, &crlf(&format!("{}--xY-1--", file.repeat(3))));
        assert_eq!(found.result, Ok(()));
        assert_eq!(found.files.len(), 4);
        assert!(found.flags.has(Flag::FileLimitExceeded));
    }

    #[test]
    fn the_start_of_a_part_is_read_where_the_rest_is_missing() {
        let found = parsed(TYPE, &crlf("--xY-1\nContent-Disposition: form-data; name=a\n\nattack"));
        assert!(found.result.is_err());
        assert_eq!(found.fields, ["a=attack"]);
    }
}
