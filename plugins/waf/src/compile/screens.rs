//! Which rules can be passed over without looking at a single value: rules that ask about the same values are grouped, and a
//! group learns once a phase, from the [`Sieve`], which of its rules may match at all.
//!
//! A *source* is a target of rules, a *cell* is a source after a chain of transformations, and a *group* is the list of cells
//! that a rule looks at. CRS has hundreds of rules and some dozens of groups.

use super::plan::{Forms, Phase, Rule, RuleSet, Selector, Subject, Target};
use super::prefilter::Needs;
use super::sieve::{MOST_QUESTIONS, Sieve};
use crate::operators::Outcome;
use crate::variables::Variable;

/// The screens of a plan.
#[derive(Debug, Default)]
pub struct Screens {
    /// One for the rules of each side; see [`Side`].
    pub sieves: [Sieve; 2],
    /// The distinct targets.
    pub sources: Vec<Source>,
    /// The distinct sources with their transformations.
    pub cells: Vec<Cell>,
    /// The distinct lists of cells, each of one side.
    pub groups: Vec<Group>,
    /// For each rule, whether it looks at values.
    rules: Vec<Interest>,
}

/// Which sieve a rule belongs to. What responses hold is large, and rules of requests say nothing about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Phases 1 and 2.
    Request,
    /// Phases 3 to 5.
    Response,
}

impl Side {
    /// The side of a phase.
    #[must_use]
    pub const fn of(phase: Phase) -> Self {
        match phase {
            Phase::RequestHeaders | Phase::RequestBody => Self::Request,
            Phase::ResponseHeaders | Phase::ResponseBody | Phase::Logging => Self::Response,
        }
    }

    /// From 0.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Whether a rule looks at values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Always.
    Looks,
    /// Where its group says that it may match.
    Screened(Screen),
    /// It can never match.
    Never,
}

/// What a rule needs to know before it looks at values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// The side of its group.
    pub side: Side,
    /// An index of [`Screens::groups`].
    pub group: u16,
    /// The bit of its test in the sets of its side.
    pub question: u16,
}

/// A target: the first one of its kind in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// The rule that has it, in its first link.
    pub rule: usize,
    /// Its index there.
    pub target: usize,
}

/// Values of a source, transformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// The sieve that its values go through.
    pub side: Side,
    /// An index of [`Screens::sources`].
    pub source: usize,
    /// An index of the plan's chains of transformations.
    pub chain: Option<usize>,
    /// The last form of each value, or every one.
    pub forms: Forms,
}

/// What rules look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The side of all cells.
    pub side: Side,
    /// Indices of [`Screens::cells`].
    pub cells: Vec<usize>,
}

impl Screens {
    /// Groups the rules but those that can never match.
    pub(super) fn new(rules: &[Rule], never: &RuleSet) -> Self {
        let mut screens = Self::default();
        let mut questions: [Vec<Needs>; 2] = [Vec::new(), Vec::new()];
        for index in 0..rules.len() {
            let interest = if never.contains(index) {
                Interest::Never
            } else {
                let screen = screens.screen(rules, index, &mut questions);
                screen.map_or(Interest::Looks, Interest::Screened)
            };
            screens.rules.push(interest);
        }
        screens.sieves = questions.map(|needs| Sieve::new(&needs));
        screens
    }

    /// Whether a rule looks at values.
    #[must_use]
    pub fn of(&self, rule: usize) -> Interest {
        self.rules.get(rule).copied().unwrap_or(Interest::Looks)
    }

    /// Lets every rule look at its values, which is slow and gives the same result.
    pub fn remove(&mut self) {
        self.rules.clear();
    }

    fn screen(&mut self, rules: &[Rule], index: usize, questions: &mut [Vec<Needs>; 2]) -> Option<Screen> {
        let rule = rules.get(index)?;
        let link = rule.links.first()?;
        let side = Side::of(rule.phase);
        let needs = link.operator.needs.as_ref()?;
        let questions = questions.get_mut(side.index())?;
        if link.operator.wanted != Outcome::Match
            || questions.len() >= MOST_QUESTIONS
            || !link.targets.iter().all(is_settled)
        {
            return None;
        }
        let cells = (0..link.targets.len())
            .map(|target| {
                let source = Source { rule: index, target };
                let same = |known: &Source| same(rules, *known, source);
                let source = place(&mut self.sources, same, source);
                let cell = Cell {
                    side,
                    source,
                    chain: link.transformations,
                    forms: link.forms,
                };
                place(&mut self.cells, |known| *known == cell, cell)
            })
            .collect();
        let group = Group { side, cells };
        let group = match self.groups.iter().position(|known| *known == group) {
            Some(known) => known,
            None => {
                self.groups.push(group);
                self.groups.len() - 1
            }
        };
        let question = questions.len();
        questions.push(needs.clone());
        Some(Screen {
            side,
            group: u16::try_from(group).ok()?,
            question: u16::try_from(question).ok()?,
        })
    }
}

/// The index of the first that is the same, which is added where there is none.
fn place<T>(list: &mut Vec<T>, same: impl Fn(&T) -> bool, new: T) -> usize {
    list.iter().position(same).unwrap_or_else(|| {
        list.push(new);
        list.len() - 1
    })
}

/// Whether the values of a target stay the same for the time of a phase, whatever rules do.
fn is_settled(target: &Target) -> bool {
    target.subject == Subject::Values
        && matches!(
            target.variable,
            Variable::Args
                | Variable::ArgsGet
                | Variable::ArgsGetNames
                | Variable::ArgsNames
                | Variable::ArgsPost
                | Variable::ArgsPostNames
                | Variable::Files
                | Variable::FilesNames
                | Variable::MultipartPartHeaders
                | Variable::QueryString
                | Variable::RemoteAddr
                | Variable::RequestBasename
                | Variable::RequestBody
                | Variable::RequestCookies
                | Variable::RequestCookiesNames
                | Variable::RequestFilename
                | Variable::RequestHeaders
                | Variable::RequestHeadersNames
                | Variable::RequestLine
                | Variable::RequestMethod
                | Variable::RequestProtocol
                | Variable::RequestUri
                | Variable::RequestUriRaw
                | Variable::ResponseBody
                | Variable::ResponseContentType
                | Variable::ResponseHeaders
                | Variable::ResponseHeadersNames
                | Variable::ServerName
                | Variable::Xml
        )
}

fn same(rules: &[Rule], a: Source, b: Source) -> bool {
    let target = |source: Source| rules.get(source.rule)?.links.first()?.targets.get(source.target);
    let (Some(a), Some(b)) = (target(a), target(b)) else {
        return false;
    };
    a.variable == b.variable
        && a.subject == b.subject
        && same_selector(&a.selector, &b.selector)
        && a.excluded.len() == b.excluded.len()
        && a.excluded.iter().zip(&b.excluded).all(|(a, b)| same_selector(a, b))
}

fn same_selector(a: &Selector, b: &Selector) -> bool {
    match (a, b) {
        (Selector::Whole, Selector::Whole) => true,
        (Selector::Name(a), Selector::Name(b)) => a.eq_ignore_ascii_case(b),
        (Selector::Pattern(a), Selector::Pattern(b)) => a.as_str() == b.as_str(),
        (Selector::Slot(a), Selector::Slot(b)) => a == b,
        _ => false,
    }
}
