//! `@endsWith`: the value ends with the argument.

use super::Test;
use crate::seclang::Files;

pub(super) fn build(_argument: &str, _files: &dyn Files) -> Result<Test, String> {
    Ok(Test::Text(|value, argument| value.ends_with(argument)))
}
