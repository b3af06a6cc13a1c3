//! `multipart/form-data` (RFC 7578) as arguments and files. Strict: what servers are known to read in more than one way is an
//! error, because a rule that saw one reading would protect from nothing.

use super::super::texts::{TextId, Texts};
use super::super::urlencoded::Field;

/// The most header lines that one part may have; browsers send two.
const MOST_HEADERS: usize = 16;

/// The longest boundary (RFC 2046 §5.1.1).
const LONGEST_BOUNDARY: usize = 70;

/// What a body holds.
#[derive(Debug, Default)]
pub(in super::super) struct Files {
    /// Field names and file names.
    pub(in super::super) files: Vec<Field>,
    /// Field names and lengths, in the order of the files.
    pub(in super::super) sizes: Vec<(TextId, usize)>,
    /// Field names and what the files hold.
    pub(in super::super) contents: Vec<Field>,
    /// Field names and header lines.
    pub(in super::super) headers: Vec<Field>,
}

/// Adds the fields of a body to a list that holds at most `most`, and its files to another.
pub(super) fn parse(
    content_type: &[u8],
    body: &[u8],
    most: usize,
    texts: &mut Texts,
    fields: &mut Vec<Field>,
    files: &mut Files,
) -> Result<(), String> {
    let mut delimiter = b"\r\n--".to_vec();
    delimiter.extend(boundary(content_type)?);
    // The first delimiter has no line before it.
    let Some(mut rest) = body.strip_prefix(delimiter.get(2..).unwrap_or_default()) else {
        return Err("Multipart: the body does not start with its boundary".to_owned());
    };
    loop {
        if let Some(after) = rest.strip_prefix(b"--") {
            return match after {
                b"" | b"\r\n" => Ok(()),
                _ => Err("Multipart: data after the last boundary".to_owned()),
            };
        }
        let Some(part) = rest.strip_prefix(b"\r\n") else {
            return Err("Multipart: a boundary is not a line".to_owned());
        };
        let Some(end) = memchr::memmem::find(part, &delimiter) else {
            return Err("Multipart: the last boundary is missing".to_owned());
        };
        if fields.len() + files.files.len() >= most {
            return Err(format!("Multipart: more than {most} parts"));
        }
        take_part(part.get(..end).unwrap_or_default(), texts, fields, files)?;
        rest = part.get(end + delimiter.len()..).unwrap_or_default();
    }
}

fn take_part(part: &[u8], texts: &mut Texts, fields: &mut Vec<Field>, files: &mut Files) -> Result<(), String> {
    let Some(end) = memchr::memmem::find(part, b"\r\n\r\n") else {
        return Err("Multipart: a part has no end of its headers".to_owned());
    };
    let (head, content) = (
        part.get(..end).unwrap_or_default(),
        part.get(end + 4..).unwrap_or_default(),
    );
    let lines = head_lines(head)?;
    let mut disposition = None;
    for line in &lines {
        let (name, value) = line;
        if name.eq_ignore_ascii_case(b"content-disposition") && disposition.replace(parameters(value)?).is_some() {
            return Err("Multipart: a part has two Content-Dispositions".to_owned());
        }
    }
    let Some(Disposition {
        name: Some(name),
        filename,
    }) = disposition
    else {
        return Err("Multipart: a part has no name".to_owned());
    };
    let name = texts.push(&name);
    for (header, value) in lines {
        let line = [header, b": ", value].concat();
        files.headers.push(Field {
            name,
            value: texts.push(&line),
        });
    }
    match filename {
        Some(filename) => {
            files.files.push(Field {
                name,
                value: texts.push(&filename),
            });
            files.sizes.push((name, content.len()));
        }
        None => fields.push(Field {
            name,
            value: texts.push(content),
        }),
    }
    Ok(())
}

/// A part's header line: name and value.
type Line<'a> = (&'a [u8], &'a [u8]);

