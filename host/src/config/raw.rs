//! The syntax of the file: tables whose keys are all known, and typed values with their place.
//!
//! A reader never stops at a mistake: it notes it and goes on with the default, so that all mistakes of a file are seen at
//! once. What the readers return after a mistake is never used for more than finding the next one.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::Outside;
use super::report::Problems;
use super::settings::{self, Fallback, Kind, Setting};
use super::suggest::nearest;
use super::units;

/// What all readers share.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    /// Where mistakes are noted.
    pub(super) problems: &'a Problems,
    /// Relative paths start here.
    pub(super) folder: &'a Path,
    /// Whether files and host names are looked up.
    pub(super) outside: Outside,
}

/// A value with its place in the file.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// One table of the file.
pub(super) struct Table<'a> {
    pub(super) context: Context<'a>,
    /// Its header, or the whole inline table.
    pub(super) span: Range<usize>,
    section: &'static settings::Section,
    entries: Option<&'a DeTable<'a>>,
}

impl<'a> Table<'a> {
    /// The top level of the file.
    pub(super) fn root(context: Context<'a>, entries: &'a DeTable<'a>) -> Self {
        Self::of(context, &settings::TOP, 0..0, entries)
    }

    /// A table that stands in the file.
    pub(super) fn of(
        context: Context<'a>,
        section: &'static settings::Section,
        span: Range<usize>,
        entries: &'a DeTable<'a>,
    ) -> Self {
        let table = Self {
            context,
            span,
            section,
            entries: Some(entries),
        };
        table.refuse_unknown_keys(entries);
        table
    }

    fn refuse_unknown_keys(&self, entries: &DeTable<'_>) {
        let known = || self.section.settings.iter().map(|setting| setting.key);
        for key in entries.keys() {
            if self.section.setting(key.get_ref()).is_some() {
                continue;
            }
            let message = format!("unknown key `{}` in {}", key.get_ref(), self.section.title());
            let elsewhere = || {
                settings::SECTIONS
                    .iter()
                    .find(|section| section.setting(key.get_ref()).is_some() && !section.path.is_empty())
            };
            if let Some(meant) = nearest(key.get_ref(), known()) {
                self.problem(key.span(), message, format!("did you mean `{meant}`?"));
            } else if let Some(section) = elsewhere() {
                self.problem(key.span(), message, format!("it belongs in {}", section.title()));
            } else {
                let known: Vec<_> = known().map(|key| format!("`{key}`")).collect();
                let label = format!("not a setting of {}", self.section.title());
                self.context.problems.note_with_help(
                    key.span(),
                    message,
                    label,
                    format!("known are {}", known.join(", ")),
                );
            }
        }
    }

    /// Notes a mistake.
    pub(super) fn problem(&self, span: Range<usize>, message: impl Into<String>, label: impl Into<String>) {
        self.context.problems.note(span, message, label);
    }

    /// Whether the key stands in the file.
    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// A duration, or the default of the settings' table.
    pub(super) fn duration(&self, key: &str) -> Duration {
        let default = self.default_text(key).map(units::duration);
        self.duration_or(key, default.and_then(Result::ok).unwrap_or_default())
    }

    /// A duration, or this default.
    pub(super) fn duration_or(&self, key: &str, default: Duration) -> Duration {
        let Some(value) = self.get(key) else { return default };
        let (Kind::Duration(low, high) | Kind::DurationOrOff(low, high)) = self.declared(key).kind else {
            return default;
        };
        let off = matches!(self.declared(key).kind, Kind::DurationOrOff(..));
        let or_off = if off { " or \"off\"" } else { "" };
        let DeValue::String(text) = value.get_ref() else {
            self.wrong_kind(
                key,
                value,
                &format!("a duration in quotes, for example \"10s\"{or_off}"),
            );
            return default;
        };
        if off && text == "off" {
            return units::NEVER;
        }
        match units::duration(text) {
            Ok(duration) if within(duration, low, high, units::duration) => duration,
            Ok(_) => {
                self.out_of_range(key, value, &format!("\"{low}\" to \"{high}\"{or_off}"));
                default
            }
            Err(label) => {
                self.problem(value.span(), format!("`{key}` is not a duration"), label);
                default
            }
        }
    }

    /// A number of bytes, or the default of the settings' table.
    pub(super) fn size(&self, key: &str) -> u64 {
        let default = self.default_text(key).map(units::size);
        self.size_or(key, default.and_then(Result::ok).unwrap_or_default())
    }

