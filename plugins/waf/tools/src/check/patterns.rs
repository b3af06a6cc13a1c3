//! Patterns: those that are run otherwise than they are written, and those that every value has to be run through, with what that
//! costs.

use std::hint::black_box;
use std::time::{Duration, Instant};

use weir_waf::compile::pattern::{Case, Pattern, compile};
use weir_waf::compile::prefilter::Prefilter;
use weir_waf::seclang::syntax::{Directive, Kind, Rule};

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

pub(super) fn check(directives: &[Directive]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for directive in directives {
        let Kind::Rule(rule) = &directive.kind else { continue };
        if !rule.operator.name.eq_ignore_ascii_case("rx") {
            continue;
        }
        // What does not compile is an error that the compiler has reported.
        let Ok(pattern) = compile(&rule.operator.argument, Case::AsWritten) else {
            continue;
        };
        let mut add = |message| {
            findings.push(Finding {
                place: directive.place.clone(),
                level: Level::Note,
                message,
            });
        };
        if let Some(message) = translated(rule, &pattern) {
            add(message);
        }
        if looks_at_input(rule) && Prefilter::of(&pattern).is_empty() {
            add(format!(
                "no byte must occur in what the pattern matches, so that every value runs it: {:.0} ns a value",
                cost(&pattern)
            ));
        }
    }
    findings
}

fn translated(rule: &Rule, pattern: &Pattern) -> Option<String> {
    let written = &rule.operator.argument;
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

/// Whether values come from outside: what rules keep for themselves is short, and seldom asked about.
fn looks_at_input(rule: &Rule) -> bool {
    rule.targets.iter().any(|target| target.variable != "TX")
}

/// Nanoseconds a value.
fn cost(pattern: &Pattern) -> f64 {
    let round = || {
        for value in ORDINARY {
            black_box(pattern.regex.is_match(black_box(value.as_bytes())));
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
