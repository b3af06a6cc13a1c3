//! Every manifest that the documentation shows is one: it is read by what reads bundles.
//!
//! A fenced block of TOML that has a `[[plugin]]` is a manifest, or a part of one without its first lines.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::source::Source;
use super::{MANIFEST, parse};

#[test]
fn manifests_in_documents_are_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut seen = BTreeMap::new();
    for folder in ["docs", "plugins", "sdk"] {
        for document in documents(&root.join(folder)) {
            for (line, text) in manifests(&fs::read_to_string(&document).unwrap()) {
                let label = format!("{}:{line}+", document.display());
                let parsed = parse(&Shown(text), &label, BTreeMap::new());
                assert!(parsed.is_ok(), "{}", parsed.unwrap_err());
                *seen.entry(folder).or_insert(0) += 1;
            }
        }
    }
    // As many as there are plugins and examples: none was overlooked.
    assert!(
        seen["plugins"] >= 5 && seen["sdk"] >= 3 && seen["docs"] >= 2,
        "{seen:?}"
    );
}

fn documents(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            found.extend(documents(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

/// The manifests in a document, and the lines before them.
fn manifests(document: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in document.lines().enumerate() {
        match &mut open {
            None if line == "```toml" => open = Some((index + 1, String::new())),
            None => {}
            Some(_) if line == "```" => blocks.extend(open.take()),
            Some((_, text)) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    blocks.retain(|(_, text)| text.lines().any(|line| line.starts_with("[[plugin]]")));
    for (_, text) in &mut blocks {
        let named = text.lines().take_while(|line| !line.starts_with('['));
        if !named.into_iter().any(|line| line.starts_with("name")) {
            text.insert_str(0, "name = \"shown\"\nversion = \"1\"\n");
        }
    }
    blocks
}

/// A manifest and whatever files it names.
struct Shown(String);

impl Source for Shown {
    fn read(&self, path: &str) -> Result<Bytes, String> {
        Ok(match path {
            MANIFEST => self.0.clone().into(),
            _ => Bytes::from_static(b"content"),
        })
    }
}