    /// A number of bytes, or this default.
    pub(super) fn size_or(&self, key: &str, default: u64) -> u64 {
        let Some(value) = self.get(key) else { return default };
        let Kind::Size(low, high) = self.declared(key).kind else {
            return default;
        };
        let size = match value.get_ref() {
            DeValue::String(text) => units::size(text),
            DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) if number < 0 => Err("a size is not negative".to_owned()),
                Ok(number) => u64::try_from(number).map_err(|_| "a size of this length does not exist".to_owned()),
                Err(_) => Err("a size of this length does not exist".to_owned()),
            },
            _ => {
                self.wrong_kind(key, value, "a size, for example \"64KiB\" or plain bytes");
                return default;
            }
        };
        match size {
            Ok(size) if within(size, low, high, units::size) => size,
            Ok(_) => {
                self.out_of_range(key, value, &format!("{low} to {high}"));
                default
            }
            Err(label) => {
                self.problem(value.span(), format!("`{key}` is not a size"), label);
                default
            }
        }
    }

    /// A whole number, or the default of the settings' table. `N` has to hold the bounds that the table declares.
    pub(super) fn integer<N: TryFrom<i64> + Default>(&self, key: &str) -> N {
        let default = self.default_text(key).and_then(|text| text.parse::<i64>().ok());
        self.integer_if_given(key)
            .or(default.and_then(|number| N::try_from(number).ok()))
            .unwrap_or_default()
    }

    /// A whole number, where it is given.
    pub(super) fn integer_if_given<N: TryFrom<i64>>(&self, key: &str) -> Option<N> {
        let value = self.get(key)?;
        let Kind::Integer(low, high) = self.declared(key).kind else {
            return None;
        };
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong_kind(key, value, &format!("a whole number from {low} to {high}"));
            return None;
        };
        let number = i64::from_str_radix(number.as_str(), number.radix());
        match number.ok().filter(|number| (low..=high).contains(number)) {
            Some(number) => N::try_from(number).ok(),
            None => {
                self.out_of_range(key, value, &format!("{low} to {high}"));
                None
            }
        }
    }

    /// `true` or `false`, or the default of the settings' table.
    pub(super) fn flag(&self, key: &str) -> bool {
        let default = self.default_text(key) == Some("true");
        match self.get(key) {
            None => default,
            Some(value) => match value.get_ref() {
                DeValue::Boolean(flag) => *flag,
                _ => {
                    self.wrong_kind(key, value, "true or false");
                    default
                }
            },
        }
    }

    /// One of the words that the settings' table declares, where it is given.
    pub(super) fn choice_if_given(&self, key: &str) -> Option<&'static str> {
        self.has(key).then(|| self.choice(key)).filter(|word| !word.is_empty())
    }

    /// One of the words that the settings' table declares, or its default.
    pub(super) fn choice(&self, key: &str) -> &'static str {
        let setting = self.declared(key);
        let default = self.default_text(key).unwrap_or_default();
        let Kind::Choice(words) = setting.kind else {
            return default;
        };
        let quoted = || {
            words
                .iter()
                .map(|word| format!("\"{word}\""))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let Some(value) = self.get(key) else { return default };
        let DeValue::String(text) = value.get_ref() else {
            self.wrong_kind(key, value, &format!("one of {}", quoted()));
            return default;
        };
        if let Some(word) = words.iter().find(|word| *word == text) {
            return word;
        }
        let label = match nearest(text, words.iter().copied()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("one of {}", quoted()),
        };
        self.problem(value.span(), format!("`{key}` cannot be \"{text}\""), label);
        default
    }

    /// A string that is not empty, where it is given.
    pub(super) fn text(&self, key: &str) -> Option<At<&'a str>> {
        let value = self.get(key)?;
        let expected = match self.declared(key).kind {
            Kind::Text(what) | Kind::TextOrTexts(what) => what,
            _ => "a path",
        };
        let DeValue::String(text) = value.get_ref() else {
            self.wrong_kind(key, value, &format!("a string: {expected}"));
            return None;
        };
        if text.trim().is_empty() {
            self.problem(value.span(), format!("`{key}` is empty"), expected);
            return None;
        }
        Some(At {
            value: text.as_ref(),
            span: value.span(),
        })
    }

    /// A string, or the default of the settings' table, which stands at the table's header.
    pub(super) fn text_or_default(&self, key: &str) -> At<&'a str> {
        let default = self.default_text(key).unwrap_or_default();
        self.text(key).unwrap_or(At {
            value: default,
            span: self.span.clone(),
        })
    }

    /// A string that has to be there.
    pub(super) fn required_text(&self, key: &str) -> Option<At<&'a str>> {
        self.require(key);
        self.text(key)
    }

    /// A path, where it is given; relative ones start at the folder of the configuration file.
    pub(super) fn path(&self, key: &str) -> Option<At<PathBuf>> {
        let At { value, span } = self.text(key)?;
        Some(At {
            value: self.context.folder.join(value),
            span,
        })
    }

    /// A string or a list of strings, none of them empty; empty where it is not given.
    pub(super) fn text_or_texts(&self, key: &str) -> Vec<At<&'a str>> {
        match self.get(key).map(Spanned::get_ref) {
            Some(DeValue::Array(_)) => self.texts(key),
            _ => self.text(key).into_iter().collect(),
        }
    }

    /// A list of strings, none of them empty; empty where it is not given.
    pub(super) fn texts(&self, key: &str) -> Vec<At<&'a str>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let expected = match self.declared(key).kind {
            Kind::Texts(what) | Kind::TextOrTexts(what) => what,
            _ => "strings",
        };
        let DeValue::Array(items) = value.get_ref() else {
            let expected = match value.get_ref() {
                DeValue::String(text) => format!("a list: [\"{text}\"]"),
                _ => format!("a list of {expected}"),
            };
            self.wrong_kind(key, value, &expected);
            return Vec::new();
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            match item.get_ref() {
                DeValue::String(text) if !text.trim().is_empty() => {
                    texts.push(At {
                        value: text.as_ref(),
                        span: item.span(),
                    });
                }
                DeValue::String(_) => self.problem(item.span(), format!("`{key}` has an empty entry"), expected),
                other => {
                    self.problem(
                        item.span(),
                        format!("`{key}` holds {}", kind_of(other)),
                        format!("a list of {expected}"),
                    );
                }
            }
        }
        texts
    }

    /// A value that has a reader of its own.
    pub(super) fn other(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.get(key)
    }

    /// A table below this one, where it is given.
    pub(super) fn table(&self, key: &str, section: &'static settings::Section) -> Option<Table<'a>> {
        let value = self.get(key)?;
        if let DeValue::Table(entries) = value.get_ref() {
            return Some(Table::of(self.context, section, value.span(), entries));
        }
        self.wrong_kind(key, value, &format!("a section: {}", section.title()));
        None
    }

    /// A table below this one; one that is absent reads as its defaults.
    pub(super) fn table_or_defaults(&self, key: &str, section: &'static settings::Section) -> Table<'a> {
        self.table(key, section).unwrap_or(Table {
            context: self.context,
            span: self.span.clone(),
            section,
            entries: None,
        })
    }

    /// The tables of a repeated section.
    pub(super) fn tables(&self, key: &str, section: &'static settings::Section) -> Vec<Table<'a>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let expected = || format!("a section in double brackets: [[{}]]", section.path);
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_kind(key, value, &expected());
            return Vec::new();
        };
        self.tables_in(key, items, section, &expected())
    }

    fn tables_in(
        &self,
        key: &str,
        items: &'a DeArray<'a>,
        section: &'static settings::Section,
        expected: &str,
    ) -> Vec<Table<'a>> {
        let mut tables = Vec::with_capacity(items.len());
        for item in items {
            match item.get_ref() {
                DeValue::Table(entries) => tables.push(Table::of(self.context, section, item.span(), entries)),
                _ => self.wrong_kind(key, item, expected),
            }
        }
        tables
    }

    /// Notes a mistake where a key is missing.
    pub(super) fn require(&self, key: &str) {
        if self.has(key) {
            return;
        }
        let expected = match self.declared(key).kind {
            Kind::Text(what) | Kind::TextOrTexts(what) => format!("add `{key} = \"…\"`: {what}"),
            Kind::Path => format!("add `{key} = \"…\"`: a path"),
            Kind::Other(what) => format!("add `{key} = …`: {what}"),
            Kind::Section(path) => format!("add a section [[{path}]]"),
            _ => format!("add `{key} = …`"),
        };
        let message = match self.section.path {
            "" => format!("there is no `{key}`"),
            _ => format!("{} has no `{key}`", self.section.title()),
        };
        self.problem(self.span.clone(), message, expected);
    }

    /// Notes that a value has the wrong type.
    pub(super) fn wrong_kind(&self, key: &str, value: &Spanned<DeValue<'_>>, expected: &str) {
        self.problem(
            value.span(),
            format!("`{key}` is {}", kind_of(value.get_ref())),
            format!("expected {expected}"),
        );
    }

    fn out_of_range(&self, key: &str, value: &Spanned<DeValue<'_>>, range: &str) {
        self.problem(
            value.span(),
            format!("`{key}` is out of range"),
            format!("expected {range}"),
        );
    }

    fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.entries?.get(key)
    }

    fn default_text(&self, key: &str) -> Option<&'static str> {
        match self.declared(key).default {
            Fallback::Value(text) => Some(text),
            Fallback::Required | Fallback::Described(_) => None,
        }
    }

    fn declared(&self, key: &str) -> &'static Setting {
        static UNDECLARED: Setting = Setting {
            key: "",
            kind: Kind::Other("undeclared"),
            default: Fallback::Required,
            prose: "",
        };
        let declared = self.section.setting(key);
        debug_assert!(
            declared.is_some(),
            "`{}.{key}` is read but not declared in settings",
            self.section.path
        );
        declared.unwrap_or(&UNDECLARED)
    }
}

/// What a value is, in words.
pub(super) fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn within<T: PartialOrd>(value: T, low: &str, high: &str, read: fn(&str) -> Result<T, String>) -> bool {
    read(low).is_ok_and(|low| low <= value) && read(high).is_ok_and(|high| value <= high)
}
