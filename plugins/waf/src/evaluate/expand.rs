//! Texts with macros, filled in.

use std::borrow::Cow;

use super::collect;
use super::texts::TextId;
use super::transaction::{Datum, Item, Transaction};
use crate::bytes::leading_number;
use crate::compile::plan::{Part, Plan, Selector, Subject, Target, Template};
use crate::variables::Variable;

/// The most that an expanded text may be, in bytes; the rest is cut off.
const MOST: usize = 8 << 10;

/// The text, with each macro replaced by the first value of what it names, or by nothing where there is none.
pub(super) fn bytes<'t>(plan: &Plan, tx: &mut Transaction, template: &'t Template) -> Cow<'t, [u8]> {
    if let Some(constant) = template.constant() {
        return Cow::Borrowed(constant);
    }
    let mut out = Vec::new();
    for part in &template.parts {
        match part {
            Part::Literal(text) => out.extend_from_slice(text),
            Part::Macro(target) => {
                if let Some(item) = first(plan, tx, target) {
                    let text = collect::text(tx, item.value);
                    let text = tx.texts.get(text);
                    out.extend_from_slice(text.get(..MOST).unwrap_or(text));
                }
            }
        }
    }
    out.truncate(MOST);
    Cow::Owned(out)
}

/// The same, kept among the texts of the transaction; of a single macro that is what it stands for.
pub(super) fn text(plan: &Plan, tx: &mut Transaction, template: &Template) -> TextId {
    if let Some(datum) = datum(plan, tx, template) {
        return collect::text(tx, datum);
    }
    let text = bytes(plan, tx, template);
    tx.texts.push(&text)
}

/// The text as a number, without writing out what is one already.
pub(super) fn number(plan: &Plan, tx: &mut Transaction, template: &Template) -> i64 {
    match datum(plan, tx, template) {
        Some(Datum::Number(number)) => number,
        Some(Datum::Text(text)) => leading_number(tx.texts.get(text)),
        None => leading_number(&bytes(plan, tx, template)),
    }
}

/// The value of a text that is nothing but one macro, as [`text`] gives it, but with its number not written out.
pub(super) fn datum(plan: &Plan, tx: &mut Transaction, template: &Template) -> Option<Datum> {
    let [Part::Macro(target)] = template.parts.as_slice() else {
        return None;
    };
    let datum = first(plan, tx, target).map_or(Datum::Text(TextId::EMPTY), |item| item.value);
    match datum {
        Datum::Text(text) if tx.texts.get(text).len() > MOST => None,
        datum => Some(datum),
    }
}

fn first(plan: &Plan, tx: &mut Transaction, target: &Target) -> Option<Item> {
    if let (Variable::Tx, Selector::Slot(slot), Subject::Values, []) = (
        target.variable,
        &target.selector,
        target.subject,
        target.excluded.as_slice(),
    ) {
        return collect::slot(*slot, tx.tx.get(*slot));
    }
    let mut items = std::mem::take(&mut tx.expansion);
    items.clear();
    collect::collect(plan, tx, target, &mut items);
    let first = items.first().copied();
    tx.expansion = items;
    first
}
