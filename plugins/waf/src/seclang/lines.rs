//! Physical lines to logical ones: continuations joined, comments and empty lines dropped.

use std::sync::Arc;

use crate::problem::{Place, Problems};

/// A logical line and the number of its first physical one.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) place: Place,
    pub(super) text: String,
}

/// Splits a file. A backslash at the end of a line continues it; a `#` at the start of one makes it a comment.
pub(super) fn split(file: &Arc<str>, text: &[u8], problems: &mut Problems) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut open: Option<Line> = None;
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    for (number, physical) in (1u32..).zip(text.split(|&b| b == b'\n')) {
        let place = Place {
            file: file.clone(),
            line: number,
        };
        let Ok(physical) = std::str::from_utf8(physical) else {
            problems.add(&place, "not UTF-8; write other bytes as \\xHH in a pattern");
            open = None;
            continue;
        };
        let physical = physical.strip_suffix('\r').unwrap_or(physical);
        let (part, continues) = match physical.strip_suffix('\\') {
            Some(part) => (part, true),
            None => (physical, false),
        };
        if open.is_none() {
            let start = part.trim_start();
            if start.is_empty() && !continues || start.starts_with('#') {
                continue;
            }
        }
        let line = open.get_or_insert_with(|| Line {
            place,
            text: String::new(),
        });
        line.text.push_str(part);
        if !continues {
            lines.extend(open.take());
        }
    }
    lines.extend(open);
    lines.retain(|line| !line.text.trim().is_empty());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &[u8]) -> Vec<(u32, String)> {
        let mut problems = Problems::default();
        let lines = split(&"f".into(), text, &mut problems);
        assert!(problems.0.is_empty(), "{problems}");
        lines.into_iter().map(|line| (line.place.line, line.text)).collect()
    }

    #[test]
    fn continued_lines_are_joined() {
        assert_eq!(
            texts(b"a \\\r\n  b\r\n\n  # c \\\nd"),
            [(1, "a   b".into()), (5, "d".into())]
        );
    }

    #[test]
    fn a_comment_never_swallows_the_next_line() {
        assert_eq!(texts(b"# note \\\nSecMarker A"), [(2, "SecMarker A".into())]);
    }

    #[test]
    fn a_continuation_at_the_end_of_the_file_is_the_end_of_the_line() {
        assert_eq!(texts(b"a \\"), [(1, "a ".into())]);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_reported() {
        let mut problems = Problems::default();
        split(&"f".into(), b"ok\n\xff", &mut problems);
        assert_eq!(problems.0.len(), 1);
        assert_eq!(problems.0[0].place.line, 2);
    }
}
