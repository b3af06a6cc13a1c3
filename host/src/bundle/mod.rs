//! Bundles: the unit that operators deploy and roll back.
//!
//! A bundle is a folder, or the tar of one, whose `bundle.toml` names the plugins in the order in which they are called, and
//! for each its component, configuration, data files, capabilities, matcher, limits and failure policy. [`read`] goes from a
//! path to a [`Bundle`] in these steps, each a file of this room:
//!
//! 1. [`source`]: where the files are, and that none lies outside;
//! 2. [`document`]: TOML with places, so that every problem names its line, and all come at once ([`problem`]);
//! 3. [`manifest`]: what the keys mean (durations and sizes are those of [`crate::config::units`]).
//!
//! [`history`] keeps the last good ones on disk. What makes a bundle run is [`crate::plugin`].

pub mod document;
#[cfg(test)]
mod documents;
pub mod history;
pub mod manifest;
pub mod problem;
mod reader;
pub mod source;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use weir_sdk::testing::case::Case;

pub use history::{Entry, History};
pub use manifest::{
    Capabilities, Capability, CounterSpace, Limits, Manifest, OnFailure, TableCheck, TableFile, TableKind,
};
pub use problem::{Problem, Problems};

use crate::config::suggest::nearest;
use source::{Folder, Source, Tar};

/// The manifest's name in every bundle.
pub const MANIFEST: &str = "bundle.toml";

/// A bundle that was read and verified; its files are in memory.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// `[a-z0-9-]`.
    pub name: String,
    /// Free text shown to operators.
    pub version: String,
    /// Of the manifest, every file that it names, and the configurations that were patched.
    pub digest: Digest,
    /// In the order in which they are called on requests; responses go in reverse.
    pub plugins: Vec<Manifest>,
    /// Requests that a candidate has to answer as described before it is activated.
    pub tests: Vec<SelfTest>,
    /// What the manifest is called in messages.
    label: String,
    /// Every file that the manifest names and the manifest itself, by path.
    files: BTreeMap<String, Bytes>,
    /// Whole configurations that replace the manifest's, by plugin.
    patched: BTreeMap<String, Value>,
}

/// A self-test request and the line that it stands on.
#[derive(Debug, Clone)]
pub struct SelfTest {
    /// The line of its `[[test]]` in the manifest.
    pub line: usize,
    /// What is sent and what is expected.
    pub case: Case,
}

/// Reads a bundle from a folder or from a tar file of one.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn read(path: &Path) -> Result<Bundle, Problems> {
    let label = path.display().to_string();
    if path.is_dir() {
        parse(&Folder::open(path)?, &format!("{label}/{MANIFEST}"), BTreeMap::new())
    } else {
        parse(&Tar::open(path)?, &format!("{label}:{MANIFEST}"), BTreeMap::new())
    }
}

/// Reads a bundle from wherever its files are. `patched` replaces whole configurations, by plugin.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn parse(source: &dyn Source, label: &str, patched: BTreeMap<String, Value>) -> Result<Bundle, Problems> {
    let text = source
        .read(MANIFEST)
        .map_err(|message| Problems::one(label, None, message))?;
    let mut parsed = reader::parse(&text, label, source)?;
    let mut files = std::mem::take(&mut parsed.files);
    files.insert(MANIFEST.to_owned(), text);
    for (plugin, config) in &patched {
        // A plugin that is gone has nothing left to patch.
        if let Some(manifest) = parsed.plugins.iter_mut().find(|manifest| *manifest.name == **plugin) {
            manifest.config = config.clone();
        }
    }
    Ok(Bundle {
        name: parsed.name,
        version: parsed.version,
        digest: Digest::of(&files, &patched),
        plugins: parsed.plugins,
        tests: parsed.tests,
        label: label.to_owned(),
        files,
        patched,
    })
}

impl Bundle {
    /// A bundle that was put together in memory, for running plugins outside of a deployment.
    #[must_use]
    pub fn in_memory(name: &str, plugins: Vec<Manifest>) -> Self {
        let files = plugins.iter().flat_map(Manifest::files).collect();
        Self {
            name: name.to_owned(),
            version: "0".to_owned(),
            digest: Digest::of(&files, &BTreeMap::new()),
            plugins,
            tests: Vec::new(),
            label: name.to_owned(),
            files,
            patched: BTreeMap::new(),
        }
    }

    /// The bundle with one plugin's configuration changed by a JSON merge patch (RFC 7396).
    ///
    /// # Errors
    /// When the bundle has no such plugin.
    pub fn with_config_patch(&self, plugin: &str, patch: &Value) -> Result<Self, Problems> {
        let mut bundle = self.clone();
        let Some(manifest) = bundle.plugins.iter_mut().find(|manifest| *manifest.name == *plugin) else {
            let known: Vec<&str> = self.plugins.iter().map(|manifest| &*manifest.name).collect();
            let message = match nearest(plugin, known.iter().copied()) {
                Some(close) => format!("there is no plugin `{plugin}`; did you mean `{close}`?"),
                None => format!("there is no plugin `{plugin}`; there are: {}", known.join(", ")),
            };
            return Err(Problems::one(&self.label, None, message));
        };
        merge(&mut manifest.config, patch);
        bundle.patched.insert(plugin.to_owned(), manifest.config.clone());
        bundle.digest = Digest::of(&bundle.files, &bundle.patched);
        Ok(bundle)
    }

    /// What the manifest is called in messages.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// A problem at a line of the manifest.
    #[must_use]
    pub fn problem(&self, line: usize, message: impl Into<String>) -> Problem {
        Problem::at(&self.label, line, message)
    }
}

/// Applies a merge patch as RFC 7396 §2 describes it.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// What a bundle is, in 32 bytes (BLAKE3).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    fn of(files: &BTreeMap<String, Bytes>, patched: &BTreeMap<String, Value>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for (path, content) in files {
            hasher
                .update(&(path.len() as u64).to_le_bytes())
                .update(path.as_bytes());
            hasher.update(blake3::hash(content).as_bytes());
        }
        for (plugin, config) in patched {
            let config = config.to_string();
            hasher
                .update(&(plugin.len() as u64).to_le_bytes())
                .update(plugin.as_bytes());
            hasher
                .update(&(config.len() as u64).to_le_bytes())
                .update(config.as_bytes());
        }
        Self(*hasher.finalize().as_bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Shares one text between the places that name a plugin.
type Name = Arc<str>;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use serde_json::json;

    use super::*;

    #[test]
    fn merge_patches_as_in_the_appendix_of_rfc_7396() {
        let cases = [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (
                json!({"a":{"b":"c"}}),
                json!({"a":{"b":"d","c":null}}),
                json!({"a":{"b":"d"}}),
            ),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a":"b"}), json!(["c"]), json!(["c"])),
            (json!({"a":"foo"}), json!(null), json!(null)),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ];
        for (mut target, patch, expected) in cases {
            let before = target.clone();
            merge(&mut target, &patch);
            assert_eq!(target, expected, "{before} patched by {patch}");
        }
    }
}
