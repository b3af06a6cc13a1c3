//! `@contains`: the argument occurs in the value.

use super::Test;
use crate::bytes::find;
use crate::seclang::Files;

pub(super) fn build(_argument: &str, _files: &dyn Files) -> Result<Test, String> {
    Ok(Test::Text(|value, argument| find(value, argument).is_some()))
}
