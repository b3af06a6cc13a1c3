//! Tables on disk in the form in which they are looked up: a start with known tables reads no rows.
//!
//! A file is found by what it was built from, checked, and mapped: its memory is the page cache's, shared with every process that
//! maps it, for example while one Weir takes over from another.

use std::fs::File;
use std::io;
use std::path::Path;

use bytes::Bytes;
use memmap2::Mmap;

use super::csv::LineProblem;
use super::{Table, redirects};
use crate::bundle::{TableCheck, TableFile};
use crate::plugin::folder::{Folder, Key, KeyBuilder};

/// Changes whenever other rows are right, or mean something else: what was built before is built again.
const MEANING: &[u8] = b"1";
/// Bytes that the folder may take; what was not used for longest goes first.
const BYTES: u64 = 4 << 30;
/// Shorter text is read in a few milliseconds, as fast as a file is opened and written.
const WORTH_IT: usize = 64 * 1024;

/// The folder of tables that were built.
#[derive(Debug)]
pub(in crate::plugin) struct KeptTables {
    /// `None`: nothing is kept.
    folder: Option<Folder>,
}

impl KeptTables {
    /// Opens the folder, or makes it.
    ///
    /// # Errors
    /// When it belongs to somebody else, or others could write to it.
    pub(in crate::plugin) fn open(path: &Path) -> io::Result<Self> {
        let folder = Some(Folder::open(path)?);
        Ok(Self { folder })
    }

    /// Builds every table from its text.
    pub(in crate::plugin) fn none() -> Self {
        Self { folder: None }
    }

    /// What a table is built from.
    pub(in crate::plugin) fn key(file: &TableFile) -> Key {
        let read = format!("{} {:?} {}", file.kind.as_str(), file.check, file.header);
        KeyBuilder::default()
            .part(MEANING)
            .part(read.as_bytes())
            .part(&file.content)
            .finish()
    }

    /// The table of a file: from the folder, or built and kept there.
    ///
    /// # Errors
    /// The lines that are wrong, and why.
    pub(in crate::plugin) fn table(&self, key: Key, file: &TableFile) -> Result<Table, Vec<LineProblem>> {
        let folder = self.folder.as_ref().filter(|_| file.content.len() >= WORTH_IT);
        if let Some(table) = folder.and_then(|folder| find(folder, key)) {
            return Ok(table);
        }
        let table = Table::load(file.kind, &file.content, file.header)?;
        if let (TableCheck::Redirects, Table::Exact(exact)) = (file.check, &table) {
            redirects::check(exact, &file.content, file.header)?;
        }
        let Some(folder) = folder else { return Ok(table) };
        if let Err(error) = keep(folder, key, &table) {
            tracing::warn!(table = %file.name, %error, "the table could not be kept; the next start builds it again");
        }
        // The one on disk serves from now on, so that there is one copy in memory.
        Ok(find(folder, key).unwrap_or(table))
    }
}

/// A table that was kept and is whole; anything else is as good as none.
fn find(folder: &Folder, key: Key) -> Option<Table> {
    let path = folder.path(key, "table");
    let file = File::open(&path).ok()?;
    // SAFETY: the file must not be changed or cut while it is mapped. It lies in a folder of mode 0700 that belongs to the user
    // that this process runs as (checked by `Folder::open`), and no code here writes to a file of this name in place: `write`
    // renames a new one over it and `trim` unlinks it, which both leave a mapped one alone. Whoever can change it all the same can
    // replace this program as well.
    let image = unsafe { Mmap::map(&file) }.ok()?;
    let table = Table::read(Bytes::from_owner(image));
    match &table {
        Some(_) => Folder::used(&file),
        None => {
            tracing::warn!(file = %path.display(), "a table on disk is damaged or of another version and is built again")
        }
    }
    table
}

