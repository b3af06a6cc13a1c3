//! The list of bans beside the disk tier: a ban outlives the process, as what it is about does.
//!
//! A file of lines, JSON each: the first says how far things are, the others are bans. A ban appends its line before whoever
//! makes it is answered; a sweep writes the whole anew, aside and renamed. Nothing is synced, as nothing of the disk tier is.
//!
//! While one process replaces another, both have the folder. The newer one's file takes the older one's place when it starts, and
//! the older one leaves it alone from then on.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ahash::RandomState;
use serde::{Deserialize, Serialize};

use super::{Expression, Manner};

/// Its name in the disk tier's folder.
const NAME: &str = "bans";

/// Bytes of a line. Whatever is longer was not written by this.
const LONGEST_LINE: usize = 1 << 20;

/// The file.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
}

/// How far things are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Whose numbers these are: what was stored says it too.
    pub(super) list: u64,
    /// The number of the latest ban.
    pub(super) latest: u64,
    /// What has been tested up to less than this has to go.
    pub(super) floor: u64,
    /// The number of the ban up to which everything on the disk has been tested.
    pub(super) disk_tested: u64,
}

/// A ban as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) expression: String,
    pub(super) manner: Manner,
    /// Seconds since 1970.
    pub(super) made: u64,
}

/// What is in the file.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) state: State,
    /// In the order of their numbers.
    pub(super) bans: Vec<(Line, Expression)>,
}

impl State {
    /// Of a list that begins.
    pub(super) fn new() -> Self {
        Self {
            list: RandomState::new().hash_one("bans"),
            latest: 0,
            floor: 0,
            disk_tested: 0,
        }
    }

    /// Of one before which there may have been bans that nobody knows: everything that is stored has to go.
    fn after_damage() -> Self {
        Self {
            latest: 1,
            floor: 1,
            disk_tested: 0,
            ..Self::new()
        }
    }
}

impl Contents {
    fn of(state: State) -> Self {
        Self {
            state,
            bans: Vec::new(),
        }
    }
}

