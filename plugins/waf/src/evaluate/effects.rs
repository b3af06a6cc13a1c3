//! What a match does beside what happens to the request: `setvar` and `ctl`.

use super::expand;
use super::transaction::Transaction;
use super::tx::Value;
use crate::bytes::leading_number;
use crate::compile::plan::{Access, Change, Control, Effect, Plan, Preset, SetVariable, Template, TxName};

/// Fills `TX` with what it holds when a transaction starts.
pub(super) fn preset(plan: &Plan, tx: &mut Transaction) {
    for (slot, preset) in &plan.presets {
        let value = match preset {
            Preset::Number(number) => Value::Number(*number),
            Preset::Text(text) => Value::Text(tx.texts.push(text)),
        };
        tx.tx.set(*slot, value);
    }
}

/// Applies one.
pub(super) fn apply(plan: &Plan, tx: &mut Transaction, effect: &Effect) {
    match effect {
        Effect::Set(set) => set_variable(plan, tx, set),
        Effect::Control(change) => control(plan, tx, change),
        Effect::Open { .. } => {}
    }
}

fn set_variable(plan: &Plan, tx: &mut Transaction, set: &SetVariable) {
    let name = match &set.name {
        TxName::Slot(_) => Vec::new(),
        TxName::Dynamic(template) => expand::bytes(plan, tx, template).to_ascii_lowercase(),
    };
    let before = match &set.name {
        TxName::Slot(slot) => tx.tx.get(*slot),
        TxName::Dynamic(_) => tx.tx.get_named(&plan.names, &name),
    };
    let before = match before {
        Value::Unset => 0,
        Value::Number(number) => number,
        Value::Text(text) => leading_number(tx.texts.get(text)),
    };
    let value = match &set.change {
        Change::Remove => Value::Unset,
        Change::Add(template) => Value::Number(before.saturating_add(expand::number(plan, tx, template))),
        Change::Subtract(template) => Value::Number(before.saturating_sub(expand::number(plan, tx, template))),
        Change::Assign(template) => assigned(plan, tx, template),
    };
    match &set.name {
        TxName::Slot(slot) => tx.tx.set(*slot, value),
        TxName::Dynamic(_) => tx.tx.set_named(&plan.names, &name, value),
    }
}

/// Text that is exactly how a number is written becomes that number.
fn assigned(plan: &Plan, tx: &mut Transaction, template: &Template) -> Value {
    let text = expand::bytes(plan, tx, template);
    let plain = match text.as_ref() {
        [b'0'] => true,
        [b'1'..=b'9', digits @ ..] => digits.len() < 18 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if plain {
        Value::Number(leading_number(&text))
    } else {
        Value::Text(tx.texts.push(&text))
    }
}

fn control(plan: &Plan, tx: &mut Transaction, control: &Control) {
    match control {
        Control::Engine(mode) => tx.mode = *mode,
        Control::AuditEngine(mode) => tx.audit = *mode,
        Control::RemoveRules(pick) => {
            if let Some(rules) = plan.picks.get(*pick) {
                tx.removed.extend(rules);
            }
        }
        Control::RemoveTarget {
            rules,
            variable,
            selector,
        } => {
            // A rule that matches many values would add the same exclusion many times.
            let known = |(pick, known, _): &(usize, _, _)| pick == rules && known == variable;
            if !tx.excluded.iter().any(known) {
                tx.excluded.push((*rules, *variable, selector.clone()));
            }
        }
        Control::RequestBodyAccess(access) => tx.request_body = *access,
        Control::RequestBodyProcessor(processor) => tx.body.processor = (*processor).into(),
        Control::ForceRequestBodyVariable(Access::On) => tx.body.force(),
        Control::ForceRequestBodyVariable(Access::Off) => {}
        Control::ResponseBodyAccess(access) => tx.response_body = *access,
    }
}
