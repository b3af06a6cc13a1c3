//! TOML with places: reading goes on after a problem, and every problem names its line.

use std::ops::Range;

use serde_json::{Number, Value};
use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, Problems};
use crate::config::suggest::nearest;

/// A file that is being read, and what is wrong with it so far.
pub struct Document<'t> {
    file: &'t str,
    text: &'t str,
    problems: Problems,
}

/// A value and the line that it stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed<T> {
    /// Counted from 1.
    pub line: usize,
    /// The value.
    pub value: T,
}

/// A table whose keys are asked for one by one; [`Section::finish`] complains about those that nobody asked for.
pub struct Section<'v, 't> {
    /// What the table is called in messages: `[[plugin]]`.
    name: &'static str,
    /// The line of the table's head.
    pub line: usize,
    entries: &'v DeTable<'t>,
    known: Vec<&'static str>,
}

impl<'t> Document<'t> {
    /// Parses the text.
    ///
    /// # Errors
    /// The syntax errors. What the rest means is not looked at while there are any: half of it would be guesses.
    pub fn parse(file: &'t str, text: &'t str) -> Result<(Self, Spanned<DeTable<'t>>), Problems> {
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut document = Self {
            file,
            text,
            problems: Problems::default(),
        };
        for error in errors {
            let line = document.line(&error.span().unwrap_or(0..0));
            document.problem(line, error.message().to_owned());
        }
        if document.problems.0.is_empty() {
            Ok((document, root))
        } else {
            Err(document.into_problems())
        }
    }

    /// Notes a problem at a line.
    pub fn problem(&mut self, line: usize, message: impl Into<String>) {
        self.problems.push(Problem::at(self.file, line, message));
    }

    /// Notes problems that name their own places.
    pub fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.problems.extend(problems);
    }

    /// The line that a piece of the text begins on.
    #[must_use]
    pub fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().get(..span.start).unwrap_or(self.text.as_bytes());
        1 + before.iter().filter(|&&byte| byte == b'\n').count()
    }

    /// All that is wrong, in the order of the lines.
    #[must_use]
    pub fn into_problems(mut self) -> Problems {
        self.problems.0.sort_by_key(|problem| problem.line);
        self.problems.0.dedup();
        self.problems
    }

    /// A value as JSON. Dates become text; numbers that JSON does not have are problems.
    pub fn json(&mut self, value: &Spanned<DeValue<'t>>) -> Value {
        match value.get_ref() {
            DeValue::String(text) => Value::String(text.clone().into_owned()),
            DeValue::Boolean(value) => Value::Bool(*value),
            DeValue::Datetime(date) => Value::String(date.to_string()),
            DeValue::Integer(integer) => {
                if let Ok(number) = i64::from_str_radix(integer.as_str(), integer.radix()) {
                    Value::Number(number.into())
                } else {
                    let line = self.line(&value.span());
                    self.problem(line, format!("{integer} is too large; numbers have 64 bits"));
                    Value::Null
                }
            }
            DeValue::Float(float) => match float.as_str().parse::<f64>().ok().and_then(Number::from_f64) {
                Some(number) => Value::Number(number),
                None => {
                    let line = self.line(&value.span());
                    self.problem(
                        line,
                        format!(
                            "{} cannot be given to a plugin: JSON has no such number",
                            float.as_str()
                        ),
                    );
                    Value::Null
                }
            },
            DeValue::Array(items) => Value::Array(items.iter().map(|item| self.json(item)).collect()),
            DeValue::Table(table) => Value::Object(
                table
                    .iter()
                    .map(|(key, value)| (key.get_ref().clone().into_owned(), self.json(value)))
                    .collect(),
            ),
        }
    }
}

impl<'v, 't> Section<'v, 't> {
    /// The root of a document.
    #[must_use]
    pub fn root(table: &'v Spanned<DeTable<'t>>) -> Self {
        Self {
            name: "the top level",
            line: 1,
            entries: table.get_ref(),
            known: Vec::new(),
        }
    }

    /// A value that has to be a table.
    pub fn of(document: &mut Document<'t>, name: &'static str, value: &'v Spanned<DeValue<'t>>) -> Option<Self> {
        let line = document.line(&value.span());
        match value.get_ref() {
            DeValue::Table(entries) => Some(Self {
                name,
                line,
                entries,
                known: Vec::new(),
            }),
            other => {
                document.problem(line, format!("{name} has to be a table, not {}", kind(other)));
                None
            }
        }
    }

