//! Keeps what the engine does while it judges a request.

use std::collections::BTreeMap;

use weir_waf::compile::plan::{Disruption, Logging, Phase, Rule};
use weir_waf::evaluate::observe::{Answer, Glimpse, Observer, Seen};
use weir_waf::operators::Outcome;

/// Shorter texts are in too much that has nothing to do with the rule.
const LEAST_LITERAL: usize = 4;

/// A rule that matched or nearly did.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its index in the plan.
    pub index: usize,
    /// Its id.
    pub id: u64,
    /// When it ran.
    pub phase: Phase,
    /// How it ended.
    pub end: End,
    /// Whether a match is reported, or decides about the request.
    pub weight: Weight,
    /// Each link that was asked, in order.
    pub links: Vec<LinkAsked>,
    /// What changed in `TX`: the name, what it held, what it holds.
    pub changes: Vec<(String, String, String)>,
}

/// How a rule ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// All links matched.
    Matched,
    /// The links before this one matched, this one did not.
    StoppedAt(usize),
    /// The rule has one link, which did not match although what it must find is there: this text, in the first value that is left.
    HasLiteral(String),
}

/// What a match of a rule amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// It is reported, or decides about the request.
    Reported,
    /// It only keeps books.
    Silent,
}

/// One link and what it saw.
#[derive(Debug, Clone)]
pub struct LinkAsked {
    /// What values were compared with; empty where the operator has no such argument.
    pub argument: String,
    /// The values. Of a link that matched only those that did.
    pub seen: Vec<Seen>,
}

impl Asked {
    /// Whether it matched, and that matters.
    #[must_use]
    pub fn is_relevant(&self) -> bool {
        self.end == End::Matched && self.weight == Weight::Reported
    }

    /// Whether it would have mattered, and its first link matched.
    #[must_use]
    pub fn is_near(&self) -> bool {
        self.end != End::Matched && self.weight == Weight::Reported
    }
}

/// The observer.
#[derive(Debug, Default)]
pub struct Watch {
    /// The rules that matched or nearly did, so far.
    pub asked: Vec<Asked>,
    /// What `TX` holds now.
    pub variables: BTreeMap<String, String>,
    phase: Option<Phase>,
    links: Vec<LinkAsked>,
}

impl Observer for Watch {
    fn phase(&mut self, phase: Phase) {
        self.phase = Some(phase);
    }

    fn before(&mut self, glimpse: &mut Glimpse<'_>) {
        if glimpse.link() == 0 {
            self.links.clear();
        }
        let link = LinkAsked {
            argument: glimpse.argument(),
            seen: glimpse.look(),
        };
        self.links.push(link);
    }

    fn after(&mut self, glimpse: &mut Glimpse<'_>, outcome: Outcome) {
        let mut links = std::mem::take(&mut self.links);
        let Some(rule) = glimpse.rule() else { return };
        let end = match (outcome, links.as_mut_slice()) {
            (Outcome::Match, _) => End::Matched,
            (_, [only]) => match literal(rule, only) {
                Some(found) => End::HasLiteral(found),
                None => return,
            },
            (_, asked) if asked.len() > 1 => End::StoppedAt(asked.len() - 1),
            _ => return,
        };
        for (number, link) in links.iter_mut().enumerate() {
            if end != End::StoppedAt(number) && !matches!(end, End::HasLiteral(_)) {
                link.seen.retain(|seen| matches!(seen.answer, Answer::Match { .. }));
            }
        }
        let after: BTreeMap<String, String> = glimpse.variables().into_iter().collect();
        let changes = changes(&self.variables, &after);
        self.variables = after;
        self.asked.push(Asked {
            index: glimpse.index(),
            id: rule.id,
            phase: self.phase.unwrap_or(rule.phase),
            end,
            weight: weight(rule),
            links,
            changes,
        });
    }
}

/// Keeps of a link the first value in which everything occurs that its pattern needs, and gives the longest text of that.
fn literal(rule: &Rule, link: &mut LinkAsked) -> Option<String> {
    let needs = rule.links.first()?.operator.test.needs("", None)?;
    let occurs = |seen: &Seen| {
        let form = seen
            .steps
            .last()
            .map_or(&seen.value, |(_, form)| form)
            .to_ascii_lowercase();
        let mut longest: &[u8] = b"";
        for clause in &needs.literals {
            let found = clause
                .iter()
                .filter(|text| form.windows(text.len().max(1)).any(|window| window == &***text))
                .max_by_key(|text| text.len())?;
            longest = if found.len() > longest.len() { found } else { longest };
        }
        (longest.len() >= LEAST_LITERAL).then(|| String::from_utf8_lossy(longest).into_owned())
    };
    let (at, found) = link
        .seen
        .iter()
        .enumerate()
        .filter(|(_, seen)| seen.answer == Answer::NoMatch)
        .find_map(|(at, seen)| Some((at, occurs(seen)?)))?;
    let seen = link.seen.swap_remove(at);
    link.seen = vec![seen];
    Some(found)
}

fn weight(rule: &Rule) -> Weight {
    let decides = rule.disruption != Disruption::Pass;
    if rule.logging == Logging::Report || decides {
        Weight::Reported
    } else {
        Weight::Silent
    }
}

/// What changed, but for the groups of patterns.
fn changes(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<(String, String, String)> {
    let group = |name: &str| name.len() == 1 && name.bytes().all(|b| b.is_ascii_digit());
    let mut changes = Vec::new();
    for (name, value) in after.iter().filter(|(name, _)| !group(name)) {
        let held = before.get(name).map_or("", String::as_str);
        if held != value {
            changes.push((name.clone(), held.to_owned(), value.clone()));
        }
    }
    for (name, held) in before.iter().filter(|(name, _)| !group(name)) {
        if !after.contains_key(name) {
            changes.push((name.clone(), held.clone(), String::new()));
        }
    }
    changes
}
