//! The last good generations on disk, for rollback and for the next start.
//!
//! ```text
//! STATE/generations/12.json    what generation 12 is made of: paths and digests of its files, patched configurations
//! STATE/generations/current    the number that is active
//! STATE/files/DIGEST           a file, once, however many generations have it
//! ```
//!
//! Everything is written aside, synchronised and renamed, files before the record that names them and the record before
//! `current`: whenever the power fails, what is there is whole. Files that no generation names are removed with the generation
//! that was the last to name them. A redirect table of hundreds of megabytes is stored once, and switching a maintenance page
//! on stores a few hundred bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::source::Source;
use super::{Bundle, Problems, parse};

/// The generations that can be activated again.
#[derive(Debug)]
pub struct History {
    generations: PathBuf,
    files: PathBuf,
    keep: usize,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts the deployments of this state folder.
    pub number: u64,
    /// The bundle's name.
    pub bundle: String,
    /// The bundle's version.
    pub version: String,
    /// The bundle's digest, hexadecimal.
    pub digest: String,
    /// When it was deployed, in seconds since 1970.
    pub deployed: u64,
}

/// What is in a generation's file.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    #[serde(flatten)]
    entry: Entry,
    /// Digests (BLAKE3, hexadecimal) by path in the bundle.
    files: BTreeMap<String, String>,
    /// Whole configurations that replace the manifest's, by plugin.
    patched: BTreeMap<String, Value>,
}

impl History {
    /// Opens the history in a state folder, which is made if it is not there, and keeps at least `keep` generations.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn open(state: &Path, keep: usize) -> anyhow::Result<Self> {
        let history = Self {
            generations: state.join("generations"),
            files: state.join("files"),
            keep: keep.max(1),
        };
        for folder in [&history.generations, &history.files] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot use {} (plugins.state) for generations", folder.display()))?;
        }
        Ok(history)
    }

    /// The number that the next deployment gets.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.numbers().last().map_or(1, |last| last + 1)
    }

    /// The number that is active, if one was ever deployed.
    #[must_use]
    pub fn current(&self) -> Option<u64> {
        let text = fs::read_to_string(self.generations.join("current")).ok()?;
        text.trim()
            .parse()
            .ok()
            .filter(|number| self.record_path(*number).exists())
    }

    /// What can be activated again, newest first. A record that cannot be read is left out.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.numbers()
            .into_iter()
            .rev()
            .filter_map(|number| Some(self.read(number).ok()?.entry))
            .collect()
    }

    /// The newest generation before this one.
    #[must_use]
    pub fn before(&self, number: u64) -> Option<u64> {
        self.numbers().range(..number).next_back().copied()
    }

    /// Stores a bundle under a number and makes it the current one.
    ///
    /// # Errors
    /// When the disk refuses; the current one stays what it was.
    pub fn record(&self, number: u64, bundle: &Bundle) -> anyhow::Result<Entry> {
        let mut files = BTreeMap::new();
        for (path, content) in &bundle.files {
            let digest = blake3::hash(content).to_hex().to_string();
            let file = self.files.join(&digest);
            if !file.exists() {
                write_whole(&file, content).with_context(|| format!("cannot keep {path} as {}", file.display()))?;
            }
            files.insert(path.clone(), digest);
        }
        let entry = Entry {
            number,
            bundle: bundle.name.clone(),
            version: bundle.version.clone(),
            digest: bundle.digest.to_string(),
            deployed: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs(),
        };
        let record = Record {
            entry: entry.clone(),
            files,
            patched: bundle.patched.clone(),
        };
        let path = self.record_path(number);
        write_whole(&path, &serde_json::to_vec_pretty(&record)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        self.set_current(number)?;
        self.prune(number);
        Ok(entry)
    }

    /// Makes a stored generation the one that the next start activates.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn set_current(&self, number: u64) -> anyhow::Result<()> {
        let path = self.generations.join("current");
        write_whole(&path, number.to_string().as_bytes()).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Reads a stored bundle.
    ///
    /// # Errors
    /// When there is no such generation, or its files are damaged.
    pub fn load(&self, number: u64) -> Result<Bundle, Problems> {
        let label = format!("generation {number}");
        let record = self
            .read(number)
            .map_err(|error| Problems::one(&label, None, format!("{error:#}")))?;
        let stored = Stored {
            folder: &self.files,
            digests: &record.files,
        };
        parse(&stored, &format!("{label}:{}", super::MANIFEST), record.patched)
    }

    fn read(&self, number: u64) -> anyhow::Result<Record> {
        let path = self.record_path(number);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let known: Vec<_> = self.numbers().iter().map(u64::to_string).collect();
                return Err(anyhow!("there is no such generation; there are: {}", known.join(", ")));
            }
            Err(error) => return Err(anyhow!("cannot read {}: {error}", path.display())),
        };
        serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))
    }

    fn numbers(&self) -> BTreeSet<u64> {
        let Ok(entries) = fs::read_dir(&self.generations) else {
            return BTreeSet::new();
        };
        let number = |name: &str| name.strip_suffix(".json")?.parse().ok();
        entries
            .flatten()
            .filter_map(|entry| number(entry.file_name().to_str()?))
            .collect()
    }

    fn record_path(&self, number: u64) -> PathBuf {
        self.generations.join(format!("{number}.json"))
    }

    /// Removes what is older than the generations to keep, and files that no other generation has. What cannot be removed
    /// is tried again the next time.
    fn prune(&self, current: u64) {
        let numbers = self.numbers();
        let surplus = numbers.len().saturating_sub(self.keep);
        for number in numbers.iter().take(surplus).filter(|number| **number != current) {
            let _ = fs::remove_file(self.record_path(*number));
        }
        let mut named = BTreeSet::new();
        for number in self.numbers() {
            match self.read(number) {
                Ok(record) => named.extend(record.files.into_values()),
                // Whatever it names stays, since nobody knows what that is.
                Err(_) => return,
            }
        }
        for file in fs::read_dir(&self.files).into_iter().flatten().flatten() {
            if !file.file_name().to_str().is_some_and(|name| named.contains(name)) {
                let _ = fs::remove_file(file.path());
            }
        }
    }
}

