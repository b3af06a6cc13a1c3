//! Everything that is wrong with a file, shown as compilers show it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// All problems of one configuration, with the text that they are about.
#[derive(Debug, Clone)]
pub struct Report {
    source: PathBuf,
    text: String,
    problems: Vec<Problem>,
    /// Problems that were found but not kept.
    omitted: usize,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The bytes of the file that are wrong; `None` when the file itself is.
    pub span: Option<Range<usize>>,
    /// What is wrong.
    pub message: String,
    /// What would be right, shown at the caret.
    pub label: String,
    /// More that helps, below.
    pub help: Option<String>,
}

/// Whether a report is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// For files, pipes and tests.
    Plain,
    /// ANSI colours, for terminals.
    Coloured,
}

/// A line and a column, both counted from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Report {
    /// Problems are shown in the order of the file.
    #[must_use]
    pub(super) fn new(source: &Path, text: &str, problems: Problems) -> Self {
        let (mut problems, omitted) = (problems.noted.into_inner(), problems.omitted.get());
        problems.sort_by_key(|problem| problem.span.as_ref().map_or(0, |span| span.start));
        problems.dedup();
        Self {
            source: source.to_owned(),
            text: text.to_owned(),
            problems,
            omitted,
        }
    }

    /// A report about the file as a whole.
    #[must_use]
    pub(super) fn whole_file(source: &Path, message: impl Into<String>, help: impl Into<String>) -> Self {
        let problems = Problems::default();
        problems.push(Problem {
            span: None,
            message: message.into(),
            label: String::new(),
            help: Some(help.into()),
        });
        Self::new(source, "", problems)
    }

    /// The problems, in the order of the file. Never empty.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Where a problem begins.
    #[must_use]
    pub fn position(&self, problem: &Problem) -> Option<Position> {
        problem
            .span
            .as_ref()
            .map(|span| Line::around(&self.text, span.start).position)
    }

    /// The whole report, ending in a line that counts the problems.
    #[must_use]
    pub fn render(&self, style: Style) -> String {
        let mut out = String::new();
        for problem in &self.problems {
            self.render_problem(&mut out, problem, &Paint::of(style));
            out.push('\n');
        }
        if self.omitted > 0 {
            let _ = writeln!(out, "{} more are not shown\n", self.omitted);
        }
        let count = self.problems.len() + self.omitted;
        let noun = if count == 1 { "error" } else { "errors" };
        let _ = writeln!(out, "{}: {count} {noun}", self.source.display());
        out
    }

    fn render_problem(&self, out: &mut String, problem: &Problem, paint: &Paint) {
        let Paint {
            error,
            frame,
            bold,
            reset,
        } = paint;
        let _ = writeln!(out, "{error}error{reset}{bold}: {}{reset}", problem.message);
        let mut gutter = String::new();
        match &problem.span {
            None => {
                let _ = writeln!(out, "{frame}-->{reset} {}", self.source.display());
            }
            Some(span) => {
                let line = Line::around(&self.text, span.start);
                let Position { line: number, column } = line.position;
                gutter = " ".repeat(number.to_string().len());
                let _ = writeln!(
                    out,
                    "{gutter}{frame}-->{reset} {}:{number}:{column}",
                    self.source.display()
                );
                let _ = writeln!(out, "{gutter} {frame}|{reset}");
                let window = line.window(span);
                let _ = writeln!(out, "{frame}{number} |{reset} {}", window.text);
                let label = if problem.label.is_empty() {
                    String::new()
                } else {
                    format!(" {}", problem.label)
                };
                let _ = writeln!(
                    out,
                    "{gutter} {frame}|{reset} {}{error}{}{label}{reset}",
                    " ".repeat(window.before),
                    "^".repeat(window.marked)
                );
            }
        }
        if let Some(help) = &problem.help {
            let _ = writeln!(out, "{gutter} {frame}={reset} help: {help}");
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(Style::Plain).trim_end())
    }
}

impl std::error::Error for Report {}

/// The line around a byte of the text.
struct Line<'a> {
    text: &'a str,
    start: usize,
    position: Position,
}

/// The part of a line that is shown, and where the carets stand in it, in characters.
struct Window {
    text: String,
    before: usize,
    marked: usize,
}

impl<'a> Line<'a> {
    fn around(text: &'a str, offset: usize) -> Self {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let (before, after) = text.split_at(offset);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let end = after.find('\n').map_or(text.len(), |newline| offset + newline);
        let position = Position {
            line: before.matches('\n').count() + 1,
            column: text[start..offset].chars().count() + 1,
        };
        Self {
            text: text[start..end].trim_end_matches('\r'),
            start,
            position,
        }
    }

