//! Whether a rule may match at all: the union, over all values that it looks at, of what the sieve says about them. It is made
//! when the first rule of a group asks, and holds until the exchange brings other values.

use super::collect;
use super::texts::TextId;
use super::transaction::Transaction;
use crate::bytes::ByteSet;
use crate::compile::plan::{Forms, Plan, Target};
use crate::compile::screens::{Cell, Screen, Source};
use crate::compile::sieve::{self, Sieve};
use crate::transformations::Touches;

/// What the groups, cells and sources of a plan know.
#[derive(Debug, Default)]
pub(super) struct Screening {
    age: Age,
    groups: Known,
    cells: Known,
    /// Of each side, for each source, what the sieve says about its values as they are.
    plain: [Known; 2],
    sources: Vec<Option<Values>>,
    /// The values of all sources, one after the other.
    texts: Vec<TextId>,
}

/// Whether what is known is about the values that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Age {
    Current,
    #[default]
    Outdated,
}

/// The values of a source.
#[derive(Debug, Clone, Copy)]
struct Values {
    start: u32,
    end: u32,
    /// The bytes that occur in any of them.
    present: ByteSet,
}

/// Sets of tests, each of so many words, some of them not made yet.
#[derive(Debug, Default)]
struct Known {
    made: Vec<bool>,
    sets: Vec<u64>,
}

impl Known {
    fn reset(&mut self, number: usize, words: usize) {
        self.made.clear();
        self.made.resize(number, false);
        // A set that is not made is not looked at.
        self.sets.resize(number * words, 0);
    }

    fn get(&self, index: usize, words: usize) -> Option<&[u64]> {
        let made = self.made.get(index).copied().unwrap_or_default();
        self.sets.get(index * words..(index + 1) * words).filter(|_| made)
    }

    fn set(&mut self, index: usize, words: usize, set: &[u64]) {
        if let Some(made) = self.made.get_mut(index) {
            *made = true;
        }
        if let Some(place) = self.sets.get_mut(index * words..(index + 1) * words) {
            place.copy_from_slice(set);
        }
    }
}

/// A set of tests while it is made.
type Set = [u64; sieve::MOST_WORDS];

impl Screening {
    /// There are other values now.
    pub(super) fn outdate(&mut self) {
        self.age = Age::Outdated;
    }
}

/// Forgets what is known, where there are other values now. A phase that brings no value, like that of an empty body, does not
/// ask again.
pub(super) fn refresh(plan: &Plan, tx: &mut Transaction) {
    if std::mem::replace(&mut tx.screening.age, Age::Current) == Age::Current {
        return;
    }
    let screens = &plan.screens;
    let words = words(plan);
    tx.screening.groups.reset(screens.groups.len(), words);
    tx.screening.cells.reset(screens.cells.len(), words);
    for (plain, sieve) in tx.screening.plain.iter_mut().zip(&screens.sieves) {
        plain.reset(screens.sources.len(), sieve.words());
    }
    tx.screening.sources.clear();
    tx.screening.sources.resize(screens.sources.len(), None);
    tx.screening.texts.clear();
}

/// Whether a rule with this screen may match.
pub(super) fn may_match(plan: &Plan, tx: &mut Transaction, screen: Screen) -> bool {
    let (group, words) = (usize::from(screen.group), words(plan));
    if tx.screening.groups.get(group, words).is_none() {
        let mut union = Set::default();
        for &cell in plan
            .screens
            .groups
            .get(group)
            .map(|group| group.cells.as_slice())
            .unwrap_or_default()
        {
            let Some(known) = plan.screens.cells.get(cell) else {
                continue;
            };
            if has_values(plan, tx, known.source) {
                add_cell(plan, tx, cell, *known, &mut union);
            }
        }
        tx.screening
            .groups
            .set(group, words, union.get(..words).unwrap_or_default());
    }
    let known = tx.screening.groups.get(group, words);
    known.is_none_or(|set| sieve::has(set, usize::from(screen.question)))
}

/// Whether a rule with this screen may match in a value of one of its targets. Its group has been asked before.
pub(super) fn may_match_in(plan: &Plan, tx: &Transaction, screen: Screen, target: usize) -> bool {
    let group = plan.screens.groups.get(usize::from(screen.group));
    let Some(&cell) = group.and_then(|group| group.cells.get(target)) else {
        return true;
    };
    let source = plan.screens.cells.get(cell).map(|cell| cell.source);
    let values = source.and_then(|source| tx.screening.sources.get(source)?.as_ref());
    if values.is_some_and(|values| values.start == values.end) {
        return false;
    }
    let known = tx.screening.cells.get(cell, words(plan));
    known.is_none_or(|set| sieve::has(set, usize::from(screen.question)))
}

