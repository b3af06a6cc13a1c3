//! Which rules can be passed over without looking at a single value. Each rule that asks about values of the exchange is a
//! *test*, a bit of a set. A value goes once through the [`Sieve`], which says of all tests at once whether they may hold for it;
//! what a transaction has of live rules is the union over its values.
//!
//! A [`Feed`] is a variable whose values are looked at, a [`Reader`] one way in which rules select among them
//! (`REQUEST_COOKIES|!REQUEST_COOKIES:/__utm/`), and a [`Route`] a chain of transformations with the tests behind it.

use std::sync::atomic::{AtomicU64, Ordering};

use super::plan::{Forms, Phase, Rule, RuleSet, Selector, Subject, Target};
use super::prefilter::Needs;
use super::sieve::{MOST_QUESTIONS, Sieve, set_bit};
use crate::bytes::leading_number;
use crate::operators::{Outcome, Test};
use crate::variables::Variable;

/// The screens of a plan.
#[derive(Debug, Clone, Default)]
pub struct Screens {
    /// One for the rules of each side; see [`Side`].
    pub sieves: [Sieve; 2],
    /// Of each side, the variables that rules look at.
    pub feeds: [Vec<Feed>; 2],
    /// No other plan of this process has the same: what was learned with one plan says nothing about another.
    pub serial: u64,
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
    /// Where there is a value for which its test may hold.
    Screened(Screen),
    /// It can never match.
    Never,
}

/// What a rule needs to know before it looks at values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// The side of its sieve.
    pub side: Side,
    /// The bit of its test in the sets of its side.
    pub question: u16,
    /// Of a negated operator, the bit that says whether its test may hold at all. Where it does not, the rule matches, and nobody has to
    /// run the test to know.
    pub denial: Option<u16>,
    /// Values, or their number.
    pub subject: Subject,
    /// For how long an answer holds.
    pub validity: Validity,
}

/// For how long the answer of a rule's first link about a value holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// It is about the value alone, so it is the same whenever the value comes.
    Lasting,
    /// It depends on more, like what `TX` holds.
    Momentary,
}

/// A variable whose values are looked at.
#[derive(Debug, Clone)]
pub struct Feed {
    /// All of its values.
    pub target: Target,
    /// The ways in which rules select among them.
    pub readers: Vec<Reader>,
}

impl Feed {
    /// Whether every reader takes every value, whatever its name.
    #[must_use]
    pub fn takes_all(&self) -> bool {
        self.readers.iter().all(|reader| reader.selector.takes_all())
    }
}

/// Values that rules select in the same way.
#[derive(Debug, Clone)]
pub struct Reader {
    /// Which ones.
    pub selector: Selection,
    /// Where they go.
    pub routes: Vec<Route>,
}

/// Which values of a variable are meant.
#[derive(Debug, Clone)]
pub struct Selection {
    /// These.
    pub selector: Selector,
    /// Without these.
    pub excluded: Vec<Selector>,
}

impl Selection {
    fn takes_all(&self) -> bool {
        matches!(self.selector, Selector::Whole) && self.excluded.is_empty()
    }

    fn is(&self, target: &Target) -> bool {
        same_selector(&self.selector, &target.selector)
            && self.excluded.len() == target.excluded.len()
            && self
                .excluded
                .iter()
                .zip(&target.excluded)
                .all(|(a, b)| same_selector(a, b))
    }
}

/// Transformations, and the tests that look at their results.
#[derive(Debug, Clone)]
pub struct Route {
    /// An index of the plan's chains of transformations.
    pub chain: Option<usize>,
    /// The last form of each value, or every one.
    pub forms: Forms,
    /// A set.
    pub tests: Vec<u64>,
}

impl Screens {
    /// Gives tests to the rules but those that can never match.
    pub(super) fn new(rules: &[Rule], never: &RuleSet) -> Self {
        static PLANS: AtomicU64 = AtomicU64::new(1);
        let mut screens = Self {
            serial: PLANS.fetch_add(1, Ordering::Relaxed),
            ..Self::default()
        };
        let mut questions: [Vec<Needs>; 2] = [Vec::new(), Vec::new()];
        for (index, rule) in rules.iter().enumerate() {
            let interest = if never.contains(index) {
                Interest::Never
            } else {
                let screen = screens.screen(rule, &mut questions);
                screen.map_or(Interest::Looks, Interest::Screened)
            };
            screens.rules.push(interest);
        }
        screens.sieves = questions.map(|needs| Sieve::new(&needs));
        for (feeds, sieve) in screens.feeds.iter_mut().zip(&screens.sieves) {
            let routes = feeds.iter_mut().flat_map(|feed| &mut feed.readers);
            for route in routes.flat_map(|reader| &mut reader.routes) {
                route.tests.resize(sieve.words(), 0);
            }
        }
        screens
    }

