//! `sanitiseArg:password` and its kin: what must not be in audit events. What the proxy knows to be secret (`Authorization`,
//! cookies) never is, whatever rules say.

use super::{Draft, Scope};
use crate::compile::plan::{Effect, Sanitise};

/// `sanitiseArg:name`
pub(super) fn argument(value: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    push(draft, Sanitise::Argument(value.trim().as_bytes().into()))
}

/// `sanitiseRequestHeader:name`
pub(super) fn request_header(value: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    push(draft, Sanitise::RequestHeader(value.trim().as_bytes().into()))
}

/// `sanitiseResponseHeader:name`
pub(super) fn response_header(value: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    push(draft, Sanitise::ResponseHeader(value.trim().as_bytes().into()))
}

/// `sanitiseMatched`: the argument or header that matched.
pub(super) fn matched(_: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    push(draft, Sanitise::Matched)
}

/// `sanitiseMatchedBytes:1/4`: the bytes that matched but for some at either end. All of the value is withheld, which is more.
pub(super) fn matched_bytes(value: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    let number = |text: &str| text.trim().parse::<u32>().is_ok();
    let is_right = value.is_empty()
        || value
            .split_once('/')
            .is_some_and(|(start, end)| number(start) && number(end));
    if !is_right {
        return Err(format!(
            "\"{value}\" is not a number of bytes at either end, such as 1/4"
        ));
    }
    push(draft, Sanitise::Matched)
}

fn push(draft: &mut Draft, what: Sanitise) -> Result<(), String> {
    draft.effects.push(Effect::Sanitise(what));
    Ok(())
}