    /// Complains about every key that was not asked for.
    pub fn finish(self, document: &mut Document<'t>) {
        for key in self.entries.keys() {
            let word = key.get_ref().as_ref();
            if self.known.contains(&word) {
                continue;
            }
            let line = document.line(&key.span());
            let name = self.name;
            document.problem(
                line,
                match nearest(word, self.known.iter().copied()) {
                    Some(close) => format!("unknown key `{word}` in {name}; did you mean `{close}`?"),
                    None => format!("unknown key `{word}` in {name}; known are: {}", self.known.join(", ")),
                },
            );
        }
    }

    /// The value of a key.
    pub fn get(&mut self, key: &'static str) -> Option<&'v Spanned<DeValue<'t>>> {
        self.known.push(key);
        self.entries.get(key)
    }

    /// The keys that may be anything, with their values.
    pub fn all(
        &self,
    ) -> impl Iterator<Item = (&'v Spanned<std::borrow::Cow<'t, str>>, &'v Spanned<DeValue<'t>>)> + use<'v, 't> {
        self.entries.iter()
    }

    /// A table under a key.
    pub fn table(
        &mut self,
        document: &mut Document<'t>,
        key: &'static str,
        name: &'static str,
    ) -> Option<Section<'v, 't>> {
        self.get(key).and_then(|value| Section::of(document, name, value))
    }

    /// The tables of an array of tables.
    pub fn tables(
        &mut self,
        document: &mut Document<'t>,
        key: &'static str,
        name: &'static str,
    ) -> Vec<Section<'v, 't>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        match value.get_ref() {
            DeValue::Array(items) => items
                .iter()
                .filter_map(|item| Section::of(document, name, item))
                .collect(),
            other => {
                let line = document.line(&value.span());
                document.problem(
                    line,
                    format!("`{key}` has to be written as {name}, not as {}", kind(other)),
                );
                Vec::new()
            }
        }
    }

    /// A text.
    pub fn text(&mut self, document: &mut Document<'t>, key: &'static str) -> Option<Placed<&'v str>> {
        let value = self.get(key)?;
        let line = document.line(&value.span());
        match value.get_ref() {
            DeValue::String(text) => Some(Placed { line, value: text }),
            other => {
                document.problem(line, format!("`{key}` has to be a text, not {}", kind(other)));
                None
            }
        }
    }

    /// A text that has to be there.
    pub fn required_text(&mut self, document: &mut Document<'t>, key: &'static str) -> Option<Placed<&'v str>> {
        if !self.entries.contains_key(key) {
            document.problem(self.line, format!("{} needs `{key}`", self.name));
        }
        self.text(document, key)
    }

    /// A text that is parsed further.
    pub fn parsed<T>(
        &mut self,
        document: &mut Document<'t>,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Placed<T>> {
        let Placed { line, value } = self.text(document, key)?;
        match parse(value) {
            Ok(value) => Some(Placed { line, value }),
            Err(message) => {
                document.problem(line, format!("`{key}`: {message}"));
                None
            }
        }
    }

    /// A whole number from 0 on.
    pub fn number(&mut self, document: &mut Document<'t>, key: &'static str) -> Option<Placed<u64>> {
        let value = self.get(key)?;
        let line = document.line(&value.span());
        let number = match value.get_ref() {
            DeValue::Integer(integer) => u64::from_str_radix(integer.as_str(), integer.radix()).ok(),
            _ => None,
        };
        if number.is_none() {
            document.problem(line, format!("`{key}` has to be a whole number from 0 on"));
        }
        number.map(|value| Placed { line, value })
    }

    /// True or false.
    pub fn boolean(&mut self, document: &mut Document<'t>, key: &'static str) -> Option<bool> {
        let value = self.get(key)?;
        let boolean = value.get_ref().as_bool();
        if boolean.is_none() {
            let line = document.line(&value.span());
            document.problem(line, format!("`{key}` has to be true or false"));
        }
        boolean
    }

    /// A list of texts.
    pub fn texts(&mut self, document: &mut Document<'t>, key: &'static str) -> Vec<Placed<&'v str>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            let line = document.line(&value.span());
            document.problem(
                line,
                format!("`{key}` has to be a list of texts, not {}", kind(value.get_ref())),
            );
            return Vec::new();
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            let line = document.line(&item.span());
            match item.get_ref() {
                DeValue::String(text) => texts.push(Placed {
                    line,
                    value: text.as_ref(),
                }),
                other => document.problem(
                    line,
                    format!("`{key}` has to be a list of texts; this is {}", kind(other)),
                ),
            }
        }
        texts
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