fn keep(folder: &Folder, key: Key, table: &Table) -> io::Result<()> {
    folder.write(&folder.path(key, "table"), |file| table.write(file))?;
    folder.trim(BYTES)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::fs;

    use super::*;
    use crate::bundle::TableKind;

    fn rows(target: &str) -> TableFile {
        let rows: String = (0..10_000).map(|row| format!("/{row},{target}{row}\n")).collect();
        TableFile {
            name: "moved".to_owned(),
            kind: TableKind::Exact,
            check: TableCheck::Form,
            path: "moved.csv".to_owned(),
            header: false,
            content: rows.into(),
            line: 1,
        }
    }

    fn table(kept: &KeptTables, file: &TableFile) -> Table {
        kept.table(KeptTables::key(file), file).unwrap()
    }

    fn files(folder: &Path) -> Vec<std::path::PathBuf> {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    }

    #[test]
    fn a_table_is_built_once() {
        let folder = tempfile::tempdir().unwrap();
        let kept = KeptTables::open(folder.path()).unwrap();
        let file = rows("/new/");
        let built = table(&kept, &file);
        let [path] = &*files(folder.path()) else {
            panic!("one file")
        };
        let written = fs::metadata(path).unwrap().len();
        assert!(written > built.bytes(), "{written} bytes");

        // What it was built from is not looked at again, but by its key.
        let nothing = TableFile {
            content: vec![b','; WORTH_IT].into(),
            ..file.clone()
        };
        let found = kept.table(KeptTables::key(&file), &nothing).unwrap();
        assert_eq!((found.size(), found.lookup(b"/77")), (10_000, Some(&b"/new/77"[..])));
    }

    #[test]
    fn other_rows_or_another_reading_are_another_table() {
        let folder = tempfile::tempdir().unwrap();
        let kept = KeptTables::open(folder.path()).unwrap();
        table(&kept, &rows("/new/"));
        assert_eq!(table(&kept, &rows("/other/")).lookup(b"/7"), Some(&b"/other/7"[..]));
        let with_header = TableFile {
            header: true,
            ..rows("/new/")
        };
        assert_eq!(table(&kept, &with_header).size(), 9_999);
        let prefixes = TableFile {
            kind: TableKind::Prefix,
            ..rows("/new/")
        };
        assert!(matches!(table(&kept, &prefixes), Table::Prefix(_)));
        assert_eq!(files(folder.path()).len(), 4);
    }

    #[test]
    fn a_damaged_file_is_built_again() {
        let folder = tempfile::tempdir().unwrap();
        let kept = KeptTables::open(folder.path()).unwrap();
        let file = rows("/new/");
        table(&kept, &file);
        let [path] = &*files(folder.path()) else {
            panic!("one file")
        };
        let whole = fs::read(path).unwrap();
        let flipped: Vec<u8> = whole.iter().map(|byte| byte ^ 1).collect();
        for damaged in [&whole[..whole.len() / 2], &[], &flipped, b"weirtbl1"] {
            fs::write(path, damaged).unwrap();
            assert_eq!(table(&kept, &file).lookup(b"/9999"), Some(&b"/new/9999"[..]));
            assert_eq!(fs::read(path).unwrap().len(), whole.len(), "it is whole again");
        }
    }

    #[test]
    fn rows_that_are_wrong_are_told_and_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let kept = KeptTables::open(folder.path()).unwrap();
        let looping = TableFile {
            check: TableCheck::Redirects,
            ..rows("/")
        };
        let problems = kept.table(KeptTables::key(&looping), &looping).unwrap_err();
        assert!(problems[0].message.contains("comes back to itself"), "{problems:?}");
        assert!(files(folder.path()).is_empty());
    }

    #[test]
    fn a_small_table_is_not_worth_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let kept = KeptTables::open(folder.path()).unwrap();
        let small = TableFile {
            content: "/a,/b\n".into(),
            ..rows("")
        };
        assert_eq!(table(&kept, &small).size(), 1);
        assert!(files(folder.path()).is_empty());
    }
}
