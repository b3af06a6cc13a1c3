//! Compiled plugins on disk, found again by what they were made of.
//!
//! An artefact is two files in a private folder: `KEY.cwasm` is native code, `KEY.json` says what it is and what its bytes hash to.
//! The second one is written last, so that there is either a whole artefact or none.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::folder::{Folder, Key};
use super::interest::Interest;
use super::phases::PhaseSet;

/// Bytes that the folder may take; what was not used for longest goes first.
const BYTES: u64 = 1 << 30;

/// The folder of compiled plugins.
#[derive(Debug)]
pub(super) struct Artefacts {
    folder: Folder,
}

/// What is known about an artefact besides its code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    /// The phases that `configure` answered.
    pub(super) phases: u8,
    /// Why it is not a snapshot, where it is not.
    pub(super) configured_each: Option<String>,
    /// The tables, where `configure` looked into them.
    pub(super) tables: Option<String>,
    /// What `configure` said that the plugin takes part in.
    #[serde(default)]
    pub(super) interest: Interest,
}

impl Facts {
    pub(super) fn phases(&self) -> PhaseSet {
        PhaseSet::from_bits(self.phases)
    }
}

#[derive(Serialize, Deserialize)]
struct Record {
    checksum: String,
    facts: Facts,
}

impl Artefacts {
    /// Opens the folder, or makes it.
    ///
    /// # Errors
    /// When it belongs to somebody else, or others could write to it: what lies in it is run.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let folder = Folder::open(folder)?;
        Ok(Self { folder })
    }

    /// An artefact that was made before and is whole; anything else is as good as none.
    pub(super) fn find(&self, engine: &Engine, key: Key) -> Option<(Component, Facts)> {
        let (code, record) = self.paths(key);
        let known: Record = serde_json::from_slice(&fs::read(&record).ok()?).ok()?;
        let mut hasher = blake3::Hasher::new();
        io::copy(&mut File::open(&code).ok()?, &mut hasher).ok()?;
        if hasher.finalize().to_hex().as_str() != known.checksum {
            tracing::warn!(file = %code.display(), "a compiled plugin is damaged and is made again");
            return None;
        }
        // SAFETY: deserialize_file runs what the file holds, so that the file has to be what `precompile_component` wrote and
        // must not change while it is mapped. It lies in a folder of mode 0700 that belongs to the user that this process runs
        // as (checked by `Folder::open`), its bytes hash to what was recorded when they were written, and no code here writes to a
        // file of this name in place: `write` renames a new one over it, and `trim` unlinks it, which both leave a mapped one alone.
        // Whoever can change it all the same can replace this program as well. Another version or other settings of wasmtime are
        // an error, not a danger.
        let component = unsafe { Component::deserialize_file(engine, &code) };
        match component {
            Ok(component) => {
                let _ = File::open(&record).map(|record| Folder::used(&record));
                Some((component, known.facts))
            }
            Err(error) => {
                tracing::debug!(file = %code.display(), %error, "a compiled plugin does not fit and is made again");
                None
            }
        }
    }

    /// Keeps an artefact.
    pub(super) fn store(&self, key: Key, code: &[u8], facts: &Facts) -> io::Result<()> {
        let (code_path, record_path) = self.paths(key);
        let record = Record {
            checksum: blake3::hash(code).to_hex().to_string(),
            facts: facts.clone(),
        };
        let record = serde_json::to_vec(&record)?;
        self.folder.write(&code_path, |file| file.write_all(code))?;
        self.folder.write(&record_path, |file| file.write_all(&record))?;
        self.folder.trim(BYTES)
    }

    fn paths(&self, key: Key) -> (PathBuf, PathBuf) {
        (self.folder.path(key, "cwasm"), self.folder.path(key, "json"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::folder::KeyBuilder;
    use super::*;

    const EMPTY: &[u8] = &[0, b'a', b's', b'm', 0x0d, 0, 1, 0];

    fn key(text: &str) -> Key {
        KeyBuilder::default().part(text.as_bytes()).finish()
    }

    fn facts() -> Facts {
        Facts {
            phases: 1,
            configured_each: None,
            tables: None,
            interest: Interest::default(),
        }
    }

    fn folder() -> (tempfile::TempDir, Artefacts, Engine) {
        let folder = tempfile::tempdir().unwrap();
        let artefacts = Artefacts::open(&folder.path().join("artefacts")).unwrap();
        (folder, artefacts, Engine::default())
    }

    #[test]
    fn what_was_stored_is_found_and_nothing_else() {
        let (_folder, artefacts, engine) = folder();
        let code = engine.precompile_component(EMPTY).unwrap();
        artefacts.store(key("a"), &code, &facts()).unwrap();
        assert_eq!(artefacts.find(&engine, key("a")).unwrap().1, facts());
        assert!(artefacts.find(&engine, key("b")).is_none());
    }

    #[test]
    fn a_damaged_or_half_written_artefact_is_none() {
        let (_folder, artefacts, engine) = folder();
        let code = engine.precompile_component(EMPTY).unwrap();
        artefacts.store(key("a"), &code, &facts()).unwrap();
        let (path, record) = artefacts.paths(key("a"));
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(artefacts.find(&engine, key("a")).is_none());
        fs::write(&record, b"{").unwrap();
        assert!(artefacts.find(&engine, key("a")).is_none());
        artefacts.store(key("a"), &code, &facts()).unwrap();
        assert!(artefacts.find(&engine, key("a")).is_some(), "made again");
    }

    #[test]
    fn what_another_version_compiled_is_none() {
        let (_folder, artefacts, engine) = folder();
        artefacts.store(key("a"), b"not code", &facts()).unwrap();
        assert!(artefacts.find(&engine, key("a")).is_none());
    }
}
