//! `@ipMatchFromFile NAME`: as `@ipMatch`, with one network a line; `#` starts a comment.

use super::{Test, ip_match, pm_from_file};
use crate::seclang::Files;

pub(super) fn build(argument: &str, files: &dyn Files) -> Result<Test, String> {
    let lines = pm_from_file::read_lines(argument, files)?;
    ip_match::Networks::of(lines.iter().map(String::as_str)).map(Test::Networks)
}