impl Journal {
    /// Reads what an earlier process has left in a folder, and goes on from there.
    ///
    /// # Errors
    /// When the file can be neither read nor made.
    pub(super) fn open(folder: &Path) -> io::Result<(Self, Contents)> {
        let path = folder.join(NAME);
        let contents = match File::open(&path) {
            Ok(file) => read(&file)?.unwrap_or_else(|| {
                tracing::error!(
                    file = %path.display(),
                    "the list of bans is damaged: what is on the cache's disk is not served, as it may have been banned"
                );
                Contents::of(State::after_damage())
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Contents::of(State::new()),
            Err(error) => return Err(error),
        };
        let lines: Vec<Line> = contents.bans.iter().map(|(line, _)| line.clone()).collect();
        let file = write_anew(&path, contents.state, &lines)?;
        Ok((Self { path, file }, contents))
    }

    /// Adds a ban.
    ///
    /// # Errors
    /// The ban would not outlive the process.
    pub(super) fn append(&mut self, line: &Line) -> io::Result<()> {
        let before = self.file.metadata()?.len();
        self.file.write_all(&to_bytes(line)?).inspect_err(|_| {
            // Behind half a line the next one would be damage.
            let _ = self.file.set_len(before);
        })
    }

    /// Writes everything anew.
    ///
    /// # Errors
    /// What was written before is there as it was.
    pub(super) fn rewrite(&mut self, state: State, lines: &[Line]) -> io::Result<()> {
        if fs::metadata(&self.path)?.ino() == self.file.metadata()?.ino() {
            self.file = write_anew(&self.path, state, lines)?;
        }
        Ok(())
    }
}

fn write_anew(path: &Path, state: State, lines: &[Line]) -> io::Result<File> {
    let aside = path.with_extension(format!("{:016x}", RandomState::new().hash_one(path)));
    let mut text = to_bytes(&state)?;
    for line in lines {
        text.extend(to_bytes(line)?);
    }
    let mut file = File::options().append(true).create_new(true).open(&aside)?;
    let written = file.write_all(&text).and_then(|()| fs::rename(&aside, path));
    if written.is_err() {
        let _ = fs::remove_file(&aside);
    }
    written.map(|()| file)
}

fn to_bytes(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// What a file says; `None` where it is damaged. A last line that was cut short is of a ban that nobody was told to hold.
fn read(file: &File) -> io::Result<Option<Contents>> {
    let mut lines = BufReader::new(file);
    let Some(mut state) = next_line(&mut lines)?.and_then(|line| serde_json::from_slice::<State>(&line).ok()) else {
        return Ok(None);
    };
    let mut bans = Vec::new();
    while let Some(line) = next_line(&mut lines)? {
        let line = serde_json::from_slice::<Line>(&line).ok();
        let ban = line.and_then(|line| Some((Expression::parse(&line.expression).ok()?, line)));
        let Some((expression, line)) = ban else { return Ok(None) };
        let before = bans.last().map_or(state.floor, |(line, _): &(Line, _)| line.number);
        if line.number <= before {
            return Ok(None);
        }
        state.latest = state.latest.max(line.number);
        bans.push((line, expression));
    }
    Ok(Some(Contents { state, bans }))
}

fn next_line(lines: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    io::Read::take(&mut *lines, LONGEST_LINE as u64).read_until(b'\n', &mut line)?;
    Ok((line.pop() == Some(b'\n')).then_some(line))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn line(number: u64) -> Line {
        Line {
            number,
            expression: format!("req.url == /{number}"),
            manner: Manner::Soft,
            made: 1_700_000_000,
        }
    }

    fn numbers(folder: &Path) -> (State, Vec<u64>) {
        let (_, Contents { state, bans }) = Journal::open(folder).unwrap();
        (state, bans.iter().map(|(line, _)| line.number).collect())
    }

    #[test]
    fn what_is_written_is_read_by_the_next_process() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, Contents { state: first, bans }) = Journal::open(folder.path()).unwrap();
        assert_eq!((first.latest, bans.len()), (0, 0));
        journal.append(&line(1)).unwrap();
        journal.append(&line(2)).unwrap();
        assert_eq!(numbers(folder.path()), (State { latest: 2, ..first }, vec![1, 2]));
    }

    #[test]
    fn a_sweep_leaves_what_is_still_to_be_tested() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, Contents { state: first, .. }) = Journal::open(folder.path()).unwrap();
        journal.append(&line(1)).unwrap();
        let state = State {
            latest: 2,
            floor: 1,
            disk_tested: 1,
            ..first
        };
        journal.rewrite(state, &[line(2)]).unwrap();
        journal.append(&line(3)).unwrap();
        assert_eq!(numbers(folder.path()), (State { latest: 3, ..state }, vec![2, 3]));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_process_that_is_replaced_leaves_the_other_ones_list_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (mut old, Contents { state: first, .. }) = Journal::open(folder.path()).unwrap();
        let (mut new, ..) = Journal::open(folder.path()).unwrap();
        new.append(&line(1)).unwrap();
        old.append(&line(1)).unwrap();
        old.rewrite(first, &[]).unwrap();
        assert_eq!(numbers(folder.path()).1, [1]);
    }

    #[test]
    fn a_last_line_that_was_cut_short_was_promised_to_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, ..) = Journal::open(folder.path()).unwrap();
        journal.append(&line(1)).unwrap();
        journal.file.write_all(b"{\"number\":2,\"expr").unwrap();
        assert_eq!(numbers(folder.path()).1, [1]);
    }

    #[test]
    fn after_damage_everything_may_have_been_banned() {
        for damaged in ["", "nonsense\n", "{}\n"] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(NAME), damaged).unwrap();
            let (state, bans) = numbers(folder.path());
            assert_eq!((state.floor, bans.len()), (1, 0), "{damaged}");
        }
        for after in [
            "nonsense\n",
            "{\"number\":1,\"expression\":\"?\",\"manner\":\"hard\",\"made\":0}\n",
        ] {
            let folder = tempfile::tempdir().unwrap();
            let (mut journal, ..) = Journal::open(folder.path()).unwrap();
            journal.file.write_all(after.as_bytes()).unwrap();
            assert_eq!(numbers(folder.path()).0.floor, 1, "{after}");
        }
    }
}
