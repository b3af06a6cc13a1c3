//! Private folders of what took a while to make, found again by what it was made of.
//!
//! Files are written under another name and renamed, so that each is there whole or not at all, and what was not used for longest
//! goes when space is needed. Several processes may use a folder at once.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How the names of files begin that are being written.
const WRITING: &str = ".writing-";
/// Nothing takes this long to write: what is older was left behind by a crash.
const ABANDONED: Duration = Duration::from_secs(3600);

/// A folder that nobody else writes to.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

/// What something was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(blake3::Hash);

impl Folder {
    /// Opens the folder, or makes it.
    ///
    /// # Errors
    /// When it belongs to somebody else, or others could write to it: what lies in it is believed.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let metadata = fs::symlink_metadata(path)?;
        // SAFETY: geteuid has no preconditions and cannot fail.
        let me = unsafe { libc::geteuid() };
        if !metadata.is_dir() || metadata.uid() != me {
            let message = format!(
                "{} has to be a folder that belongs to the user that Weir runs as",
                path.display()
            );
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        }
        Ok(Self { path: path.to_owned() })
    }

    /// Where a file of this key lies, or would.
    pub(super) fn path(&self, key: Key, extension: &str) -> PathBuf {
        self.path.join(format!("{}.{extension}", key.0.to_hex()))
    }

    /// Writes a file, or replaces it by a new one: whoever has the old one open or mapped keeps it as it was.
    pub(super) fn write(&self, path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        let mut temporary = tempfile::Builder::new().prefix(WRITING).make_in(&self.path, |path| {
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
        })?;
        fill(temporary.as_file_mut())?;
        temporary.as_file().sync_all()?;
        temporary.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// Remembers that a file was used. Nothing depends on it but what goes first when space is needed.
    pub(super) fn used(file: &File) {
        let _ = file.set_modified(SystemTime::now());
    }

    /// Removes the keys that were not used for longest with all their files, until the rest fits; and what a crash left half
    /// written.
    pub(super) fn trim(&self, limit: u64) -> io::Result<()> {
        let now = SystemTime::now();
        let mut kept: BTreeMap<String, Kept> = BTreeMap::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let (Some(stem), Ok(metadata)) = (path.file_stem(), fs::metadata(&path)) else {
                continue;
            };
            let stem = stem.to_string_lossy();
            let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            if stem.starts_with(WRITING) {
                if now.duration_since(modified).is_ok_and(|age| age > ABANDONED) {
                    fs::remove_file(path)?;
                }
                continue;
            }
            let kept = kept.entry(stem.into_owned()).or_default();
            kept.used = kept.used.max(Some(modified));
            kept.bytes += metadata.len();
            kept.files.push(path);
        }
        let mut kept: Vec<Kept> = kept.into_values().collect();
        kept.sort_by_key(|kept| std::cmp::Reverse(kept.used));
        let mut total: u64 = 0;
        for (index, kept) in kept.into_iter().enumerate() {
            total = total.saturating_add(kept.bytes);
            // The newest one stays, however large: it was made to be used now.
            if total > limit && index > 0 {
                kept.files.into_iter().try_for_each(fs::remove_file)?;
            }
        }
        Ok(())
    }
}

/// The files of one key.
#[derive(Default)]
struct Kept {
    used: Option<SystemTime>,
    bytes: u64,
    files: Vec<PathBuf>,
}

/// Collects what something is made of.
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

    use std::io::Write;

    use super::*;

    fn key(text: &str) -> Key {
        KeyBuilder::default().part(text.as_bytes()).finish()
    }

    #[test]
    fn it_is_made_private() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Folder::open(folder.path()).unwrap();
        assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_file_that_could_not_be_written_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::open(folder.path()).unwrap();
        let path = folder.path(key("a"), "made");
        let written = folder.write(&path, |file| {
            file.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(written.is_err());
        assert_eq!(fs::read_dir(&folder.path).unwrap().count(), 0);
        folder.write(&path, |file| file.write_all(b"whole")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
    }

    #[test]
    fn the_newest_stay_when_space_is_short() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::open(folder.path()).unwrap();
        for (age, name) in [(3, "old"), (2, "newer"), (1, "newest")] {
            for extension in ["made", "json"] {
                let path = folder.path(key(name), extension);
                folder.write(&path, |file| file.write_all(&[0; 50])).unwrap();
                let then = SystemTime::now() - Duration::from_secs(age * 60);
                File::open(path).unwrap().set_modified(then).unwrap();
            }
        }
        folder.trim(200).unwrap();
        let there = |name| ["made", "json"].map(|extension| folder.path(key(name), extension).exists());
        assert_eq!(
            [there("old"), there("newer"), there("newest")],
            [[false; 2], [true; 2], [true; 2]]
        );
        folder.trim(10).unwrap();
        assert_eq!(there("newest"), [true; 2]);
    }

    #[test]
    fn what_a_crash_left_goes_and_what_is_being_written_stays() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::open(folder.path()).unwrap();
        for (name, age) in [("left", 2), ("busy", 0)] {
            let file = File::create(folder.path.join(format!("{WRITING}{name}"))).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age * 3600))
                .unwrap();
        }
        folder.trim(u64::MAX).unwrap();
        let left: Vec<_> = fs::read_dir(&folder.path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, [format!("{WRITING}busy").as_str()]);
    }
}
