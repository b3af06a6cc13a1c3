//! Patterns: those that are run otherwise than they are written, and those that every value has to be run through, with what that
//! costs.

use std::hint::black_box;
use std::time::{Duration, Instant};

use weir_waf::bytes::ByteSet;
use weir_waf::compile::pattern::{Case, Pattern, compile};
use weir_waf::compile::plan::{self, Plan};
use weir_waf::operators::Test;
use weir_waf::seclang::syntax::{Directive, Kind, Rule};
use weir_waf::variables::Variable;

use super::{Finding, Level};

/// What people send: what a pattern costs is measured over these.
const ORDINARY: [&str; 6] = [
    "42",
    "price_ascending",
    "red shoes size 42 for women",
    "anna.schmidt@example.org",
    "550e8400-e29b-41d4-a716-446655440000",
    "I ordered two lamps last week (order 48213) and only one of them has arrived. Could you check where the other one is?",
];

/// How long one pattern is measured.
const PATIENCE: Duration = Duration::from_micros(500);

/// How much of a pattern a message shows, in characters.
const SHOWN: usize = 100;

pub(super) fn check(directives: &[Directive], plan: &Plan) -> Vec<Finding> {
    let rewritten = directives.iter().filter_map(|directive| {
        let Kind::Rule(rule) = &directive.kind else { return None };
        Some((directive.place.clone(), translated(rule)?))
    });
    let costly = plan.rules.iter().filter_map(|rule| {
        // Later links are asked only where the first one matched.
        let message = every_value(rule.links.first()?)?;
        Some((rule.place.clone(), format!("rule {}: {message}", rule.id)))
    });
    rewritten
        .chain(costly)
        .map(|(place, message)| Finding {
            place,
            level: Level::Note,
            message,
        })
        .collect()
}

/// What is said of a pattern that nothing keeps from being run on every value that comes from outside.
fn every_value(link: &plan::Link) -> Option<String> {
    let test = &link.operator.test;
    let input = link.targets.iter().any(|target| target.variable != Variable::Tx);
    let free = matches!(test, Test::Pattern(_)) && test.needs("rx", None).is_none_or(|needs| needs.is_empty());
    (input && free).then(|| {
        format!(
            "nothing is known that must occur in what the pattern matches, so that every value runs it: {:.0} ns a value",
            cost(test)
        )
    })
}

fn translated(rule: &Rule) -> Option<String> {
    if !rule.operator.name.eq_ignore_ascii_case("rx") {
        return None;
    }
    let written = &rule.operator.argument;
    // What does not compile is an error that the compiler has reported.
    let pattern: Pattern = compile(written, Case::AsWritten).ok()?;
    if pattern.exact.is_some() {
        return Some(format!(
            "the pattern needs to go back (look-around, a back-reference or a possessive quantifier): it runs with a limit of steps, \
             after {} found something",
            shown(pattern.regex.as_str())
        ));
    }
    // An escaped slash is a slash in both.
    let plain = |text: &str| text.replace("\\/", "/");
    (plain(pattern.regex.as_str()) != plain(written))
        .then(|| format!("the pattern runs as {}", shown(pattern.regex.as_str())))
}

fn shown(pattern: &str) -> String {
    match pattern.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", pattern.get(..end).unwrap_or(pattern)),
        None => pattern.to_owned(),
    }
}

/// Nanoseconds a value.
fn cost(test: &Test) -> f64 {
    let values = ORDINARY.map(|value| (value.as_bytes(), ByteSet::present_in(value.as_bytes())));
    let round = || {
        for (value, present) in &values {
            black_box(test.ask(black_box(value), present, b""));
        }
    };
    round();
    let started = Instant::now();
    let mut rounds = 0u32;
    while started.elapsed() < PATIENCE {
        round();
        rounds += 1;
    }
    started.elapsed().as_nanos() as f64 / (f64::from(rounds) * ORDINARY.len() as f64)
}
