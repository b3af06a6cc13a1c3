//! What a match does beside what happens to the request: `setvar` and its kin, `initcol`, `setenv` and `ctl`.

use std::time::Duration;

use super::transaction::{Datum, Transaction};
use super::tx::Value;
use super::{expand, withheld};
use crate::bytes::{leading_number, plain_number};
use crate::compile::names::Slot;
use crate::compile::plan::{
    Access, Change, Control, Effect, KeptChange, Persistent, Plan, Preset, SetVariable, Template, TxName,
};

/// How many names `ENV` holds.
const MOST_ENVIRONMENT: usize = 100;

/// Fills `TX` with what it holds when a transaction starts.
pub(super) fn preset(plan: &Plan, tx: &mut Transaction) {
    for (slot, preset) in &plan.presets {
        assign(tx, *slot, preset);
    }
}

/// Sets a name in `TX`.
pub(super) fn assign(tx: &mut Transaction, slot: Slot, preset: &Preset) {
    let value = match preset {
        Preset::Number(number) => Value::Number(*number),
        Preset::Text(text) => Value::Text(tx.texts.push(text)),
    };
    tx.tx.set(slot, value);
}

/// Applies one.
pub(super) fn apply(plan: &Plan, tx: &mut Transaction, effect: &Effect) {
    match effect {
        Effect::Set(set) => set_variable(plan, tx, set),
        Effect::Control(change) => control(plan, tx, change),
        Effect::Open { collection, key } => {
            let key = expand::bytes(plan, tx, key);
            let application = &plan.settings.application;
            tx.kept.open(*collection, application, &key, &mut tx.texts);
        }
        Effect::Keep {
            collection,
            name,
            change,
        } => keep(plan, tx, *collection, name, change),
        Effect::Sanitise(what) => {
            let matched = tx.matched.last().copied();
            let name = matched.and_then(|item| Some(tx.texts.get(withheld::key_text(item)?)));
            let matched = matched.map(|item| (item, name.unwrap_or_else(|| item.variable.name().as_bytes())));
            tx.withheld.add(what, matched);
        }
        Effect::SetEnvironment { name, value } => set_environment(plan, tx, name, value.as_ref()),
    }
}

fn set_variable(plan: &Plan, tx: &mut Transaction, set: &SetVariable) {
    let name = match &set.name {
        TxName::Slot(_) => Vec::new(),
        TxName::Dynamic(template) => {
            let mut name = expand::bytes(plan, tx, template).into_owned();
            name.make_ascii_lowercase();
            name
        }
    };
    let before = match (&set.name, &set.change) {
        (_, Change::Assign(_) | Change::Remove) => Value::Unset,
        (TxName::Slot(slot), _) => tx.tx.get(*slot),
        (TxName::Dynamic(_), _) => tx.tx.get_named(&plan.names, &name, &tx.texts),
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
        TxName::Dynamic(_) => tx.tx.set_named(&plan.names, &name, value, &mut tx.texts),
    }
}

fn keep(plan: &Plan, tx: &mut Transaction, collection: Persistent, name: &Template, change: &KeptChange) {
    let name = expand::bytes(plan, tx, name).to_ascii_lowercase();
    tx.kept.read(collection, tx.services, &mut tx.texts);
    let seconds = |number: i64| Duration::from_secs(number.try_into().unwrap_or(0));
    match change {
        KeptChange::Set(Change::Remove) => tx.kept.set(collection, &name, Value::Unset),
        KeptChange::Set(Change::Assign(template)) => {
            let value = assigned(plan, tx, template);
            tx.kept.set(collection, &name, value);
        }
        KeptChange::Set(Change::Add(template)) => {
            let by = expand::number(plan, tx, template);
            tx.kept.add(collection, &name, by, &tx.texts);
        }
        KeptChange::Set(Change::Subtract(template)) => {
            let by = expand::number(plan, tx, template);
            tx.kept.add(collection, &name, by.saturating_neg(), &tx.texts);
        }
        KeptChange::Expire(after) => {
            let after = seconds(expand::number(plan, tx, after));
            tx.kept.expire(collection, &name, after, tx.services);
        }
        KeptChange::Deprecate { amount, period } => {
            let amount = expand::number(plan, tx, amount);
            let period = seconds(expand::number(plan, tx, period));
            tx.kept
                .deprecate(collection, &name, amount, period, tx.services, &tx.texts);
        }
    }
}

fn set_environment(plan: &Plan, tx: &mut Transaction, name: &Template, value: Option<&Template>) {
    let name: Box<[u8]> = expand::bytes(plan, tx, name).as_ref().into();
    tx.environment.retain(|(known, _)| *known != name);
    if let Some(value) = value
        && tx.environment.len() < MOST_ENVIRONMENT
    {
        let value = expand::bytes(plan, tx, value);
        tx.environment.push((name, tx.texts.push(&value)));
    }
}

fn assigned(plan: &Plan, tx: &mut Transaction, template: &Template) -> Value {
    match expand::datum(plan, tx, template) {
        Some(Datum::Number(number)) => Value::Number(number),
        Some(Datum::Text(text)) => plain_number(tx.texts.get(text)).map_or(Value::Text(text), Value::Number),
        None => {
            let text = expand::bytes(plan, tx, template);
            match plain_number(&text) {
                Some(number) => Value::Number(number),
                None => Value::Text(tx.texts.push(&text)),
            }
        }
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
        Control::RemoveTarget(exclusion) => {
            // A rule that matches many values would add the same exclusion many times.
            if !tx.excluded.contains(exclusion) {
                tx.excluded.push(*exclusion);
            }
        }
        Control::RequestBodyLimit(limit) => tx.request_limit = Some(*limit),
        Control::ResponseBodyLimit(limit) => tx.response_limit = Some(*limit),
        Control::RequestBodyAccess(access) => tx.request_body = *access,
        Control::RequestBodyProcessor(processor) => tx.body.processor = (*processor).into(),
        Control::ForceRequestBodyVariable(Access::On) => tx.body.force(),
        Control::ForceRequestBodyVariable(Access::Off) => {}
        Control::ResponseBodyAccess(access) => tx.response_body = *access,
    }
}