    /// Whether a rule looks at values.
    #[must_use]
    pub fn of(&self, rule: usize) -> Interest {
        self.rules.get(rule).copied().unwrap_or(Interest::Looks)
    }

    /// Whether what was found out about values may be used for others.
    #[must_use]
    pub fn remember(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Lets every rule look at its values, which is slow and gives the same result.
    pub fn remove(&mut self) {
        self.rules.clear();
    }

    fn screen(&mut self, rule: &Rule, questions: &mut [Vec<Needs>; 2]) -> Option<Screen> {
        let link = rule.links.first()?;
        let side = Side::of(rule.phase);
        let questions = questions.get_mut(side.index())?;
        let subject = subject(&link.targets)?;
        let argument = link.operator.argument.constant();
        let needs = match subject {
            Subject::Values if link.operator.wanted == Outcome::Match => {
                link.operator.needs.clone().unwrap_or_default()
            }
            // What the test needs, a value that it does not hold for need not have.
            Subject::Values => Needs::default(),
            Subject::Count => {
                let Test::Number(compare) = &link.operator.test else {
                    return None;
                };
                let without = Outcome::of(compare(0, leading_number(argument?)));
                if without == link.operator.wanted {
                    return None;
                }
                Needs::default()
            }
        };
        if questions.len() >= MOST_QUESTIONS {
            return None;
        }
        let question = questions.len();
        questions.push(needs);
        let negated = subject == Subject::Values && link.operator.wanted == Outcome::NoMatch;
        let denied = link.operator.needs.as_ref();
        let denial = match denied.filter(|needs| negated && !needs.is_empty() && questions.len() < MOST_QUESTIONS) {
            Some(needs) => {
                questions.push(needs.clone());
                u16::try_from(questions.len() - 1).ok()
            }
            None => None,
        };
        for target in &link.targets {
            let feed = self.feed(side, target.variable)?;
            let reader = reader(feed, target)?;
            let chain = match subject {
                Subject::Values => link.transformations,
                Subject::Count => None,
            };
            set_bit(&mut route(reader, chain, link.forms)?.tests, question);
        }
        let validity = match (subject, argument) {
            (Subject::Values, Some(_)) => Validity::Lasting,
            _ => Validity::Momentary,
        };
        Some(Screen {
            side,
            question: u16::try_from(question).ok()?,
            denial,
            subject,
            validity,
        })
    }

    fn feed(&mut self, side: Side, variable: Variable) -> Option<&mut Feed> {
        let feeds = self.feeds.get_mut(side.index())?;
        let at = place(
            feeds,
            |feed| feed.target.variable == variable,
            || Feed {
                target: Target {
                    variable,
                    selector: Selector::Whole,
                    subject: Subject::Values,
                    excluded: Vec::new(),
                },
                readers: Vec::new(),
            },
        );
        feeds.get_mut(at)
    }
}

fn reader<'f>(feed: &'f mut Feed, target: &Target) -> Option<&'f mut Reader> {
    let at = place(
        &mut feed.readers,
        |reader| reader.selector.is(target),
        || Reader {
            selector: Selection {
                selector: target.selector.clone(),
                excluded: target.excluded.clone(),
            },
            routes: Vec::new(),
        },
    );
    feed.readers.get_mut(at)
}

fn route(reader: &mut Reader, chain: Option<usize>, forms: Forms) -> Option<&mut Route> {
    let at = place(
        &mut reader.routes,
        |route| route.chain == chain && route.forms == forms,
        || Route {
            chain,
            forms,
            tests: vec![0; MOST_QUESTIONS / 64],
        },
    );
    reader.routes.get_mut(at)
}

/// The index of the first that is the same, which is added where there is none.
fn place<T>(list: &mut Vec<T>, same: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> usize {
    list.iter().position(same).unwrap_or_else(|| {
        list.push(new());
        list.len() - 1
    })
}

/// What is looked at, where all targets agree about that and their values stay the same for the time of a phase.
fn subject(targets: &[Target]) -> Option<Subject> {
    let subject = targets.first()?.subject;
    let settled = |target: &Target| target.subject == subject && is_settled(target);
    targets.iter().all(settled).then_some(subject)
}

/// Whether the values of a target stay the same for the time of a phase, whatever rules do.
fn is_settled(target: &Target) -> bool {
    matches!(
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

fn same_selector(a: &Selector, b: &Selector) -> bool {
    match (a, b) {
        (Selector::Whole, Selector::Whole) => true,
        (Selector::Name(a), Selector::Name(b)) => a.eq_ignore_ascii_case(b),
        (Selector::Pattern(a), Selector::Pattern(b)) => a.as_str() == b.as_str(),
        (Selector::Slot(a), Selector::Slot(b)) => a == b,
        _ => false,
    }
}
