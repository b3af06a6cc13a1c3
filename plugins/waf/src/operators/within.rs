//! `@within`: the value occurs in the argument, which is how a list of allowed words is written.

use super::Test;
use crate::bytes::find;
use crate::seclang::Files;

pub(super) fn build(_argument: &str, _files: &dyn Files) -> Result<Test, String> {
    Ok(Test::Text(|value, argument| find(argument, value).is_some()))
}
