//! Rules of the configuration: exact paths and patterns.

use std::collections::HashMap;
use std::ops::Range;

use regex::bytes::{CaptureLocations, Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind, Look};
use weir_plugin_common::HostPattern;

use crate::query::QueryMode;
use crate::target::{Groups, Scheme, Target};

/// All rules, indexed.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    /// The exact rules of each path, in order.
    exact: HashMap<Box<[u8]>, Vec<usize>>,
    /// The rules with a pattern, in order.
    patterns: Vec<usize>,
}

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// Unique.
    pub id: String,
    /// Which paths it is about.
    pub matcher: Matcher,
    /// Which hosts; all, when there is none.
    pub hosts: Vec<HostPattern>,
    /// Which scheme; both, when there is none.
    pub scheme: Option<Scheme>,
    /// What a client is told.
    pub answer: Answer,
    /// What becomes of the request's query.
    pub query: QueryMode,
}

/// Which paths a rule is about.
#[derive(Debug)]
pub enum Matcher {
    /// This one, as received.
    Exact(Box<[u8]>),
    /// Those in which the pattern finds something.
    Pattern(Pattern),
}

/// What a client is told.
#[derive(Debug)]
pub enum Answer {
    /// Where to go.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// Where.
        target: Target,
    },
    /// That there is nothing any more (410).
    Gone,
}

/// A regular expression over the bytes of a path, ASCII classes, linear time.
#[derive(Debug)]
pub struct Pattern {
    regex: Regex,
    syntax: Hir,
    /// What every path that fits starts with: cheaper to compare than to search.
    prefix: Vec<u8>,
}

/// Where a request comes from. Nothing is known of a part only while rules are followed without a request.
pub trait Origins {
    /// In lower case, without port.
    fn host(&mut self) -> Option<&str>;
    /// How the client speaks.
    fn scheme(&mut self) -> Option<Scheme>;
}

/// A rule that fits, with what its pattern captured.
#[derive(Debug)]
pub struct Fired<'a> {
    /// The rule.
    pub rule: &'a Rule,
    captured: Option<CaptureLocations>,
}

impl Rules {
    /// Indexes the rules, whose order counts.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        let mut indexed = Self::default();
        for (index, rule) in rules.iter().enumerate() {
            match &rule.matcher {
                Matcher::Exact(path) => indexed.exact.entry(path.clone()).or_default().push(index),
                Matcher::Pattern(_) => indexed.patterns.push(index),
            }
        }
        indexed.rules = rules;
        indexed
    }

    /// Whether there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// In the order written.
    #[must_use]
    pub fn all(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether any rule holds for one scheme only. Where none does, two schemes are one place.
    #[must_use]
    pub fn look_at_scheme(&self) -> bool {
        self.rules.iter().any(|rule| rule.scheme.is_some())
    }

    /// The first rule that fits. Exact ones are found by one hash, so patterns are tried only up to the one found.
    pub fn find(&self, path: &[u8], from: &mut impl Origins) -> Option<Fired<'_>> {
        let exact = if self.exact.is_empty() {
            None
        } else {
            self.exact.get(path)
        };
        let exact = exact.and_then(|indices| indices.iter().find(|index| self.is_from(**index, from)));
        for index in self
            .patterns
            .iter()
            .take_while(|index| exact.is_none_or(|exact| *index < exact))
        {
            let Some(rule) = self.rules.get(*index) else { continue };
            if let Matcher::Pattern(pattern) = &rule.matcher
                && pattern.matches(path)
                && rule.is_from(from)
            {
                return Some(Fired {
                    rule,
                    captured: pattern.captures(path),
                });
            }
        }
        exact
            .and_then(|index| self.rules.get(*index))
            .map(|rule| Fired { rule, captured: None })
    }

    fn is_from(&self, index: usize, from: &mut impl Origins) -> bool {
        self.rules.get(index).is_some_and(|rule| rule.is_from(from))
    }
}

