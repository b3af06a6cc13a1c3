//! Where a bundle's files are: a folder, or a tar file. Paths stay inside, sizes are bounded.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use parking_lot::Mutex;

use super::MANIFEST;
use super::problem::Problems;

/// Largest manifest: 4 MiB.
const MANIFEST_BYTES: u64 = 4 << 20;
/// Largest single file: 1 GiB.
const FILE_BYTES: u64 = 1 << 30;
/// Most entries that a tar file may have.
const TAR_ENTRIES: usize = 65_536;

/// Somewhere a bundle's files are read from, by paths that [`check_path`] allows. Messages say what is wrong and leave the place
/// to the caller.
pub trait Source {
    /// The content of a file, by its path in the bundle.
    ///
    /// # Errors
    /// What is wrong, in words.
    fn read(&self, path: &str) -> Result<Bytes, String>;
}

/// A path that stays inside: relative, without `..`, with nothing that means something else elsewhere.
///
/// # Errors
/// What would be right.
pub fn check_path(path: &str) -> Result<(), String> {
    let plain = |component| matches!(component, Component::Normal(_));
    if path.is_empty() || path.contains('\0') || path.contains('\\') || !Path::new(path).components().all(plain) {
        return Err(format!(
            "`{path}` has to be a path inside the bundle, without `..` and not beginning with `/`"
        ));
    }
    Ok(())
}

/// A folder.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Opens a folder.
    ///
    /// # Errors
    /// When it cannot be found.
    pub fn open(path: &Path) -> Result<Self, Problems> {
        let root = path
            .canonicalize()
            .map_err(|error| Problems::one(&path.display().to_string(), None, error.to_string()))?;
        Ok(Self { root })
    }
}

impl Source for Folder {
    fn read(&self, path: &str) -> Result<Bytes, String> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => format!("the file `{path}` is not in the bundle"),
            _ => format!("cannot read `{path}`: {error}"),
        };
        let real = self.root.join(path).canonicalize().map_err(failed)?;
        if !real.starts_with(&self.root) {
            return Err(format!("`{path}` is a link that leads out of the bundle"));
        }
        let file = File::open(real).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(format!("`{path}` is not a file"));
        }
        bounded(file, path, metadata.len()).map_err(failed)?
    }
}

/// A tar file, uncompressed, with the manifest at its top or in its only folder.
#[derive(Debug)]
pub struct Tar {
    file: Mutex<File>,
    /// Offset and length of each file, by its path in the bundle.
    entries: BTreeMap<String, (u64, u64)>,
}

impl Tar {
    /// Opens a tar file and finds what is in it.
    ///
    /// # Errors
    /// When it is not a tar file, holds paths that lead outside, or too many.
    pub fn open(path: &Path) -> Result<Self, Problems> {
        let problem = |message: String| Problems::one(&path.display().to_string(), None, message);
        let file = File::open(path).map_err(|error| problem(format!("cannot open the bundle: {error}")))?;
        let entries = index(&file).map_err(problem)?;
        Ok(Self {
            file: Mutex::new(file),
            entries,
        })
    }
}

impl Source for Tar {
    fn read(&self, path: &str) -> Result<Bytes, String> {
        let &(offset, length) = self
            .entries
            .get(path)
            .ok_or_else(|| format!("the file `{path}` is not in the bundle"))?;
        let failed = |error: io::Error| format!("cannot read `{path}`: {error}");
        let mut file = self.file.lock();
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        bounded(Read::by_ref(&mut *file).take(length), path, length).map_err(failed)?
    }
}

/// Finds the files of a tar archive: path to offset and length.
///
/// # Errors
/// What is wrong, in words.
pub fn index(archive: &File) -> Result<BTreeMap<String, (u64, u64)>, String> {
    const NOT_A_TAR: &str = "a bundle is a folder or an uncompressed tar file of one";
    let mut entries = BTreeMap::new();
    let mut archive = tar::Archive::new(archive);
    let found = archive
        .entries_with_seek()
        .map_err(|error| format!("{NOT_A_TAR}: {error}"))?;
    for entry in found {
        let entry = entry.map_err(|error| format!("{NOT_A_TAR}: {error}"))?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path_bytes();
        let path = std::str::from_utf8(&path).map_err(|_| "a path in the tar file is not UTF-8".to_owned())?;
        let path = path.strip_prefix("./").unwrap_or(path);
        check_path(path)?;
        entries.insert(path.to_owned(), (entry.raw_file_position(), entry.size()));
        if entries.len() > TAR_ENTRIES {
            return Err(format!("the tar file has more than {TAR_ENTRIES} files"));
        }
    }
    Ok(without_top_folder(entries))
}

