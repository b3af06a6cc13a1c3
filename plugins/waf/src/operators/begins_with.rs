//! `@beginsWith`: the value starts with the argument.

use super::Test;
use crate::seclang::Files;

pub(super) fn build(_argument: &str, _files: &dyn Files) -> Result<Test, String> {
    Ok(Test::Text(|value, argument| value.starts_with(argument)))
}
