//! Which rules may match at all: the union, over all values that rules look at, of what the sieve says about them. It is made at
//! the start of a phase and holds until the exchange brings other values.
//!
//! What the sieve says about a value that comes again is remembered ([`super::memo`]). Where it let a rule through that then did
//! not match, that is remembered as well: the next time, the rule is passed over.

use super::collect;
use super::memo::{self, Memo, Ticket};
use super::texts::TextId;
use super::transaction::{Item, Key, Transaction};
use crate::compile::plan::{Forms, Phase, Plan, Target};
use crate::compile::screens::{Feed, Reader, Route, Screen, Selection, Side};
use crate::compile::sieve;

/// How many different sets of readers are remembered. Rule sets have some dozens.
const MOST_CLASSES: usize = 1024;

/// What is known of the rules of a plan, in this transaction and from those before.
#[derive(Debug, Default)]
pub(super) struct Screening {
    /// The plan that it is about; see [`crate::compile::screens::Screens::serial`].
    serial: u64,
    sides: [Values; 2],
    classes: Vec<Class>,
    /// Of each side, for each feed, the class of values with any name, where that is one.
    any_name: [Vec<Option<u32>>; 2],
    /// The class of a name, by feed.
    names: Memo,
    /// What the sieve and rules said about a value, by class.
    values: Memo,
}

/// The values that rules of a side look at.
#[derive(Debug, Default)]
struct Values {
    age: Age,
    /// The tests that may hold for any value.
    live: Set,
    /// All values, those of one feed after those of the other.
    seen: Vec<Seen>,
    /// Where the values of each feed end.
    ends: Vec<usize>,
}

/// Whether what is known is about the values that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Age {
    Current,
    #[default]
    Outdated,
}

/// A value and the tests that may hold for it.
#[derive(Debug)]
struct Seen {
    item: Item,
    set: Set,
    /// Where it is remembered.
    ticket: Option<Ticket>,
}

/// The readers that take a value of a certain name, and their routes put together.
#[derive(Debug)]
struct Class {
    feed: usize,
    side: Side,
    readers: Vec<usize>,
    routes: Vec<Route>,
}

/// A set of tests.
type Set = [u64; sieve::MOST_WORDS];

/// Where a candidate comes from: a value that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin(usize);

impl Screening {
    /// There are other values now.
    pub(super) fn outdate(&mut self) {
        for side in &mut self.sides {
            side.age = Age::Outdated;
        }
    }

    fn renew(&mut self, plan: &Plan) {
        self.serial = plan.screens.serial;
        self.forget(plan);
    }

    /// Forgets what other transactions have shown.
    fn forget(&mut self, plan: &Plan) {
        self.classes.clear();
        for (any_name, feeds) in self.any_name.iter_mut().zip(&plan.screens.feeds) {
            any_name.clear();
            any_name.extend(feeds.iter().map(|_| None));
        }
        self.names.reset(1);
        self.values.reset(words(plan));
    }
}

/// So that sets of both sides have the same length.
fn words(plan: &Plan) -> usize {
    let [request, response] = &plan.screens.sieves;
    request.words().max(response.words())
}

/// Looks at the values that there are, where they are others now. A phase that brings no value, like that of an empty body, does
/// not ask again.
pub(super) fn refresh(plan: &Plan, tx: &mut Transaction, phase: Phase) {
    let side = Side::of(phase);
    let mut screening = std::mem::take(&mut tx.screening);
    if screening.serial != plan.screens.serial {
        screening.renew(plan);
        screening.outdate();
    }
    if let Some(values) = screening.sides.get_mut(side.index())
        && values.age == Age::Outdated
    {
        let mut values = std::mem::take(values);
        look(plan, tx, side, &mut screening, &mut values);
        if let Some(place) = screening.sides.get_mut(side.index()) {
            *place = values;
        }
    }
    tx.screening = screening;
}