/// Header names and values.
fn head_lines(head: &[u8]) -> Result<Vec<Line<'_>>, String> {
    let mut lines = Vec::new();
    for line in Lines(Some(head)) {
        if lines.len() >= MOST_HEADERS {
            return Err(format!("Multipart: a part has more than {MOST_HEADERS} header lines"));
        }
        if line.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
            return Err("Multipart: a control byte in a part's header".to_owned());
        }
        match memchr::memchr(b':', line) {
            Some(colon) if colon > 0 && !line.first().is_some_and(u8::is_ascii_whitespace) => {
                let (name, value) = line.split_at(colon);
                lines.push((name, value.get(1..).unwrap_or_default().trim_ascii()));
            }
            _ => return Err("Multipart: a part's header is folded or has no name".to_owned()),
        }
    }
    Ok(lines)
}

/// The lines of a text, split at CR LF only.
struct Lines<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.0?;
        match memchr::memmem::find(text, b"\r\n") {
            Some(end) => {
                self.0 = text.get(end + 2..);
                text.get(..end)
            }
            None => self.0.take(),
        }
    }
}

/// What a Content-Disposition says.
#[derive(Default)]
struct Disposition {
    name: Option<Vec<u8>>,
    filename: Option<Vec<u8>>,
}

fn parameters(value: &[u8]) -> Result<Disposition, String> {
    let (kind, mut rest) = split_at_byte(value, b';');
    if !kind.trim_ascii().eq_ignore_ascii_case(b"form-data") {
        return Err("Multipart: a part is not form-data".to_owned());
    }
    let mut disposition = Disposition::default();
    while !rest.trim_ascii().is_empty() {
        let (name, after) = split_at_byte(rest, b'=');
        let text;
        (text, rest) = parameter_value(after)?;
        let name = name.trim_ascii();
        let known = match name {
            _ if name.eq_ignore_ascii_case(b"name") => &mut disposition.name,
            // The extended form (RFC 5987) is not for forms (RFC 7578 §4.2), and servers disagree about which one counts.
            _ if name.eq_ignore_ascii_case(b"filename") || name.eq_ignore_ascii_case(b"filename*") => {
                &mut disposition.filename
            }
            _ => return Err("Multipart: an unknown parameter of a Content-Disposition".to_owned()),
        };
        if known.replace(text).is_some() {
            return Err("Multipart: a parameter of a Content-Disposition is repeated".to_owned());
        }
    }
    Ok(disposition)
}

/// A token, or a quoted text in which a backslash protects a quote, and what follows the semicolon after it.
fn parameter_value(text: &[u8]) -> Result<(Vec<u8>, &[u8]), String> {
    let text = text.trim_ascii_start();
    let Some(mut rest) = text.strip_prefix(b"\"") else {
        let (token, rest) = split_at_byte(text, b';');
        let token = token.trim_ascii();
        if token.is_empty() || token.iter().any(|b| matches!(b, b'"' | b'\'' | b' ' | b'\t')) {
            return Err("Multipart: a parameter's value is not quoted rightly".to_owned());
        }
        return Ok((token.to_vec(), rest));
    };
    let mut value = Vec::new();
    loop {
        match rest {
            [b'"', after @ ..] => {
                let (between, rest) = split_at_byte(after, b';');
                if !between.trim_ascii().is_empty() {
                    return Err("Multipart: text after a quoted value".to_owned());
                }
                return Ok((value, rest));
            }
            [b'\\', b'"', after @ ..] => {
                value.push(b'"');
                rest = after;
            }
            [byte, after @ ..] => {
                value.push(*byte);
                rest = after;
            }
            [] => return Err("Multipart: a quote is never closed".to_owned()),
        }
    }
}

/// The boundary that a Content-Type names.
fn boundary(content_type: &[u8]) -> Result<Vec<u8>, String> {
    let (_, mut rest) = split_at_byte(content_type, b';');
    let mut found = None;
    while !rest.trim_ascii().is_empty() {
        let (name, after) = split_at_byte(rest, b'=');
        let value;
        (value, rest) = parameter_value(after)?;
        if name.trim_ascii().eq_ignore_ascii_case(b"boundary") && found.replace(value).is_some() {
            return Err("Multipart: two boundaries".to_owned());
        }
    }
    match found {
        Some(found) if (1..=LONGEST_BOUNDARY).contains(&found.len()) && found.iter().all(is_boundary_byte) => Ok(found),
        _ => Err("Multipart: no valid boundary".to_owned()),
    }
}

