//! `@rx PATTERN`: the pattern is found in the value. Bytes, not characters; `.` matches a line feed; `$` matches at the very
//! end only.

use regex::bytes::Regex;

use super::{Groups, Outcome, Test};
use crate::compile::pattern;
use crate::compile::prefilter::Needs;
use crate::seclang::Files;

pub(super) fn build(argument: &str, _files: &dyn Files) -> Result<Test, String> {
    let pattern = pattern::compile(argument, pattern::Case::AsWritten)?;
    Ok(Test::Pattern(Rx {
        needs: Needs::of_pattern(&pattern.syntax),
        regex: pattern.regex,
        exact: pattern.exact,
    }))
}

/// A pattern and what can be said about its matches without running it.
#[derive(Debug)]
pub struct Rx {
    regex: Regex,
    /// What decides where the first one found something, and only then.
    exact: Option<fancy_regex::Regex>,
    needs: Needs,
}

impl Rx {
    pub(super) fn ask(&self, value: &[u8]) -> Outcome {
        if !self.regex.is_match(value) {
            return Outcome::NoMatch;
        }
        match self.exact.as_ref().map(|exact| exact.is_match(value)) {
            None => Outcome::Match,
            Some(Ok(found)) => Outcome::of(found),
            Some(Err(_)) => Outcome::Exceeded,
        }
    }

    /// What must be true of a value in which the pattern is found.
    pub(super) fn needs(&self) -> &Needs {
        &self.needs
    }

    pub(super) fn groups(&self, value: &[u8]) -> Groups {
        let mut groups = Groups::default();
        if let Some(exact) = &self.exact {
            if let Ok(Some(captures)) = exact.captures(value) {
                for (group, found) in groups.iter_mut().zip(captures.iter()) {
                    *group = found.map(|found| (found.start() as u32, found.end() as u32));
                }
            }
            return groups;
        }
        if self.regex.captures_len() == 1 {
            // Without groups, to find the match is enough, and much cheaper.
            groups[0] = self
                .regex
                .find(value)
                .map(|found| (found.start() as u32, found.end() as u32));
            return groups;
        }
        if let Some(captures) = self.regex.captures(value) {
            for (group, found) in groups.iter_mut().zip(captures.iter()) {
                *group = found.map(|found| (found.start() as u32, found.end() as u32));
            }
        }
        groups
    }
}
