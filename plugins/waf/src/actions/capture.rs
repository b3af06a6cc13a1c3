//! `capture`: the groups of a match are kept in `TX:0` to `TX:9`.

use super::{Draft, Scope};
use crate::compile::plan::Capture;

pub(super) fn apply(_: &str, draft: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    draft.capture = Some(Capture::Keep);
    Ok(())
}