fn look(plan: &Plan, tx: &mut Transaction, side: Side, screening: &mut Screening, values: &mut Values) {
    values.age = Age::Current;
    values.live = Set::default();
    values.seen.clear();
    values.ends.clear();
    let mut items = std::mem::take(&mut tx.scratch);
    for (index, feed) in feeds(plan, side).iter().enumerate() {
        items.clear();
        collect::collect(plan, tx, &feed.target, &mut items);
        for item in &items {
            let Some(class) = class_of(plan, tx, screening, side, index, *item) else {
                continue;
            };
            let seen = see(plan, tx, screening, class, *item);
            for (live, word) in values.live.iter_mut().zip(&seen.set) {
                *live |= word;
            }
            values.seen.push(seen);
        }
        values.ends.push(values.seen.len());
    }
    tx.scratch = items;
}

fn feeds(plan: &Plan, side: Side) -> &[Feed] {
    plan.screens
        .feeds
        .get(side.index())
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// The class of a value: of its name, mostly.
fn class_of(
    plan: &Plan,
    tx: &mut Transaction,
    screening: &mut Screening,
    side: Side,
    index: usize,
    item: Item,
) -> Option<u32> {
    if let Some(Some(class)) = screening.any_name.get(side.index())?.get(index) {
        return Some(*class);
    }
    let feed = feeds(plan, side).get(index)?;
    let name = match item.key {
        Key::Text(name) => tx.texts.get(name),
        Key::None | Key::Slot(_) => &[],
    };
    let place = (index * 2 + side.index()) as u32;
    if let Some((_, [class])) = screening.names.find(place, name) {
        return u32::try_from(*class).ok();
    }
    let takes = |reader: &Reader| takes(plan, tx, &reader.selector, item.key);
    let readers: Vec<usize> = (0..feed.readers.len())
        .filter(|at| feed.readers.get(*at).is_some_and(takes))
        .collect();
    let known = |class: &Class| class.side == side && class.feed == index && class.readers == readers;
    let class = match screening.classes.iter().position(known) {
        Some(class) => class,
        None => {
            if screening.classes.len() >= MOST_CLASSES {
                screening.forget(plan);
            }
            let routes = merged(readers.iter().filter_map(|at| feed.readers.get(*at)));
            screening.classes.push(Class {
                feed: index,
                side,
                readers,
                routes,
            });
            screening.classes.len() - 1
        }
    };
    screening.names.keep(place, name, &[class as u64]);
    let class = class as u32;
    if feed.takes_all()
        && let Some(any_name) = screening
            .any_name
            .get_mut(side.index())
            .and_then(|list| list.get_mut(index))
    {
        *any_name = Some(class);
    }
    Some(class)
}

fn takes(plan: &Plan, tx: &Transaction, selection: &Selection, key: Key) -> bool {
    let selected = |selector| collect::selects(plan, tx, selector, key);
    selected(&selection.selector) && !selection.excluded.iter().any(selected)
}

/// The routes of some readers, each chain of transformations once.
fn merged<'r>(readers: impl Iterator<Item = &'r Reader>) -> Vec<Route> {
    let mut routes: Vec<Route> = Vec::new();
    for route in readers.flat_map(|reader| &reader.routes) {
        let same = |known: &&mut Route| known.chain == route.chain && known.forms == route.forms;
        match routes.iter_mut().find(same) {
            Some(known) => add(&mut known.tests, &route.tests),
            None => routes.push(route.clone()),
        }
    }
    routes
}

/// A value, and what is known about it or found out now.
fn see(plan: &Plan, tx: &mut Transaction, screening: &mut Screening, class: u32, item: Item) -> Seen {
    let text = collect::text(tx, item.value);
    let mut set = Set::default();
    let value = tx.texts.get(text);
    if value.len() <= memo::LONGEST
        && let Some((ticket, known)) = screening.values.find(class, value)
    {
        add(&mut set, known);
        return Seen {
            item,
            set,
            ticket: Some(ticket),
        };
    }
    if let Some(class) = screening.classes.get(class as usize) {
        sift(plan, tx, class, text, &mut set);
    }
    Seen {
        item,
        set,
        ticket: screening.values.keep(class, tx.texts.get(text), &set),
    }
}

