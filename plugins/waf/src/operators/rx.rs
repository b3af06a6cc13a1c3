//! `@rx PATTERN`: the pattern is found in the value. Bytes, not characters; `.` matches a line feed; `$` matches at the very
//! end only.

use regex::bytes::Regex;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::{Groups, Outcome, Test};
use crate::compile::pattern;
use crate::compile::prefilter::Needs;
use crate::seclang::Files;

pub(super) fn build(argument: &str, _files: &dyn Files) -> Result<Test, String> {
    let pattern = pattern::compile(argument, pattern::Case::AsWritten)?;
    Ok(Test::Pattern(Rx {
        reach: Reach::of(&pattern),
        needs: Needs::of_pattern(&pattern.syntax),
        regex: pattern.regex,
        exact: pattern.exact,
    }))
}

/// A pattern and what can be said about its matches without running it.
#[derive(Debug, Clone)]
pub struct Rx {
    regex: Regex,
    /// What decides where the first one found something, and only then.
    exact: Option<fancy_regex::Regex>,
    needs: Needs,
    reach: Reach,
}

/// What a pattern is found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// In every value, and it is all of it: `^.*$`, which rules write to capture a value or to go through a list.
    Everything,
    Something,
}

impl Reach {
    fn of(pattern: &pattern::Pattern) -> Self {
        let parts = match pattern.syntax.kind() {
            HirKind::Concat(parts) => parts.as_slice(),
            _ => std::slice::from_ref(&pattern.syntax),
        };
        let look = |part: &Hir, wanted| matches!(part.kind(), HirKind::Look(look) if *look == wanted);
        let parts = match parts {
            [first, rest @ ..] if look(first, Look::Start) => rest,
            parts => parts,
        };
        let parts = match parts {
            [rest @ .., last] if look(last, Look::End) => rest,
            parts => parts,
        };
        match parts {
            [part] if pattern.exact.is_none() && takes_all(part) => Self::Everything,
            _ => Self::Something,
        }
    }
}

/// Whether a part of a pattern is as much as there is of any bytes.
fn takes_all(part: &Hir) -> bool {
    let HirKind::Repetition(repetition) = part.kind() else {
        return false;
    };
    let any = |part: &Hir| match part.kind() {
        HirKind::Class(Class::Bytes(class)) => {
            matches!(class.ranges(), [range] if range.start() == 0 && range.end() == u8::MAX)
        }
        _ => false,
    };
    repetition.min == 0 && repetition.max.is_none() && repetition.greedy && any(&repetition.sub)
}

impl Rx {
    pub(super) fn ask(&self, value: &[u8]) -> Outcome {
        if self.reach == Reach::Everything {
            return Outcome::Match;
        }
        if !self.regex.is_match(value) {
            return Outcome::NoMatch;
        }
        match self.exact.as_ref().map(|exact| exact.is_match(value)) {
            None => Outcome::Match,
            Some(Ok(found)) => Outcome::of(found),
            Some(Err(_)) => Outcome::Exceeded,
        }
    }

    /// Whether every value is a match, and all of it.
    pub(super) fn takes_everything(&self) -> bool {
        self.reach == Reach::Everything
    }

    /// What must be true of a value in which the pattern is found.
    pub(super) fn needs(&self) -> &Needs {
        &self.needs
    }

    pub(super) fn groups(&self, value: &[u8]) -> Groups {
        if self.reach == Reach::Everything {
            return super::whole(value);
        }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::seclang::NoFiles;

    fn rx(pattern: &str) -> Rx {
        match build(pattern, &NoFiles).unwrap() {
            Test::Pattern(rx) => rx,
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn patterns_that_take_everything_are_known() {
        for pattern in ["^.*$", ".*", "^.*", "(?s)^.*$", "^[\\s\\S]*$"] {
            let rx = rx(pattern);
            assert_eq!(rx.reach, Reach::Everything, "{pattern}");
            for value in [&b""[..], b"a\n\xff"] {
                assert_eq!(rx.ask(value), Outcome::of(rx.regex.is_match(value)), "{pattern}");
                let found = rx
                    .regex
                    .find(value)
                    .map(|found| (found.start() as u32, found.end() as u32));
                assert_eq!(rx.groups(value)[0], found, "{pattern}");
            }
        }
        for pattern in ["^.+$", "^(.*)$", ".*?", "^[^\\n]*$", "(?m)^.*$", "a*", "^.*$|b", "^.*a"] {
            assert_eq!(rx(pattern).reach, Reach::Something, "{pattern}");
        }
    }
}
