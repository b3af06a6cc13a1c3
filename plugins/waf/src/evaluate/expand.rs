//! Texts with macros, filled in.

use std::borrow::Cow;

use super::collect;
use super::texts::TextId;
use super::transaction::{Datum, Item, Transaction};
use crate::bytes::leading_number;
use crate::compile::plan::{Part, Plan, Target, Template};

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
    if let [Part::Macro(target)] = template.parts.as_slice() {
        let Some(item) = first(plan, tx, target) else {
            return TextId::EMPTY;
        };
        let text = collect::text(tx, item.value);
        if tx.texts.get(text).len() <= MOST {
            return text;
        }
    }
    let text = bytes(plan, tx, template);
    tx.texts.push(&text)
}

/// The text as a number, without writing out what is one already.
pub(super) fn number(plan: &Plan, tx: &mut Transaction, template: &Template) -> i64 {
    if let [Part::Macro(target)] = template.parts.as_slice() {
        return match first(plan, tx, target).map(|item| item.value) {
            Some(Datum::Number(number)) => number,
            Some(Datum::Text(text)) => leading_number(tx.texts.get(text)),
            None => 0,
        };
    }
    leading_number(&bytes(plan, tx, template))
}

fn first(plan: &Plan, tx: &mut Transaction, target: &Target) -> Option<Item> {
    let mut items = std::mem::take(&mut tx.expansion);
    items.clear();
    collect::collect(plan, tx, target, &mut items);
    let first = items.first().copied();
    tx.expansion = items;
    first
}