/// Asks the sieve about a value, in the form that each route makes of it.
fn sift(plan: &Plan, tx: &mut Transaction, class: &Class, text: TextId, set: &mut Set) {
    let side = class.side;
    let Some(sieve) = plan.screens.sieves.get(side.index()) else {
        return;
    };
    let present = tx.texts.present(text);
    // Most values are what their transformations make of them.
    let mut as_it_is = Set::default();
    for route in &class.routes {
        let chain = route.chain.and_then(|at| Some((at, plan.transformations.get(at)?)));
        let Some((index, chain)) = chain.filter(|(_, chain)| chain.touches.concerns(&present)) else {
            add(&mut as_it_is, &route.tests);
            continue;
        };
        match route.forms {
            Forms::Last => {
                let form = tx.texts.last_form(text, index, &chain.steps);
                add_both(set, tx.texts.sifted(form, side, sieve), &route.tests);
            }
            Forms::Each => {
                let mut form = text;
                add_both(set, tx.texts.sifted(form, side, sieve), &route.tests);
                for &step in &chain.steps {
                    form = tx.texts.transformed(form, step);
                    add_both(set, tx.texts.sifted(form, side, sieve), &route.tests);
                }
            }
        }
    }
    if as_it_is.iter().any(|word| *word != 0) {
        add_both(set, tx.texts.sifted(text, side, sieve), &as_it_is);
    }
}

/// The tests that may hold for any value.
pub(super) fn live(tx: &Transaction, phase: Phase) -> &[u64] {
    let values = tx.screening.sides.get(Side::of(phase).index());
    values.map(|values| values.live.as_slice()).unwrap_or_default()
}

/// Whether a rule with this screen may match.
pub(super) fn may_match(tx: &Transaction, screen: Screen) -> bool {
    let values = tx.screening.sides.get(screen.side.index());
    values.is_some_and(|values| sieve::has(&values.live, usize::from(screen.question)))
}

/// Adds the values of a target for which a rule with this screen may match, and where they come from: of what
/// [`collect::collect`] finds, in the same order, all for which the rule's test may hold.
pub(super) fn candidates(
    plan: &Plan,
    tx: &Transaction,
    screen: Screen,
    target: &Target,
    items: &mut Vec<Item>,
    origins: &mut Vec<Origin>,
) {
    let Some(values) = tx.screening.sides.get(screen.side.index()) else {
        return;
    };
    let of_variable = |feed: &Feed| feed.target.variable == target.variable;
    let Some(feed) = feeds(plan, screen.side).iter().position(of_variable) else {
        return;
    };
    let end = |feed: usize| values.ends.get(feed).copied().unwrap_or_default();
    let start = feed.checked_sub(1).map_or(0, end);
    let list = values.seen.get(start..end(feed)).unwrap_or_default();
    for (at, seen) in list.iter().enumerate() {
        if sieve::has(&seen.set, usize::from(screen.question))
            && collect::selects(plan, tx, &target.selector, seen.item.key)
            && !target
                .excluded
                .iter()
                .any(|selector| collect::selects(plan, tx, selector, seen.item.key))
        {
            items.push(seen.item);
            origins.push(Origin(start + at));
        }
    }
}

/// Remembers that a rule with this screen does not match a value, whenever it comes.
pub(super) fn learn(tx: &mut Transaction, screen: Screen, Origin(at): Origin) {
    let Screening { sides, values, .. } = &mut tx.screening;
    let seen = sides.get(screen.side.index()).and_then(|side| side.seen.get(at));
    if let Some(ticket) = seen.and_then(|seen| seen.ticket) {
        values.clear(ticket, usize::from(screen.question));
    }
}

fn add(set: &mut [u64], more: &[u64]) {
    for (word, more) in set.iter_mut().zip(more) {
        *word |= more;
    }
}

/// Adds what is in both sets.
fn add_both(set: &mut [u64], a: &[u64], b: &[u64]) {
    for (word, (a, b)) in set.iter_mut().zip(a.iter().zip(b)) {
        *word |= a & b;
    }
}
