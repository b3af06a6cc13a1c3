//! Mistakes in a configuration, collected so that an operator sees all of them at once.

use std::fmt::Display;

/// The mistakes found so far.
#[derive(Debug, Default)]
pub struct Problems {
    found: Vec<String>,
}

impl Problems {
    /// A list without any.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes one: the key (`rules[2].networks[0]`) and what is wrong with it, which says what was found and what would be right.
    pub fn add(&mut self, key: impl Display, what: impl Display) {
        self.found.push(format!("{key}: {what}"));
    }

    /// Takes a parsed value, or notes why there is none.
    pub fn take<T>(&mut self, key: impl Display, parsed: Result<T, String>) -> Option<T> {
        parsed.map_err(|what| self.add(key, what)).ok()
    }

    /// Parses every text of a list, noting each that is wrong under `key[index]`.
    pub fn take_all<T>(&mut self, key: &str, texts: &[String], parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let mut values = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            match parse(text) {
                Ok(value) => values.push(value),
                Err(what) => self.add(format_args!("{key}[{index}]"), what),
            }
        }
        values
    }

    /// The value, if nothing was wrong.
    ///
    /// # Errors
    /// Every problem, one a line.
    pub fn finish<T>(self, value: T) -> Result<T, String> {
        if self.found.is_empty() {
            Ok(value)
        } else {
            Err(self.found.join("\n"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_reported_under_its_key() {
        let mut problems = Problems::new();
        let parse = |text: &str| text.parse::<u8>().map_err(|_| format!("\"{text}\" is not a number"));
        let numbers = problems.take_all("a", &["1".into(), "x".into(), "2".into(), "y".into()], parse);
        assert_eq!(numbers, [1, 2]);
        assert_eq!(
            problems.finish(()),
            Err("a[1]: \"x\" is not a number\na[3]: \"y\" is not a number".to_owned())
        );
    }

    #[test]
    fn without_problems_the_value_is_given() {
        assert_eq!(Problems::new().finish(7), Ok(7));
    }
}
