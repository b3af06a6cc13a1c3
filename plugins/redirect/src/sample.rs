//! Examples of what a pattern fits, so that a rule can be followed without a request.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Enough to go through the branches of the patterns that people write.
const MOST_EXAMPLES: usize = 16;
/// Repetitions like `[0-9]{4}` are written out; longer ones are not worth following.
const MOST_BYTES: usize = 512;

/// Paths that the pattern may fit, shortest first where it repeats something; never none. Anchors and word boundaries are
/// taken as nothing, so the caller checks each.
#[must_use]
pub fn paths(pattern: &Hir) -> Vec<Vec<u8>> {
    let mut examples = of(pattern);
    for example in &mut examples {
        if example.first() != Some(&b'/') {
            example.insert(0, b'/');
        }
    }
    examples
}

fn of(pattern: &Hir) -> Vec<Vec<u8>> {
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![Vec::new()],
        HirKind::Literal(literal) => vec![literal.0.to_vec()],
        HirKind::Class(class) => vec![of_class(class)],
        HirKind::Capture(capture) => of(&capture.sub),
        HirKind::Alternation(branches) => branches.iter().flat_map(of).take(MOST_EXAMPLES).collect(),
        HirKind::Repetition(repetition) => {
            let least = usize::try_from(repetition.min).unwrap_or(usize::MAX);
            let also_once = (least == 0 && repetition.max != Some(0)).then_some(1);
            let subjects = of(&repetition.sub);
            let repeated = |count: usize| {
                subjects
                    .iter()
                    .filter(move |subject| subject.len().saturating_mul(count) <= MOST_BYTES)
                    .map(move |subject| subject.repeat(count))
            };
            repeated(least)
                .take(if least == 0 { 1 } else { MOST_EXAMPLES })
                .chain(also_once.into_iter().flat_map(repeated))
                .take(MOST_EXAMPLES)
                .collect()
        }
        HirKind::Concat(parts) => parts.iter().fold(vec![Vec::new()], |starts, part| {
            let ends = of(part);
            let joined = starts
                .iter()
                .flat_map(|start| ends.iter().map(move |end| [start.as_slice(), end].concat()));
            joined
                .filter(|example| example.len() <= MOST_BYTES)
                .take(MOST_EXAMPLES)
                .collect()
        }),
    }
}

/// A plain character if the class has one. An empty class fits nothing, so any text will be refused later.
fn of_class(class: &Class) -> Vec<u8> {
    const PLAIN: &[u8] = b"a1A-_";
    let has = |byte: u8| match class {
        Class::Bytes(class) => class
            .ranges()
            .iter()
            .any(|range| (range.start()..=range.end()).contains(&byte)),
        Class::Unicode(class) => class
            .ranges()
            .iter()
            .any(|range| (range.start()..=range.end()).contains(&char::from(byte))),
    };
    if let Some(plain) = PLAIN.iter().find(|byte| has(**byte)) {
        return vec![*plain];
    }
    match class {
        Class::Bytes(class) => class
            .ranges()
            .first()
            .map(|range| vec![range.start()])
            .unwrap_or_default(),
        Class::Unicode(class) => class
            .ranges()
            .first()
            .map(|range| range.start().to_string().into_bytes())
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::rules::Pattern;

    #[test]
    fn examples_fit_their_pattern() {
        for pattern in [
            "^/blog/([0-9]{4})/(.*)$",
            "^/(a|bc)/?$",
            "(?i)^/Old(/.*)?$",
            r"\.php$",
            "^/[^/]+/x",
            r"^/\w+-(?<id>\d+)\.html$",
            "old",
        ] {
            let pattern = Pattern::parse(pattern).unwrap();
            let examples = paths(pattern.syntax());
            assert!(
                examples.iter().any(|example| pattern.matches(example)),
                "{pattern:?} {examples:?}"
            );
            assert!(examples.len() <= MOST_EXAMPLES);
        }
    }

    #[test]
    fn branches_and_what_may_be_absent_are_both_seen() {
        let examples = paths(Pattern::parse("^/(ax|by)(/c)?$").unwrap().syntax());
        let examples: Vec<_> = examples
            .iter()
            .map(|example| std::str::from_utf8(example).unwrap())
            .collect();
        assert_eq!(examples, ["/ax", "/ax/c", "/by", "/by/c"]);
    }

    #[test]
    fn large_repetitions_stay_small() {
        let pattern = Pattern::parse("^/(a{10}){100}(b|c|d|e)*(b|c|d|e)*$").unwrap();
        assert!(paths(pattern.syntax()).iter().map(Vec::len).sum::<usize>() <= MOST_EXAMPLES * (MOST_BYTES + 1));
    }
}
