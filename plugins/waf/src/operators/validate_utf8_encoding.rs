//! `@validateUtf8Encoding`: the value is *not* valid UTF-8 (RFC 3629: no overlong forms, no surrogates).

use super::Test;
use crate::seclang::Files;

pub(super) fn build(_argument: &str, _files: &dyn Files) -> Result<Test, String> {
    Ok(Test::Value(|value| std::str::from_utf8(value).is_err()))
}