/// RFC 2046 §5.1.1, without the space, which it allows inside only.
fn is_boundary_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(byte)
}

fn split_at_byte(text: &[u8], byte: u8) -> (&[u8], &[u8]) {
    match memchr::memchr(byte, text) {
        Some(at) => (
            text.get(..at).unwrap_or_default(),
            text.get(at + 1..).unwrap_or_default(),
        ),
        None => (text, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &[u8] = b"multipart/form-data; boundary=\"xY-1\"";

    fn parsed(content_type: &[u8], body: &str) -> (Result<(), String>, Vec<String>, Vec<String>) {
        let (mut texts, mut fields, mut files) = (Texts::default(), Vec::new(), Files::default());
        let body = body.replace('\n', "\r\n");
        let result = parse(content_type, body.as_bytes(), 4, &mut texts, &mut fields, &mut files);
        let shown = |field: &Field| {
            [field.name, field.value]
                .map(|id| String::from_utf8_lossy(texts.get(id)).into_owned())
                .join("=")
        };
        (
            result,
            fields.iter().map(shown).collect(),
            files.files.iter().chain(&files.headers).map(shown).collect(),
        )
    }

    #[test]
    fn fields_and_files_are_told_apart() {
        let (result, fields, files) = parsed(
            TYPE,
            "--xY-1\nContent-Disposition: form-data; name=\"a\"\n\nb\nc\n--xY-1\n\
             content-disposition: form-data; name=f; filename=\"x \\\"y\\\".png\"\nContent-Type: image/png\n\n\n--xY-1--\n",
        );
        assert_eq!(result, Ok(()));
        assert_eq!(fields, ["a=b\r\nc"]);
        assert_eq!(
            files,
            [
                "f=x \"y\".png",
                "a=Content-Disposition: form-data; name=\"a\"",
                "f=content-disposition: form-data; name=f; filename=\"x \\\"y\\\".png\"",
                "f=Content-Type: image/png"
            ]
        );
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_an_error() {
        let part = "Content-Disposition: form-data; name=a\n\nb";
        for (content_type, body) in [
            (&b"multipart/form-data"[..], format!("--x\n{part}\n--x--")),
            (
                b"multipart/form-data; boundary=x; boundary=y",
                format!("--x\n{part}\n--x--"),
            ),
            (b"multipart/form-data; boundary=x y", format!("--x y\n{part}\n--x y--")),
            (TYPE, format!("before\n--xY-1\n{part}\n--xY-1--")),
            (TYPE, format!("--xY-1\n{part}\n--xY-1--\nafter")),
            (TYPE, format!("--xY-1\n{part}\n--xY-1")),
            (TYPE, format!("--xY-1\n{part}")),
            (TYPE, "--xY-1\nContent-Disposition: form-data\n\nb\n--xY-1--".to_owned()),
            (
                TYPE,
                "--xY-1\nContent-Disposition: form-data; name=a; name=b\n\nb\n--xY-1--".to_owned(),
            ),
            (
                TYPE,
                "--xY-1\nContent-Disposition: form-data; name=\"a\n\nb\n--xY-1--".to_owned(),
            ),
            (
                TYPE,
                "--xY-1\nContent-Disposition: form-data; name='a'\n\nb\n--xY-1--".to_owned(),
            ),
            (
                TYPE,
                "--xY-1\nContent-Disposition: form-data;\n name=a\n\nb\n--xY-1--".to_owned(),
            ),
            (
                TYPE,
                "--xY-1\nContent-Disposition: attachment; name=a\n\nb\n--xY-1--".to_owned(),
            ),
            (TYPE, "--xY-1\nX: y\n\nb\n--xY-1--".to_owned()),
            (TYPE, format!("{}--xY-1--", format!("--xY-1\n{part}\n").repeat(5))),
        ] {
            assert!(parsed(content_type, &body).0.is_err(), "{body}");
        }
    }
}
