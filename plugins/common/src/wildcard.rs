//! Text with `*`, which stands for any bytes, also none. There is nothing else: no `?`, no classes, no escape.

/// Whether letters compare by case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    /// `A` is not `a`.
    Sensitive,
    /// ASCII letters compare without case.
    Ignored,
}

/// One pattern, for example `*bot*` or `Bearer *`. Without a `*` the whole text must be equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wildcard {
    /// The literal parts between the stars; lower case where case is ignored. Never empty: `*` is two empty parts.
    parts: Vec<Box<[u8]>>,
    case: Case,
}

impl Wildcard {
    /// Reads a pattern that compares by case.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self::with_case(pattern, Case::Sensitive)
    }

    /// Reads a pattern that ignores the case of ASCII letters.
    #[must_use]
    pub fn ignoring_case(pattern: &str) -> Self {
        Self::with_case(pattern, Case::Ignored)
    }

    /// Whether the whole text fits the pattern. Allocates nothing; the time grows at worst with the product of both lengths.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        match self.parts.as_slice() {
            [] => text.is_empty(),
            [whole] => whole.len() == text.len() && self.starts_with(text, whole),
            [start, middle @ .., end] => {
                // The ends first: what is left between them must hold the middle parts in order, each as early as possible.
                if text.len() < start.len() + end.len() || !self.starts_with(text, start) {
                    return false;
                }
                let (before_end, at_end) = text.split_at(text.len() - end.len());
                let mut rest = before_end.get(start.len()..).unwrap_or_default();
                if !self.starts_with(at_end, end) {
                    return false;
                }
                for part in middle {
                    match self.find(rest, part) {
                        Some(behind) => rest = rest.get(behind..).unwrap_or_default(),
                        None => return false,
                    }
                }
                true
            }
        }
    }

    fn with_case(pattern: &str, case: Case) -> Self {
        let pattern = match case {
            Case::Sensitive => pattern.to_owned(),
            Case::Ignored => pattern.to_ascii_lowercase(),
        };
        Self {
            parts: pattern.split('*').map(|part| part.as_bytes().into()).collect(),
            case,
        }
    }

    /// Where the first occurrence of the part ends.
    fn find(&self, text: &[u8], part: &[u8]) -> Option<usize> {
        let last_start = text.len().checked_sub(part.len())?;
        (0..=last_start)
            .find(|start| self.starts_with(text.get(*start..).unwrap_or_default(), part))
            .map(|start| start + part.len())
    }

    fn starts_with(&self, text: &[u8], part: &[u8]) -> bool {
        text.len() >= part.len()
            && text
                .iter()
                .zip(part)
                .all(|(byte, expected)| self.fold(*byte) == *expected)
    }

    fn fold(&self, byte: u8) -> u8 {
        match self.case {
            Case::Sensitive => byte,
            Case::Ignored => byte.to_ascii_lowercase(),
        }
    }

    /// The longest literal part.
    fn longest(&self) -> &[u8] {
        self.parts.iter().max_by_key(|part| part.len()).map_or(&[], |part| part)
    }
}

/// Many patterns that ignore case, any of which may fit: lists of crawlers grow to hundreds.
///
/// One pass over the text looks at each pair of neighbouring bytes, and only the patterns whose longest literal starts with
/// that pair are tried. A text that fits nothing costs about its length, however many patterns there are.
#[derive(Debug, Clone, Default)]
pub struct WildcardSet {
    patterns: Vec<Wildcard>,
    /// For each value of [`bucket`], the patterns whose longest literal starts with such a pair. Empty when `patterns` is.
    by_pair: Vec<Vec<u32>>,
    /// Patterns whose literals are too short to have a pair: always tried.
    short: Vec<u32>,
}

impl WildcardSet {
    /// Builds the set.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Self {
        let patterns: Vec<_> = patterns.into_iter().map(Wildcard::ignoring_case).collect();
        let mut set = Self {
            by_pair: vec![Vec::new(); if patterns.is_empty() { 0 } else { BUCKETS }],
            ..Self::default()
        };
        for (index, pattern) in (0_u32..).zip(&patterns) {
            let slot = match *pattern.longest() {
                [first, second, ..] => set.by_pair.get_mut(bucket(first, second)),
                _ => None,
            };
            slot.unwrap_or(&mut set.short).push(index);
        }
        set.patterns = patterns;
        set
    }

    /// Whether there is no pattern.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether any pattern fits the whole text.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        let fits = |index: &u32| {
            self.patterns
                .get(*index as usize)
                .is_some_and(|pattern| pattern.matches(text))
        };
        self.short.iter().any(fits)
            || text.windows(2).any(|pair| {
                let [first, second] = *pair else { return false };
                let candidates = self
                    .by_pair
                    .get(bucket(first.to_ascii_lowercase(), second.to_ascii_lowercase()));
                candidates.is_some_and(|candidates| candidates.iter().any(fits))
            })
    }
}

const BUCKETS: usize = 1024;

/// Letters differ in their low five bits, so these ten bits keep pairs of letters apart.
fn bucket(first: u8, second: u8) -> usize {
    usize::from(first & 31) << 5 | usize::from(second & 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_stand_for_any_bytes_also_none() {
        for (pattern, text, fits) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("abc*", "abcd", true),
            ("*bc", "abc", true),
            ("*b*", "abc", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*ab*ba*", "aba", false),
            ("*ab*ba*", "abba", true),
            ("a**b", "ab", true),
        ] {
            assert_eq!(
                Wildcard::new(pattern).matches(text.as_bytes()),
                fits,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn case_is_ignored_only_where_asked() {
        assert!(Wildcard::ignoring_case("*BOT*").matches(b"Googlebot/2.1"));
        assert!(!Wildcard::new("*BOT*").matches(b"Googlebot/2.1"));
    }

    #[test]
    fn bytes_outside_ascii_are_compared_as_they_are() {
        assert!(Wildcard::ignoring_case("*x*").matches(&[0xff, b'X', 0x00]));
    }

    #[test]
    fn a_set_finds_long_short_and_star_patterns() {
        assert!(WildcardSet::new(["curl/*", "*nikto*"]).matches(b"Mozilla Nikto/2"));
        assert!(!WildcardSet::new(["curl/*", "*nikto*"]).matches(b"libcurl/8"));
        assert!(WildcardSet::new(["x"]).matches(b"X"));
        assert!(WildcardSet::new([""]).matches(b""));
        assert!(WildcardSet::new(["*"]).matches(b""));
        assert!(!WildcardSet::new([]).matches(b"anything"));
    }

    /// What the pattern means, in the shortest words: a star takes nothing, or one byte and stays.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) if naive(rest, text) => true,
            ([b'*', ..], [_, text @ ..]) => naive(pattern, text),
            ([expected, pattern @ ..], [byte, text @ ..]) if expected == byte => naive(pattern, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_pattern_agrees_with_the_naive_model(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(Wildcard::new(&pattern).matches(text.as_bytes()), naive(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn a_set_agrees_with_its_patterns(patterns in prop::collection::vec("[aBc*]{0,6}", 0..6), text in "[AbcC]{0,10}") {
            let any = patterns.iter().any(|pattern| Wildcard::ignoring_case(pattern).matches(text.as_bytes()));
            prop_assert_eq!(WildcardSet::new(patterns.iter().map(String::as_str)).matches(text.as_bytes()), any);
        }
    }
}