/// So that sets of both sides have the same length.
fn words(plan: &Plan) -> usize {
    let [request, response] = &plan.screens.sieves;
    request.words().max(response.words())
}

/// Whether there are values of a source. Of most requests, most sources are empty.
fn has_values(plan: &Plan, tx: &mut Transaction, source: usize) -> bool {
    let known = match tx.screening.sources.get(source) {
        Some(Some(known)) => Some((known.start, known.end)),
        _ => values(plan, tx, source).map(|known| (known.start, known.end)),
    };
    known.is_some_and(|(start, end)| start < end)
}

fn add_cell(plan: &Plan, tx: &mut Transaction, index: usize, cell: Cell, union: &mut Set) {
    let words = words(plan);
    if tx.screening.cells.get(index, words).is_none() {
        let mut set = Set::default();
        make_cell(plan, tx, cell, &mut set);
        tx.screening
            .cells
            .set(index, words, set.get(..words).unwrap_or_default());
    }
    add(union, tx.screening.cells.get(index, words).unwrap_or_default());
}

fn make_cell(plan: &Plan, tx: &mut Transaction, cell: Cell, set: &mut Set) {
    let Some(values) = values(plan, tx, cell.source) else {
        return;
    };
    let Some(sieve) = plan.screens.sieves.get(cell.side.index()) else {
        return;
    };
    let chain = cell
        .chain
        .and_then(|index| Some((index, plan.transformations.get(index)?)));
    let chain = chain.filter(|(_, chain)| chain.touches.concerns(&values.present));
    let Some((index, chain)) = chain else {
        return add_plain(tx, cell, sieve, values, set);
    };
    for at in values.start..values.end {
        let Some(&text) = tx.screening.texts.get(at as usize) else {
            return;
        };
        if let Touches::Bytes(bytes) = &chain.touches
            && !bytes.intersects(&tx.texts.present(text))
        {
            add(set, tx.texts.sifted(text, cell.side, sieve));
        } else if cell.forms == Forms::Last {
            let form = tx.texts.last_form(text, index, &chain.steps);
            add(set, tx.texts.sifted(form, cell.side, sieve));
        } else {
            let mut form = text;
            add(set, tx.texts.sifted(form, cell.side, sieve));
            for &step in &chain.steps {
                form = tx.texts.transformed(form, step);
                add(set, tx.texts.sifted(form, cell.side, sieve));
            }
        }
    }
}

/// The values of a source as they are. Most cells are that, because most values are what their transformations make of them.
fn add_plain(tx: &mut Transaction, cell: Cell, sieve: &Sieve, values: Values, set: &mut Set) {
    let words = sieve.words();
    let Screening { plain, texts, .. } = &mut tx.screening;
    let Some(plain) = plain.get_mut(cell.side.index()) else {
        return;
    };
    if let Some(known) = plain.get(cell.source, words) {
        return add(set, known);
    }
    let mut union = Set::default();
    for text in texts
        .get(values.start as usize..values.end as usize)
        .unwrap_or_default()
    {
        add(&mut union, tx.texts.sifted(*text, cell.side, sieve));
    }
    plain.set(cell.source, words, union.get(..words).unwrap_or_default());
    add(set, &union);
}

fn values(plan: &Plan, tx: &mut Transaction, source: usize) -> Option<Values> {
    if let Some(known) = tx.screening.sources.get(source).copied().flatten() {
        return Some(known);
    }
    let target = plan
        .screens
        .sources
        .get(source)
        .and_then(|source| target(plan, *source))?;
    let mut items = std::mem::take(&mut tx.scratch);
    items.clear();
    collect::collect(plan, tx, target, &mut items);
    let start = tx.screening.texts.len() as u32;
    let mut present = ByteSet::EMPTY;
    for item in &items {
        let text = collect::text(tx, item.value);
        present = present.union(tx.texts.present(text));
        tx.screening.texts.push(text);
    }
    tx.scratch = items;
    let values = Values {
        start,
        end: tx.screening.texts.len() as u32,
        present,
    };
    *tx.screening.sources.get_mut(source)? = Some(values);
    Some(values)
}

fn target(plan: &Plan, source: Source) -> Option<&Target> {
    plan.rules.get(source.rule)?.links.first()?.targets.get(source.target)
}

fn add(set: &mut [u64], more: &[u64]) {
    for (word, more) in set.iter_mut().zip(more) {
        *word |= more;
    }
}
