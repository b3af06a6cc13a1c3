//! The project that `weir plugin new` makes: the files of `sdk/template`, with the name filled in.

use std::path::PathBuf;

/// Where the new project finds this crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In a registry, by its version.
    Version(String),
    /// In a folder.
    Path(PathBuf),
}

/// A file of the project: its path inside and its content.
pub type File = (&'static str, String);

const FILES: [(&str, &str); 6] = [
    ("Cargo.toml", include_str!("../template/Cargo.toml.template")),
    ("src/lib.rs", include_str!("../template/src/lib.rs")),
    ("cases.toml", include_str!("../template/cases.toml")),
    ("bundle.toml", include_str!("../template/bundle.toml")),
    ("README.md", include_str!("../template/README.md")),
    (".gitignore", include_str!("../template/gitignore")),
];

/// The files of a project with this name.
///
/// # Errors
/// When the name cannot be both a crate's and a plugin's: lower-case letters, digits and single hyphens, a letter first.
pub fn render(name: &str, sdk: &Source) -> Result<Vec<File>, String> {
    check(name)?;
    let sdk = match sdk {
        Source::Version(version) => format!("version = {version:?}"),
        // Written as JSON strings are, which TOML's basic strings understand.
        Source::Path(path) => format!("path = {}", serde_json::Value::from(path.to_string_lossy())),
    };
    let fill = |text: &str| text.replace("{{name}}", name).replace("{{sdk}}", &sdk);
    Ok(FILES.iter().map(|(path, text)| (*path, fill(text))).collect())
}

fn check(name: &str) -> Result<(), String> {
    // What the new crate depends on cannot be the new crate.
    const TAKEN: [&str; 4] = ["serde", "weir-sdk", "test", "core"];
    let words = name.split('-').all(|word| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    });
    if !words || !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        Err(format!(
            "{name:?} is no name for a plugin: lower-case letters, digits and single hyphens, like rate-limit"
        ))
    } else if TAKEN.contains(&name) {
        Err(format!(
            "{name:?} is the name of another crate: choose one like my-{name}"
        ))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_placeholder_is_filled_in() {
        for (path, text) in render("rate-limit", &Source::Version("0.1".to_owned())).unwrap() {
            assert!(!text.contains("{{"), "{path}");
        }
    }

    #[test]
    fn the_project_depends_on_the_sdk_in_both_ways() {
        let files = render("a", &Source::Path(PathBuf::from("/weir \"1\"/sdk"))).unwrap();
        let (_, manifest) = &files[0];
        assert!(
            manifest.contains(r#"weir-sdk = { path = "/weir \"1\"/sdk" }"#),
            "{manifest}"
        );
        assert!(
            manifest.contains(r#"weir-sdk = { path = "/weir \"1\"/sdk", features = ["testing"] }"#),
            "{manifest}"
        );
    }

    #[test]
    fn a_name_that_cargo_or_the_bundle_refuses_is_refused_first() {
        for name in ["", "A", "a_b", "1a", "-a", "a-", "a--b", "a/b", "..", "ä", "serde"] {
            assert!(render(name, &Source::Version("0.1".to_owned())).is_err(), "{name:?}");
        }
    }
}
