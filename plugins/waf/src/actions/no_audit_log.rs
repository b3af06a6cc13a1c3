//! `noauditlog`: a match is not in the audit log. Weir reports a match once, in the access log, and `log` and `nolog` decide
//! about that; so this changes nothing.

use super::{Draft, Scope};

pub(super) fn apply(_: &str, _: &mut Draft, _: &mut Scope<'_>) -> Result<(), String> {
    Ok(())
}