impl Rule {
    fn is_from(&self, from: &mut impl Origins) -> bool {
        (self.scheme.is_none() || self.scheme == from.scheme())
            && (self.hosts.is_empty()
                || from
                    .host()
                    .is_some_and(|host| self.hosts.iter().any(|pattern| pattern.matches(host))))
    }
}

impl Fired<'_> {
    /// Where in the path a group is; nothing where it took no part.
    #[must_use]
    pub fn group(&self, index: usize) -> Option<Range<usize>> {
        self.captured.as_ref()?.get(index).map(|(start, end)| start..end)
    }
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, as the regex engine says it.
    pub fn parse(text: &str) -> Result<Self, String> {
        // The limit bounds the memory of every instance, not only the time to compile.
        let regex = RegexBuilder::new(text).unicode(false).size_limit(1 << 20).build();
        let syntax = regex_syntax::ParserBuilder::new()
            .unicode(false)
            .utf8(false)
            .build()
            .parse(text);
        match (regex, syntax) {
            (Ok(regex), Ok(syntax)) => Ok(Self {
                regex,
                prefix: prefix(&syntax),
                syntax,
            }),
            (Err(error), _) => Err(format!("not a pattern: {error}")),
            (_, Err(error)) => Err(format!("not a pattern: {error}")),
        }
    }

    /// What the pattern means, for finding examples.
    #[must_use]
    pub fn syntax(&self) -> &Hir {
        &self.syntax
    }

    /// Whether the pattern finds something in the path.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        path.starts_with(&self.prefix) && self.regex.is_match(path)
    }

    fn captures(&self, path: &[u8]) -> Option<CaptureLocations> {
        let mut locations = self.regex.capture_locations();
        self.regex.captures_read(&mut locations, path)?;
        Some(locations)
    }
}

impl Groups for Pattern {
    fn index_of(&self, name: &str) -> Option<usize> {
        self.regex.capture_names().position(|group| group == Some(name))
    }

    fn count(&self) -> usize {
        self.regex.captures_len()
    }
}

/// The literal behind `^`; empty where the pattern does not start so.
fn prefix(syntax: &Hir) -> Vec<u8> {
    let HirKind::Concat(parts) = syntax.kind() else {
        return Vec::new();
    };
    match parts.as_slice() {
        [start, literal, ..] if matches!(start.kind(), HirKind::Look(Look::Start)) => match literal.kind() {
            HirKind::Literal(literal) => literal.0.to_vec(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_prefix_is_what_every_fitting_path_starts_with() {
        for (pattern, expected) in [
            ("^/blog/(.*)$", "/blog/"),
            ("^/blogs?/", "/blog"),
            ("^/(a|b)", "/"),
            ("(?i)^/blog", "/"),
            ("(?i)^blog", ""),
            ("/blog", ""),
            ("^/a|^/b", ""),
            ("(?m)^/a", ""),
        ] {
            assert_eq!(
                String::from_utf8(Pattern::parse(pattern).unwrap().prefix).unwrap(),
                expected,
                "{pattern}"
            );
        }
    }

    #[test]
    fn classes_are_ascii_and_bytes_are_bytes() {
        assert!(Pattern::parse(r"^/\w+$").unwrap().matches(b"/abc"));
        assert!(!Pattern::parse(r"^/\w+$").unwrap().matches("/é".as_bytes()));
        assert!(Pattern::parse(r"^/.$").unwrap().matches(&[b'/', 0xff]));
    }

    #[test]
    fn mistakes_are_told() {
        assert!(Pattern::parse("^/(").unwrap_err().contains("unclosed group"));
        assert!(Pattern::parse("(a{1000}){1000}").unwrap_err().contains("size limit"));
    }

    proptest! {
        #[test]
        fn the_prefix_changes_no_answer(pattern in "\\^?/[ab]{0,3}[?*+]?(\\(a\\|b\\))?", path in "/[ab]{0,4}") {
            let pattern = Pattern::parse(&pattern).unwrap();
            prop_assert_eq!(pattern.matches(path.as_bytes()), pattern.regex.is_match(path.as_bytes()));
        }
    }
}
