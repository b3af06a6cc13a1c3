//! Picking rules by id, tag or message, for the directives and `ctl` actions that remove or narrow them.

use std::fmt;
use std::ops::RangeInclusive;

use regex::bytes::Regex;

use super::pattern::{self, Case};

/// By what rules are picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Id,
    Tag,
    Message,
}

/// Which rules are meant.
#[derive(Debug, Clone)]
pub(crate) enum Pick {
    /// Those with an id in one of these ranges.
    Ids(Vec<RangeInclusive<u64>>),
    /// Those with a tag in which this is found.
    Tag(Regex),
    /// Those with a message in which this is found.
    Message(Regex),
}

/// The picks of `ctl` actions, resolved when all rules are known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Picks(pub(super) Vec<Pick>);

impl Picks {
    /// Keeps one and gives its index.
    pub(crate) fn add(&mut self, pick: Pick) -> usize {
        self.0.push(pick);
        self.0.len() - 1
    }
}

impl fmt::Display for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ids(ranges) => {
                f.write_str("the id ")?;
                for (index, range) in ranges.iter().enumerate() {
                    f.write_str(if index > 0 { ", " } else { "" })?;
                    match (range.start(), range.end()) {
                        (first, last) if first == last => write!(f, "{first}")?,
                        (first, last) => write!(f, "{first}-{last}")?,
                    }
                }
                Ok(())
            }
            Self::Tag(pattern) => write!(f, "a tag with {pattern}"),
            Self::Message(pattern) => write!(f, "a message with {pattern}"),
        }
    }
}

impl Pick {
    /// Reads what follows `By...`: ids and ranges of them, or a pattern.
    pub(crate) fn parse(by: By, text: &str) -> Result<Self, String> {
        let pattern = |text| pattern::compile_linear(text, Case::AsWritten);
        match by {
            By::Id => text
                .split([',', ' '])
                .filter(|part| !part.is_empty())
                .map(|part| {
                    let (first, last) = part.split_once('-').unwrap_or((part, part));
                    match (first.trim().parse(), last.trim().parse()) {
                        (Ok(first), Ok(last)) if first <= last => Ok(first..=last),
                        _ => Err(format!("\"{part}\" is not a rule's id or a range of them (100-200)")),
                    }
                })
                .collect::<Result<_, _>>()
                .map(Self::Ids),
            By::Tag => pattern(text).map(Self::Tag),
            By::Message => pattern(text).map(Self::Message),
        }
    }

    /// Whether a rule is meant.
    pub(super) fn takes<'a>(&self, id: u64, message: &str, mut tags: impl Iterator<Item = &'a str>) -> bool {
        match self {
            Self::Ids(ranges) => ranges.iter().any(|range| range.contains(&id)),
            Self::Tag(pattern) => tags.any(|tag| pattern.is_match(tag.as_bytes())),
            Self::Message(pattern) => pattern.is_match(message.as_bytes()),
        }
    }
}
