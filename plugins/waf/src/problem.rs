//! What can be wrong with rules: where it is, what it is, and what would be right.

use std::fmt;
use std::sync::Arc;

/// A line of a rule file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as the configuration names it.
    pub file: Arc<str>,
    /// The first line of the directive, counted from 1.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// One mistake in the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What is wrong, with the offending text, and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Every mistake that was found, in the order of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Adds one.
    pub fn add(&mut self, place: &Place, message: impl Into<String>) {
        self.0.push(Problem {
            place: place.clone(),
            message: message.into(),
        });
    }

    /// Keeps the value of what went well, and the problem of what did not.
    pub(crate) fn keep<T>(&mut self, place: &Place, result: Result<T, String>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(message) => {
                self.add(place, message);
                None
            }
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// `unknown KIND "name"`, with the nearest known name where one is near.
pub(crate) fn unknown<'a>(kind: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let nearest = known
        .into_iter()
        .map(|candidate| {
            (
                distance(&name.to_ascii_lowercase(), &candidate.to_ascii_lowercase()),
                candidate,
            )
        })
        .min();
    match nearest {
        Some((away, candidate)) if away <= 3 && away * 2 < name.len() => {
            format!("unknown {kind} \"{name}\"; the nearest known one is \"{candidate}\"")
        }
        _ => format!("unknown {kind} \"{name}\"; docs/rule-guide.md lists the known ones"),
    }
}

/// How many letters have to be added, removed or replaced to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut next = vec![left];
        for (above, to) in row.windows(2).zip(&b) {
            let replaced = above[0] + usize::from(from != *to);
            left = replaced.min(above[1] + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_offered() {
        assert!(unknown("operator", "contans", ["contains", "streq"]).contains("\"contains\""));
        assert!(!unknown("operator", "foo", ["contains", "streq"]).contains("nearest"));
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "ab"), 2);
    }
}