    /// Long lines are cut around the mark; control characters and tabs become spaces, so that the carets stand right.
    fn window(&self, span: &Range<usize>) -> Window {
        const WIDTH: usize = 110;
        const LEAD: usize = 40;
        let first = self.position.column - 1;
        let length = self.text.chars().count();
        let marked = self
            .text
            .char_indices()
            .filter(|(at, _)| (span.start..span.end).contains(&(self.start + at)))
            .count()
            .max(1);
        let skipped = if length > WIDTH { first.saturating_sub(LEAD) } else { 0 };
        let mut text = String::new();
        if skipped > 0 {
            text.push('…');
        }
        text.extend(
            self.text
                .chars()
                .skip(skipped)
                .take(WIDTH)
                .map(|char| if char.is_control() { ' ' } else { char }),
        );
        if length > skipped + WIDTH {
            text.push('…');
        }
        let before = first - skipped + usize::from(skipped > 0);
        Window {
            text,
            before,
            marked: marked.min(WIDTH.saturating_sub(first - skipped).max(1)),
        }
    }
}

struct Paint {
    error: &'static str,
    frame: &'static str,
    bold: &'static str,
    reset: &'static str,
}

impl Paint {
    fn of(style: Style) -> Self {
        match style {
            Style::Plain => Self {
                error: "",
                frame: "",
                bold: "",
                reset: "",
            },
            Style::Coloured => Self {
                error: "\x1b[1;31m",
                frame: "\x1b[1;34m",
                bold: "\x1b[1m",
                reset: "\x1b[0m",
            },
        }
    }
}

/// Collects problems while the readers go on reading.
#[derive(Debug, Default)]
pub(super) struct Problems {
    noted: RefCell<Vec<Problem>>,
    omitted: Cell<usize>,
}

impl Problems {
    /// Nobody reads more at once, and a file of nothing but mistakes must not fill the memory.
    const MOST: usize = 200;

    /// Whether nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.noted.borrow().is_empty()
    }

    /// Notes a problem: what is wrong, and at the caret what would be right.
    pub(super) fn note(&self, span: Range<usize>, message: impl Into<String>, label: impl Into<String>) {
        self.push(Problem {
            span: Some(span),
            message: message.into(),
            label: label.into(),
            help: None,
        });
    }

    /// Notes a problem that a further line explains.
    pub(super) fn note_with_help(
        &self,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) {
        let help = Some(help.into());
        self.push(Problem {
            span: Some(span),
            message: message.into(),
            label: label.into(),
            help,
        });
    }

    fn push(&self, problem: Problem) {
        let mut noted = self.noted.borrow_mut();
        if noted.len() < Self::MOST {
            noted.push(problem);
        } else {
            self.omitted.set(self.omitted.get() + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]

    use super::*;

    fn report(text: &str, span: Range<usize>) -> Report {
        let problems = Problems::default();
        problems.note(span, "wrong", "right");
        Report::new(Path::new("weir.toml"), text, problems)
    }

    #[test]
    fn the_caret_stands_under_the_offending_text() {
        let report = report("one\ntwö = 2\n", 10..11);
        let expected = "error: wrong\n --> weir.toml:2:6\n  |\n2 | twö = 2\n  |      ^ right\n\nweir.toml: 1 error";
        assert_eq!(report.to_string(), expected);
    }

    #[test]
    fn spans_past_the_end_and_inside_characters_are_shown_too() {
        for span in [0..0, 3..4, 4..4, 900..1000] {
            assert!(report("twö", span).to_string().contains("weir.toml:1:"));
        }
    }

    #[test]
    fn a_long_line_is_cut_around_the_mark() {
        let text = format!("{}HERE{}", "a".repeat(500), "b".repeat(500));
        let shown = report(&text, 500..504).to_string();
        assert!(shown.contains("HERE"));
        assert!(shown.lines().all(|line| line.chars().count() < 120));
        let marked = shown
            .lines()
            .find(|line| line.contains('^'))
            .unwrap()
            .find('^')
            .unwrap();
        let source = shown.lines().find(|line| line.contains("HERE")).unwrap();
        assert_eq!(source.chars().skip(marked).take(4).collect::<String>(), "HERE");
    }

    #[test]
    fn endless_mistakes_are_counted_and_the_first_ones_shown() {
        let problems = Problems::default();
        for at in 0..1000 {
            problems.note(at..at + 1, format!("number {at}"), "");
        }
        let shown = Report::new(Path::new("weir.toml"), &"x".repeat(1000), problems).to_string();
        assert!(shown.contains("number 199\n") && !shown.contains("number 200\n"));
        assert!(
            shown.ends_with("800 more are not shown\n\nweir.toml: 1000 errors"),
            "{shown}"
        );
    }
}
