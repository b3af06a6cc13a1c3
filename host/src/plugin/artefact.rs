//! Compiled plugins on disk, found again by what they were made of.
//!
//! An artefact is two files in a private folder: `KEY.cwasm` is native code, `KEY.json` says what it is and what its bytes hash to.
//! Both are written under another name and renamed, the second one last, so that there is either a whole artefact or none.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::phases::PhaseSet;

/// Bytes that the folder may take; what was not used for longest goes first.
const BYTES: u64 = 1 << 30;

/// The folder of compiled plugins.
#[derive(Debug)]
pub(super) struct Artefacts {
    folder: PathBuf,
}

/// What an artefact was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(blake3::Hash);

/// What is known about an artefact besides its code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    /// The phases that `configure` answered.
    pub(super) phases: u8,
    /// Why it is not a snapshot, where it is not.
    pub(super) configured_each: Option<String>,
    /// The tables, where `configure` looked into them.
    pub(super) tables: Option<String>,
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
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let metadata = fs::symlink_metadata(folder)?;
        // SAFETY: geteuid has no preconditions and cannot fail.
        let me = unsafe { libc::geteuid() };
        if !metadata.is_dir() || metadata.uid() != me {
            let message = format!(
                "{} has to be a folder that belongs to the user that Weir runs as",
                folder.display()
            );
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        }
        Ok(Self {
            folder: folder.to_owned(),
        })
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
        // as (checked by `open`), its bytes hash to what was recorded when they were written, and no code here writes to a file
        // of this name in place: `store` renames a new one over it, and `trim` unlinks it, which both leave a mapped one alone.
        // Whoever can change it all the same can replace this program as well. Another version or other settings of wasmtime are
        // an error, not a danger.
        let component = unsafe { Component::deserialize_file(engine, &code) };
        match component {
            Ok(component) => {
                // Marks it as used. Nothing depends on it but what goes first when space is needed.
                let _ = File::open(&record).and_then(|file| file.set_modified(SystemTime::now()));
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
        self.write(&code_path, code)?;
        self.write(&record_path, &serde_json::to_vec(&record)?)?;
        self.trim(BYTES)
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut temporary = tempfile::Builder::new()
            .prefix(".writing-")
            .make_in(&self.folder, |path| {
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
            })?;
        temporary.write_all(content)?;
        temporary.as_file().sync_all()?;
        temporary.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// Removes what was not used for longest, until the rest fits; and what a crash left half written.
    fn trim(&self, limit: u64) -> io::Result<()> {
        let mut artefacts = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let code = path.with_extension("cwasm");
                let bytes = fs::metadata(&code).map_or(0, |metadata| metadata.len());
                let used = fs::metadata(&path)
                    .and_then(|metadata| metadata.modified())
                    .unwrap_or(SystemTime::UNIX_EPOCH);
                artefacts.push((used, bytes, path, code));
            }
        }
        artefacts.sort_by_key(|artefact| std::cmp::Reverse(artefact.0));
        let mut total: u64 = 0;
        for (index, (_, bytes, record, code)) in artefacts.into_iter().enumerate() {
            total = total.saturating_add(bytes);
            // The newest one stays, however large: it was made to be used now.
            if total > limit && index > 0 {
                fs::remove_file(record)?;
                fs::remove_file(code)?;
            }
        }
        Ok(())
    }

    fn paths(&self, key: Key) -> (PathBuf, PathBuf) {
        let name = key.0.to_hex();
        (
            self.folder.join(format!("{name}.cwasm")),
            self.folder.join(format!("{name}.json")),
        )
    }
}

/// Collects what an artefact is made of.
#[derive(Default)]
pub(super) struct KeyBuilder(blake3::Hasher);

impl KeyBuilder {
    /// Adds a part; where one ends and the next begins is part of the key.
    pub(super) fn part(&mut self, part: &[u8]) -> &mut Self {
        self.0.update(&(part.len() as u64).to_le_bytes()).update(part);
        self
    }

    pub(super) fn finish(&self) -> Key {
        Key(self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

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

    #[test]
    fn the_folder_is_made_private() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Artefacts::open(folder.path()).unwrap();
        assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn the_newest_stay_when_space_is_short() {
        let (_folder, artefacts, _) = folder();
        for (age, name) in [(3, "old"), (2, "newer"), (1, "newest")] {
            artefacts.store(key(name), &[0; 100], &facts()).unwrap();
            let then = SystemTime::now() - std::time::Duration::from_secs(age * 60);
            File::open(artefacts.paths(key(name)).1)
                .unwrap()
                .set_modified(then)
                .unwrap();
        }
        artefacts.trim(200).unwrap();
        let there = |name| artefacts.paths(key(name)).0.exists();
        assert_eq!([there("old"), there("newer"), there("newest")], [false, true, true]);
        artefacts.trim(10).unwrap();
        assert!(there("newest"));
    }
}
