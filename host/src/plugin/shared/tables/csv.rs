//! Tables as text: a key, and perhaps a value, in each row.

/// After so many wrong lines the rest is only counted.
pub const PROBLEMS: usize = 20;

/// A line that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineProblem {
    /// Counted from 1.
    pub line: u64,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Takes rows in, and becomes a table.
pub trait Build {
    /// What it becomes.
    type Table;
    /// Takes a row.
    ///
    /// # Errors
    /// What is wrong with it.
    fn add(&mut self, key: &[u8], value: &[u8], line: u32) -> Result<(), String>;
    /// Makes the table.
    ///
    /// # Errors
    /// Rows that do not go together.
    fn build(self) -> Result<Self::Table, Vec<LineProblem>>;
}

/// Reads rows into a table. Lines that begin with `#` are comments; `header` skips the first row.
///
/// # Errors
/// The lines that are wrong.
pub fn load<B: Build>(content: &[u8], header: bool, mut builder: B) -> Result<B::Table, Vec<LineProblem>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(header)
        .flexible(true)
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(content);
    let mut problems = Vec::new();
    let mut wrong: usize = 0;
    let mut row = csv::ByteRecord::new();
    loop {
        let read = reader.read_byte_record(&mut row);
        let line = last_line(reader.position(), content);
        let result = match read {
            Ok(false) => break,
            Ok(true) => add(&mut builder, &row, line),
            Err(error) => Err(error.to_string()),
        };
        if let Err(message) = result {
            wrong += 1;
            if problems.len() < PROBLEMS {
                problems.push(LineProblem { line, message });
            }
        }
    }
    if let Some(last) = problems.last_mut()
        && wrong > PROBLEMS
    {
        last.message
            .push_str(&format!(" (and {} more lines are wrong)", wrong - PROBLEMS));
    }
    if problems.is_empty() {
        builder.build()
    } else {
        Err(problems)
    }
}

/// The line that the row before this position ends on. (The position that a row itself carries is that of the comments and empty
/// lines before it.)
fn last_line(position: &csv::Position, content: &[u8]) -> u64 {
    let before = usize::try_from(position.byte())
        .ok()
        .and_then(|byte| content.get(byte.checked_sub(1)?));
    position.line() - u64::from(before == Some(&b'\n'))
}

fn add(builder: &mut impl Build, row: &csv::ByteRecord, line: u64) -> Result<(), String> {
    if row.len() > 2 {
        return Err(format!(
            "the row has {} fields; write a key and at most one value, in quotes where they hold a comma",
            row.len()
        ));
    }
    let key = row.get(0).unwrap_or_default();
    if key.is_empty() {
        return Err("the row has no key".to_owned());
    }
    builder.add(
        key,
        row.get(1).unwrap_or_default(),
        u32::try_from(line).unwrap_or(u32::MAX),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::Table;
    use super::*;
    use crate::bundle::TableKind;

    #[test]
    fn comments_headers_quotes_and_spaces() {
        let text = b"from,to\n# a comment\n/a , /b\n\"/x,y\",\"say \"\"z\"\"\"\n\n/only\n";
        let table = Table::load(TableKind::Exact, text, true).unwrap();
        assert_eq!(table.size(), 3);
        assert_eq!(table.lookup(b"/a"), Some(&b"/b"[..]));
        assert_eq!(table.lookup(b"/x,y"), Some(&b"say \"z\""[..]));
        assert_eq!(table.lookup(b"/only"), Some(&b""[..]));
        assert_eq!(table.lookup(b"from"), None);
    }

    #[test]
    fn wrong_lines_are_named_and_counted() {
        let problems = Table::load(TableKind::Exact, b"a,b\na,b,c\n,x\n", false).unwrap_err();
        assert_eq!(problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [2, 3]);
        let many = "a,b,c\n".repeat(50);
        let problems = Table::load(TableKind::Exact, many.as_bytes(), false).unwrap_err();
        assert_eq!(problems.len(), PROBLEMS);
        assert!(
            problems[PROBLEMS - 1]
                .message
                .ends_with("(and 30 more lines are wrong)")
        );
    }
}