/// A generation's files, by their digests.
struct Stored<'a> {
    folder: &'a Path,
    digests: &'a BTreeMap<String, String>,
}

impl Source for Stored<'_> {
    fn read(&self, path: &str) -> Result<Bytes, String> {
        let digest = self
            .digests
            .get(path)
            .ok_or_else(|| format!("the file `{path}` is not in the bundle"))?;
        let content = fs::read(self.folder.join(digest)).map_err(|error| format!("cannot read `{path}`: {error}"))?;
        if blake3::hash(&content).to_hex().as_str() != digest {
            return Err(format!(
                "`{path}` was changed on disk after it was deployed; deploy the bundle again"
            ));
        }
        Ok(content.into())
    }
}

/// Writes a file aside, synchronises it and its folder, and renames it: it is there whole or not at all.
fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let mut file = File::create(&aside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn bundle(version: &str) -> Bundle {
        let manifest = format!("name = \"b\"\nversion = \"{version}\"\n");
        let mut files = BTreeMap::new();
        files.insert(super::super::MANIFEST.to_owned(), Bytes::from(manifest));
        files.insert("shared".to_owned(), Bytes::from_static(b"the same in every version"));
        Bundle {
            version: version.to_owned(),
            files,
            ..Bundle::in_memory("b", Vec::new())
        }
    }

    #[test]
    fn what_was_recorded_is_there_after_a_restart() {
        let state = tempfile::tempdir().unwrap();
        let history = History::open(state.path(), 3).unwrap();
        assert_eq!((history.next(), history.current()), (1, None));
        history.record(1, &bundle("one")).unwrap();
        history.record(2, &bundle("two")).unwrap();
        let history = History::open(state.path(), 3).unwrap();
        assert_eq!(
            (history.next(), history.current(), history.before(2)),
            (3, Some(2), Some(1))
        );
        assert_eq!(history.load(1).unwrap().version, "one");
        history.set_current(1).unwrap();
        assert_eq!(history.current(), Some(1));
    }

    #[test]
    fn only_the_last_ones_are_kept_with_the_files_that_they_name() {
        let state = tempfile::tempdir().unwrap();
        let history = History::open(state.path(), 2).unwrap();
        for number in 1..=4 {
            history.record(number, &bundle(&number.to_string())).unwrap();
        }
        let kept: Vec<_> = history.entries().iter().map(|entry| entry.number).collect();
        assert_eq!(kept, [4, 3]);
        // Two manifests and the file that they share.
        assert_eq!(fs::read_dir(state.path().join("files")).unwrap().count(), 3);
    }

    #[test]
    fn a_write_that_was_cut_short_is_not_seen() {
        let state = tempfile::tempdir().unwrap();
        let history = History::open(state.path(), 3).unwrap();
        history.record(1, &bundle("one")).unwrap();
        fs::write(state.path().join("generations/2.json.new"), "{\"numb").unwrap();
        fs::write(state.path().join("generations/current.new"), "2").unwrap();
        assert_eq!(history.current(), Some(1));
        assert_eq!(history.entries().len(), 1);
    }

    #[test]
    fn a_damaged_file_is_told_and_not_run() {
        let state = tempfile::tempdir().unwrap();
        let history = History::open(state.path(), 3).unwrap();
        history.record(1, &bundle("one")).unwrap();
        let manifest = blake3::hash(&bundle("one").files[super::super::MANIFEST])
            .to_hex()
            .to_string();
        fs::write(state.path().join("files").join(manifest), "changed").unwrap();
        let problems = history.load(1).unwrap_err();
        assert!(problems.to_string().contains("changed on disk"), "{problems}");
    }
}
