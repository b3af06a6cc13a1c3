//! `phase:2`: when the rule runs.

use super::{Draft, Scope};
use crate::compile::plan::Phase;

pub(super) fn apply(value: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    draft.phase = Some(match value.to_ascii_lowercase().as_str() {
        "1" => Phase::RequestHeaders,
        "2" | "request" => Phase::RequestBody,
        "3" => Phase::ResponseHeaders,
        "4" | "response" => Phase::ResponseBody,
        "5" | "logging" => Phase::Logging,
        _ => return Err(format!("\"{value}\" is not 1 to 5, request, response or logging")),
    });
    Ok(())
}