/// `tar cf x.tar folder` puts everything in one folder; `tar cf x.tar -C folder .` does not. Both are meant.
fn without_top_folder<T>(entries: BTreeMap<String, T>) -> BTreeMap<String, T> {
    if entries.contains_key(MANIFEST) {
        return entries;
    }
    let top = entries
        .keys()
        .find_map(|path| path.strip_suffix(MANIFEST).filter(|top| top.matches('/').count() == 1));
    let Some(top) = top.map(str::to_owned) else {
        return entries;
    };
    entries
        .into_iter()
        .filter_map(|(path, entry)| Some((path.strip_prefix(&top)?.to_owned(), entry)))
        .collect()
}

/// Files that are in memory already.
impl Source for BTreeMap<String, Bytes> {
    fn read(&self, path: &str) -> Result<Bytes, String> {
        self.get(path)
            .cloned()
            .ok_or_else(|| format!("the file `{path}` is not in the bundle"))
    }
}

fn bounded(mut reader: impl Read, path: &str, length: u64) -> io::Result<Result<Bytes, String>> {
    let limit = if path == MANIFEST { MANIFEST_BYTES } else { FILE_BYTES };
    if length > limit {
        return Ok(Err(format!("`{path}` has {length} bytes; the limit is {limit}")));
    }
    let mut content = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    // One byte more than what is allowed, for a file that grows while it is read.
    reader.by_ref().take(limit + 1).read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        return Ok(Err(format!("`{path}` grew over {limit} bytes while it was read")));
    }
    Ok(Ok(content.into()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn tar_of(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bundle.tar");
        let mut builder = tar::Builder::new(File::create(&path).unwrap());
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            // Written into the header as it is: `set_path` refuses what these tests are about.
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_mode(0o644);
            header.set_cksum();
            builder.append(&header, content.as_bytes()).unwrap();
        }
        builder.finish().unwrap();
        (folder, path)
    }

    #[test]
    fn paths_stay_inside() {
        for path in ["a", "a/b.wasm", "a-b_c.d"] {
            assert_eq!(check_path(path), Ok(()), "{path}");
        }
        for path in ["", "/a", "../a", "a/../../b", "a\\b", "a\0b", ".", "./.."] {
            assert!(check_path(path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_tar_with_and_without_a_top_folder_is_the_same_bundle() {
        for top in ["", "./", "standard/"] {
            let (_folder, path) = tar_of(&[
                (&format!("{top}bundle.toml"), "x"),
                (&format!("{top}data/a.csv"), "abc"),
            ]);
            let tar = Tar::open(&path).unwrap();
            assert_eq!(tar.read("data/a.csv").unwrap(), "abc", "{top}");
            assert_eq!(tar.read("bundle.toml").unwrap(), "x", "{top}");
            assert_eq!(
                tar.read("nothing").unwrap_err(),
                "the file `nothing` is not in the bundle"
            );
        }
    }

    #[test]
    fn a_tar_with_a_path_that_leads_out_is_refused() {
        let (_folder, path) = tar_of(&[("bundle.toml", "x"), ("../../etc/cron.d/x", "abc")]);
        let problems = Tar::open(&path).unwrap_err();
        assert!(problems.to_string().contains("inside the bundle"), "{problems}");
    }

    #[test]
    fn what_is_not_a_tar_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.tar");
        std::fs::write(&path, vec![b'x'; 4096]).unwrap();
        let problems = Tar::open(&path).unwrap_err();
        assert!(problems.to_string().contains("uncompressed tar"), "{problems}");
    }

    #[test]
    #[cfg(unix)]
    fn a_link_that_leads_out_of_the_folder_is_refused() {
        let outside = tempfile::NamedTempFile::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).unwrap();
        let source = Folder::open(folder.path()).unwrap();
        assert_eq!(
            source.read("link").unwrap_err(),
            "`link` is a link that leads out of the bundle"
        );
    }
}
