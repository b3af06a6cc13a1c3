//! `@eq`: the numbers are equal.

use super::Test;
use crate::seclang::Files;

pub(super) fn build(_argument: &str, _files: &dyn Files) -> Result<Test, String> {
    Ok(Test::Number(|value, argument| value == argument))
}
