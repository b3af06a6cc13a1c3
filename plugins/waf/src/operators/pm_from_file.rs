//! `@pmFromFile NAME...`: as `@pm`, with one phrase a line, blanks included; `#` starts a comment line.

use super::{Test, pm};
use crate::seclang::Files;

pub(super) fn build(argument: &str, files: &dyn Files) -> Result<Test, String> {
    let mut phrases = Vec::new();
    for name in argument.split_ascii_whitespace() {
        phrases.extend(read_lines(name, files)?);
    }
    pm::Phrases::of(phrases.into_iter().map(String::into_bytes)).map(Test::Phrases)
}

/// The lines of a file without comments, empty lines and blanks around.
pub(super) fn read_lines(name: &str, files: &dyn Files) -> Result<Vec<String>, String> {
    let name = name.trim();
    let Some(text) = files.read(name) else {
        return Err(format!(
            "there is no file \"{name}\"; list it under [plugin.data] in bundle.toml by this name"
        ));
    };
    let Ok(text) = String::from_utf8(text) else {
        return Err(format!("the file \"{name}\" is not UTF-8"));
    };
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}
