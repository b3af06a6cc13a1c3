//! The disk tier: one file a response, which outlives the process.
//!
//! - [`file`] is what is in a file, and how damage is found.
//! - [`index`] knows in memory which files there are, and which go next.
//! - [`scan`] makes the index when Weir starts, while it serves.
//! - [`growing`] is what is written while it arrives.
//! - [`pool`] has the threads that touch the disk, and [`reader`] gives bodies to clients a block at a time.
//! - [`warm`] keeps files open whose responses are asked for, and [`resident`] knows what can be sent without the disk.
//!
//! **Names.** `FOLDER/abc/KEY-VARIANT`: the first three digits of the key, the key's hash (128 bits), and that of the route and
//! the fields that the response varies on. A response that takes another's place has its name, so that renaming the new file
//! over the old one is the whole change, and a crash leaves one or the other.
//!
//! **Soft purges.** What is to be stale from now on is marked in its file, in place, and [`pending`] has the mark until it is
//! there.
//!
//! **Crashes.** A file is written under `FOLDER/new/` and renamed when its last byte is written. What lies in there when Weir
//! starts is removed. Nothing is synced: after a power failure a file may be damaged, which its checksums show.
//!
//! **Trouble.** A disk that is full or fails is a disk that has nothing: reads become misses, writes are dropped, both are
//! counted, and after some failures in a row it is left alone for a while. Nothing here ever reaches a client as an error,
//! except for a body that breaks off because a block of it cannot be read any more.

mod file;
mod growing;
mod index;
mod pending;
mod pool;
mod reader;
mod resident;
mod scan;
mod warm;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use self::file::{Prefix, Start};
use self::index::{Found, Index, Known};
use self::pending::Pending;
use self::pool::Pool;
use self::reader::Inner;
use self::warm::Warm;

pub(super) use self::growing::{Growing, Progress, Written};
pub(super) use self::reader::{Blocks, Open};
pub(super) use self::warm::Since;

use super::body::Body;
use super::entry::Entry;
use super::span::{seconds, time};

/// Failures in a row after which the disk is left alone.
const MOST_FAILURES: u32 = 8;
/// For how long.
const REST: Duration = Duration::from_secs(10);
/// Bytes that may wait to be written, over which they are dropped: a disk that is slower than the origin must not fill memory.
const MOST_UNWRITTEN: u64 = 64 << 20;

/// Where files that are not complete are.
const NEW: &str = "new";

/// The disk tier.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
    index: Index,
    warm: Warm,
    pool: Pool,
    size: AtomicU64,
    max_files: AtomicU64,
    min_object: AtomicU64,
    max_object: AtomicU64,
    unwritten: AtomicU64,
    next: AtomicU64,
    failures: AtomicU32,
    resting: Mutex<Option<Instant>>,
    /// Until when nobody waits for a write.
    behind: Mutex<Option<Instant>>,
    /// Counts removals, by part of the key: what was being written meanwhile is not kept.
    removals: [AtomicU64; 64],
    pending: Pending,
    counts: Counts,
}

/// What happened on the disk.
#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    written: AtomicU64,
    dropped: AtomicU64,
    evicted: AtomicU64,
    read_errors: AtomicU64,
    write_errors: AtomicU64,
}

/// What a file does not hold as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damaged;

/// The hash of a URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id(u128);

impl Id {
    /// Of the key's bytes. Stable, and nobody can choose URIs that share it.
    pub(super) fn of(key: &[u8]) -> Self {
        let mut half = [0; 16];
        for (to, from) in half.iter_mut().zip(blake3::hash(key).as_bytes()) {
            *to = *from;
        }
        Self(u128::from_be_bytes(half))
    }

    /// What the index finds it by.
    fn short(self) -> u64 {
        self.0 as u64
    }

    fn removals(self) -> usize {
        (self.0 >> 64) as usize % 64
    }
}

/// A file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Name {
    id: Id,
    variant: u64,
}

impl Name {
    fn path(self, folder: &Path) -> PathBuf {
        folder
            .join(self.folder())
            .join(format!("{:032x}-{:016x}", self.id.0, self.variant))
    }

    /// One of 4096.
    fn folder(self) -> String {
        format!("{:03x}", self.id.0 >> 116)
    }

    fn parse(name: &str) -> Option<Self> {
        let (id, variant) = name.split_once('-')?;
        if id.len() != 32 || variant.len() != 16 {
            return None;
        }
        Some(Self {
            id: Id(u128::from_str_radix(id, 16).ok()?),
            variant: u64::from_str_radix(variant, 16).ok()?,
        })
    }
}

/// A response that was found.
#[derive(Debug)]
pub(super) struct Loaded {
    /// What [`Object::head`] was.
    pub(super) head: Vec<u8>,
    /// Since when it is stale by decree, to the second.
    pub(super) expired: Option<SystemTime>,
    /// Its body.
    pub(super) body: Open,
}

/// Which responses to a URI are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    All,
    Variant(u64),
}

impl Which {
    fn picks(self, name: Name) -> bool {
        match self {
            Self::All => true,
            Self::Variant(variant) => name.variant == variant,
        }
    }
}

/// What becomes of a response that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Keep,
    /// It is stale from then on.
    Expire(SystemTime),
    Remove,
}

/// A response to be written.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) id: Id,
    /// A hash of what tells it from the URI's other responses.
    pub(super) variant: u64,
    /// Anything; it comes back as it is.
    pub(super) head: Vec<u8>,
    pub(super) body: Bytes,
}

/// What an operator wants to know of the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    /// Files.
    pub objects: u64,
    /// Bytes that they take, in blocks of 4 KiB.
    pub bytes: u64,
    /// Bytes that they may take.
    pub limit: u64,
    /// Responses that were read from the disk because they were not in memory.
    pub hits: u64,
    /// Responses written.
    pub written: u64,
    /// Responses not written because the disk was too far behind or in trouble.
    pub dropped: u64,
    /// Responses removed to make room.
    pub evicted: u64,
    /// Reads that failed, or found damage.
    pub read_errors: u64,
    /// Writes that failed.
    pub write_errors: u64,
}

impl Disk {
    /// Opens a folder, makes it where it is not there, and begins to look what is in it.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub(super) fn open(config: &crate::config::DiskCache) -> io::Result<Arc<Self>> {
        let new = config.path.join(NEW);
        fs::create_dir_all(&new)?;
        for left in fs::read_dir(&new)?.flatten() {
            let _ = fs::remove_file(left.path());
        }
        let disk = Arc::new(Self {
            folder: config.path.clone(),
            index: Index::new(),
            warm: Warm::new(),
            pool: Pool::start()?,
            size: AtomicU64::new(0),
            max_files: AtomicU64::new(0),
            min_object: AtomicU64::new(0),
            max_object: AtomicU64::new(0),
            unwritten: AtomicU64::new(0),
            // Unlike in any process before: the identity of files depends on it.
            next: AtomicU64::new(ahash::RandomState::new().hash_one(std::process::id())),
            failures: AtomicU32::new(0),
            resting: Mutex::new(None),
            behind: Mutex::new(None),
            removals: std::array::from_fn(|_| AtomicU64::new(0)),
            pending: Pending::default(),
            counts: Counts::default(),
        });
        disk.reconfigure(config);
        scan::start(&disk)?;
        Ok(disk)
    }

    /// Takes new limits; another folder needs another process.
    pub(super) fn reconfigure(self: &Arc<Self>, config: &crate::config::DiskCache) {
        self.size.store(config.size, Ordering::Relaxed);
        self.max_files.store(config.max_files, Ordering::Relaxed);
        self.min_object.store(config.min_object, Ordering::Relaxed);
        self.max_object.store(config.max_object, Ordering::Relaxed);
        // What is kept there was made by the rules before.
        self.warm.forget_all();
        let disk = Arc::clone(self);
        let _ = self.pool.run(move || disk.make_room());
    }

    /// Where it is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Largest body stored, in bytes.
    pub(super) fn max_object(&self) -> u64 {
        self.max_object.load(Ordering::Relaxed)
    }

    /// Whether a body of this length belongs here.
    pub(super) fn takes(&self, length: u64) -> bool {
        (self.min_object.load(Ordering::Relaxed)..=self.max_object()).contains(&length)
    }

    /// Whether looking for a URI is worth while.
    pub(super) fn may_have(&self, id: Id) -> bool {
        !self.is_resting() && self.index.find(id) != Found::These(smallvec::SmallVec::new())
    }

    /// All responses to a URI, opened and their heads read and checked.
    pub(super) async fn load(self: &Arc<Self>, id: Id) -> Vec<Loaded> {
        let disk = Arc::clone(self);
        let loaded = self.on_pool(move || disk.load_now(id)).await.unwrap_or_default();
        if !loaded.is_empty() {
            self.counts.hits.fetch_add(1, Ordering::Relaxed);
        }
        loaded
    }

    /// To be asked before a [`Disk::load`] whose files are to stay open.
    pub(super) fn before_load(&self, id: Id) -> Since {
        self.warm.now(id)
    }

    /// Keeps the files of a URI open for the next time, if they are as they were `since`.
    pub(super) fn keep_open(&self, id: Id, key: &[u8], entries: &[Arc<Entry>], since: Since) {
        let has_file = |entry: &Arc<Entry>| matches!(entry.body, Body::Disk(_));
        if !entries.is_empty() && entries.iter().all(has_file) {
            self.warm.keep(id, key, entries, since);
        }
    }

    /// All responses to a URI, where their files are open.
    pub(super) fn opened(&self, id: Id, key: &[u8]) -> Option<Arc<[Arc<Entry>]>> {
        let opened = self.warm.find(id, key)?;
        self.counts.hits.fetch_add(1, Ordering::Relaxed);
        Some(opened)
    }

    /// The same on a thread that may wait, and without counting as a hit: for operators.
    pub(super) fn load_blocking(self: &Arc<Self>, id: Id) -> Vec<Loaded> {
        if self.is_resting() {
            return Vec::new();
        }
        self.load_now(id)
    }

    /// Writes a response; done when this is told so. What is dropped is done at once.
    pub(super) fn write(self: &Arc<Self>, object: Object) -> oneshot::Receiver<Option<Open>> {
        let (done, written) = oneshot::channel();
        let length = object.body.len() as u64;
        let waiting = self.unwritten.fetch_add(length, Ordering::Relaxed);
        let removals = self.removals_of(object.id);
        let disk = Arc::clone(self);
        let job = move || {
            let open = disk.write_now(&object, removals);
            disk.unwritten.fetch_sub(length, Ordering::Relaxed);
            let _ = done.send(open);
            disk.make_room();
        };
        if waiting + length > MOST_UNWRITTEN || self.is_resting() || self.pool.run(job).is_err() {
            self.unwritten.fetch_sub(length, Ordering::Relaxed);
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
        written
    }

    /// Begins to write a response whose head will be about this long, and of which `tell` is told how far it got. `None` where
    /// the disk is left alone.
    pub(super) fn grow(
        self: &Arc<Self>,
        id: Id,
        variant: u64,
        head: usize,
        tell: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Option<Growing> {
        if self.is_resting() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Growing::new(self, id, variant, head, tell)
    }

    /// Somebody has waited for a write for as long as anybody does: for a while nobody shall.
    pub(super) fn fall_behind(&self) {
        *self.behind.lock() = Some(Instant::now() + REST);
    }

    pub(super) fn is_behind(&self) -> bool {
        self.behind.lock().is_some_and(|until| Instant::now() < until)
    }

    /// Gives a response another head, its body copied a block at a time: what is read of the old file is read to its end.
    pub(super) fn rewrite(self: &Arc<Self>, open: &Open, object: Object) {
        let Some(copy) = self.grow(object.id, object.variant, object.head.len(), |_| {}) else {
            return;
        };
        let (disk, open) = (Arc::clone(self), open.clone());
        let _ = self.pool.run(move || {
            for block in 0..open.length().div_ceil(file::BLOCK) {
                // Damage has been counted, and takes the old file away.
                let Ok(data) = open.read_block(block) else { return };
                if let Err(error) = copy.append_now(&data) {
                    return disk.write_failed(&error);
                }
            }
            if let Err(error) = copy.finish_now(object.head) {
                disk.write_failed(&error);
            }
            disk.make_room();
        });
    }

    /// Removes all responses to a URI, also those that are being written.
    pub(super) fn remove(self: &Arc<Self>, id: Id) -> u64 {
        self.removals(id).fetch_add(1, Ordering::AcqRel);
        // Before the removal, which may be the last thing that the index has to remember of it.
        let complete = self.index.is_complete();
        let known = self.index.remove_all(id);
        self.warm.forget(id);
        let count = known.len() as u64;
        if known.is_empty() && complete {
            return 0;
        }
        let before = self.next.load(Ordering::Relaxed);
        let disk = Arc::clone(self);
        self.pool.run_in_any_case(move || {
            let names = if complete { known } else { disk.names_in_folder(id) };
            disk.unlink_older(&names, before);
        });
        count
    }

    /// Removes one response.
    pub(super) fn remove_variant(self: &Arc<Self>, id: Id, variant: u64) {
        self.removals(id).fetch_add(1, Ordering::AcqRel);
        self.index.remove(id, |known| known.name.variant == variant);
        self.warm.forget(id);
        let before = self.next.load(Ordering::Relaxed);
        let disk = Arc::clone(self);
        self.pool
            .run_in_any_case(move || disk.unlink_older(&[Name { id, variant }], before));
    }

    /// Makes responses to a URI stale since then, for every load that begins after it returns, and has those that are being
    /// written dropped. Gives how many are known.
    pub(super) fn expire(self: &Arc<Self>, id: Id, which: Which, since: SystemTime) -> u64 {
        self.removals(id).fetch_add(1, Ordering::AcqRel);
        let complete = self.index.is_complete();
        let mut names = match self.index.find(id) {
            Found::These(names) => names.to_vec(),
            Found::Unknown => Vec::new(),
        };
        names.retain(|name| which.picks(*name));
        let count = names.len() as u64;
        if names.is_empty() && complete {
            return 0;
        }
        let expired = seconds(since);
        let mark = self.pending.add(id, which, expired);
        self.warm.forget(id);
        let before = self.next.load(Ordering::Relaxed);
        let disk = Arc::clone(self);
        self.pool.run_in_any_case(move || {
            if !complete {
                names = disk.names_in_folder(id);
                names.retain(|name| which.picks(*name));
            }
            for name in names {
                // What has taken its name since is fresh.
                if !disk.is_written_since(name, before) {
                    disk.mark(name, expired);
                }
            }
            disk.pending.remove(mark);
        });
        count
    }

    /// Reads every head and does with it what the judge says; gives how many it changed. It waits for the disk, and takes as
    /// long as that takes: for operators, on a thread that may.
    pub(super) fn revise(&self, mut judge: impl FnMut(&[u8]) -> Fate) -> u64 {
        let mut changed = 0;
        for removals in &self.removals {
            removals.fetch_add(1, Ordering::AcqRel);
        }
        scan::each(&self.folder, |name, file| {
            let before = self.next.load(Ordering::Relaxed);
            let Ok(start) = file::read_start(file) else {
                return scan::Then::Continue;
            };
            let fate = judge(&start.head);
            // What has taken its name meanwhile is another response.
            if fate == Fate::Keep || self.is_written_since(name, before) {
                return scan::Then::Continue;
            }
            match fate {
                Fate::Expire(since) if start.expired.is_none() => self.mark(name, seconds(since)),
                Fate::Remove => {
                    self.index.remove(name.id, |known| known.name == name);
                    self.warm.forget(name.id);
                    self.unlink(&[name]);
                }
                Fate::Keep | Fate::Expire(_) => return scan::Then::Continue,
            }
            changed += 1;
            scan::Then::Continue
        });
        changed
    }

    /// What an operator wants to know.
    pub(super) fn stats(&self) -> Stats {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Stats {
            objects: self.index.files(),
            bytes: self.index.bytes(),
            limit: count(&self.size),
            hits: count(&self.counts.hits),
            written: count(&self.counts.written),
            dropped: count(&self.counts.dropped),
            evicted: count(&self.counts.evicted),
            read_errors: count(&self.counts.read_errors),
            write_errors: count(&self.counts.write_errors),
        }
    }

    fn load_now(self: &Arc<Self>, id: Id) -> Vec<Loaded> {
        // Before the files are read: what is not pending any more is in them.
        let pending = self.pending.of(id);
        let names = match self.index.find(id) {
            Found::These(names) => names.to_vec(),
            Found::Unknown => self.names_in_folder(id),
        };
        let load = |name| {
            let mut loaded = self.load_one(name)?;
            let decreed = pending.iter().filter(|mark| mark.which.picks(name));
            let expired = decreed.map(|mark| time(mark.expired)).chain(loaded.expired).min();
            loaded.expired = expired;
            Some(loaded)
        };
        names.into_iter().filter_map(load).collect()
    }

    fn load_one(self: &Arc<Self>, name: Name) -> Option<Loaded> {
        let file = match File::open(name.path(&self.folder)) {
            Ok(file) => file,
            Err(error) => {
                // Somebody else has removed it; that is not the disk's fault.
                if error.kind() != io::ErrorKind::NotFound {
                    self.failed(&self.counts.read_errors, &error);
                }
                self.index.remove(name.id, |known| known.name == name);
                return None;
            }
        };
        let Ok(Start { prefix, expired, head }) = file::read_start(&file) else {
            self.index.remove(name.id, |known| known.name == name);
            self.counts.read_errors.fetch_add(1, Ordering::Relaxed);
            self.unlink(&[name]);
            return None;
        };
        self.index.add_found(Known {
            name,
            length: prefix.file_length(),
            identity: prefix.identity,
        });
        let body = Open(Arc::new(Inner::new(Arc::clone(self), name, prefix, file)));
        Some(Loaded {
            head,
            expired: expired.map(time),
            body,
        })
    }

    fn write_now(self: &Arc<Self>, object: &Object, removals: u64) -> Option<Open> {
        let identity = self.next_identity();
        let prefix = Prefix::new(&object.head, object.body.len() as u64, identity)?;
        let name = Name {
            id: object.id,
            variant: object.variant,
        };
        let temporary = self.folder.join(NEW).join(format!("{identity:016x}"));
        let written = self
            .create(&temporary, &prefix, object)
            .and_then(|file| self.keep(name, prefix, &temporary, file, removals));
        written.unwrap_or_else(|error| {
            let _ = fs::remove_file(&temporary);
            self.write_failed(&error);
            None
        })
    }

    /// Gives a file that is complete its name, unless something was removed since `removals` were counted.
    fn keep(
        self: &Arc<Self>,
        name: Name,
        prefix: Prefix,
        temporary: &Path,
        file: File,
        removals: u64,
    ) -> io::Result<Option<Open>> {
        // Under way here it could still be removed; from the renaming on, the index decides.
        self.index.add(Known {
            name,
            length: prefix.file_length(),
            identity: prefix.identity,
        });
        self.warm.forget(name.id);
        if self.removals_of(name.id) != removals {
            self.index.remove(name.id, |known| known.identity == prefix.identity);
            let _ = fs::remove_file(temporary);
            return Ok(None);
        }
        if let Err(error) = self.rename(temporary, name) {
            self.index.remove(name.id, |known| known.identity == prefix.identity);
            return Err(error);
        }
        if !self.index.has(name, prefix.identity) {
            let _ = fs::remove_file(name.path(&self.folder));
            return Ok(None);
        }
        self.failures.store(0, Ordering::Relaxed);
        self.counts.written.fetch_add(1, Ordering::Relaxed);
        Ok(Some(Open(Arc::new(Inner::new(Arc::clone(self), name, prefix, file)))))
    }

    fn create(&self, temporary: &Path, prefix: &Prefix, object: &Object) -> io::Result<File> {
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(temporary)?;
        file::write(&file, prefix, &object.head, &object.body)?;
        Ok(file)
    }

    fn rename(&self, temporary: &Path, name: Name) -> io::Result<()> {
        let path = name.path(&self.folder);
        match fs::rename(temporary, &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(self.folder.join(name.folder()))?;
                fs::rename(temporary, &path)
            }
            renamed => renamed,
        }
    }

    /// Removes files until the limits are kept. What is read of them meanwhile is read to its end.
    fn make_room(&self) {
        let limit = |limit: &AtomicU64| limit.load(Ordering::Relaxed);
        loop {
            let names = self.index.evict(limit(&self.size), limit(&self.max_files));
            if names.is_empty() {
                return;
            }
            self.counts.evicted.fetch_add(names.len() as u64, Ordering::Relaxed);
            for name in &names {
                self.warm.forget(name.id);
            }
            self.unlink(&names);
        }
    }

    fn names_in_folder(&self, id: Id) -> Vec<Name> {
        let folder = self.folder.join(Name { id, variant: 0 }.folder());
        let names = fs::read_dir(folder).into_iter().flatten().flatten();
        names
            .filter_map(|file| Name::parse(file.file_name().to_str()?))
            .filter(|name| name.id == id)
            .collect()
    }

    fn unlink(&self, names: &[Name]) {
        for name in names {
            match fs::remove_file(name.path(&self.folder)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => self.failed(&self.counts.write_errors, &error),
                _ => {}
            }
        }
    }

    /// Removes files, unless others have taken their names since.
    fn unlink_older(&self, names: &[Name], before: u64) {
        for name in names {
            if !self.is_written_since(*name, before) {
                self.unlink(&[*name]);
            }
        }
    }

    /// Marks the response in a file as stale since then. What cannot be marked goes.
    fn mark(&self, name: Name, expired: u64) {
        let file = File::options().read(true).write(true).open(name.path(&self.folder));
        let marked = file.and_then(|file| {
            let prefix = file::read_prefix(&file).map_err(|Damaged| io::ErrorKind::InvalidData)?;
            file::expire(&file, &prefix, expired)
        });
        match marked {
            Ok(()) => {}
            Err(error) => {
                self.index.remove(name.id, |known| known.name == name);
                self.unlink(&[name]);
                if error.kind() != io::ErrorKind::NotFound {
                    self.failed(&self.counts.write_errors, &error);
                }
            }
        }
        self.warm.forget(name.id);
    }

    /// A body turned out not to be what was written.
    fn damaged(&self, name: Name, identity: u64) {
        self.warm.forget(name.id);
        self.counts.read_errors.fetch_add(1, Ordering::Relaxed);
        if !self
            .index
            .remove(name.id, |known| known.name == name && known.identity == identity)
            .is_empty()
        {
            self.unlink(&[name]);
        }
    }

    fn failed(&self, count: &AtomicU64, error: &io::Error) {
        count.fetch_add(1, Ordering::Relaxed);
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 == MOST_FAILURES {
            tracing::error!(folder = %self.folder.display(), %error, "the cache's disk is in trouble; it is left alone for {REST:?}");
            *self.resting.lock() = Some(Instant::now() + REST);
        }
    }

    fn is_resting(&self) -> bool {
        if self.failures.load(Ordering::Relaxed) < MOST_FAILURES {
            return false;
        }
        let over = self.resting.lock().is_none_or(|until| Instant::now() >= until);
        if over {
            self.failures.store(0, Ordering::Relaxed);
        }
        !over
    }

    /// Whether a file of this name was written after `before` was the next identity.
    fn is_written_since(&self, name: Name, before: u64) -> bool {
        let given = self.next.load(Ordering::Relaxed).wrapping_sub(before);
        self.index.has_one_of(name, before, given)
    }

    fn next_identity(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn write_failed(&self, error: &io::Error) {
        self.failed(&self.counts.write_errors, error);
    }

    fn removals_of(&self, id: Id) -> u64 {
        self.removals(id).load(Ordering::Acquire)
    }

    fn removals(&self, id: Id) -> &AtomicU64 {
        #[expect(clippy::indexing_slicing, reason = "the remainder is less than the length")]
        &self.removals[id.removals()]
    }

    async fn on_pool<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        self.pool
            .run(move || {
                let _ = sender.send(job());
            })
            .ok()?;
        receiver.await.ok()
    }
}

impl Open {
    /// Reads the whole body, where it is small enough to be kept in memory.
    pub(super) async fn read_whole(&self) -> Result<Bytes, Damaged> {
        let mut blocks = self.clone().read(0..self.length());
        let mut whole: Option<Bytes> = None;
        let mut joined = Vec::new();
        while let Some(block) = std::future::poll_fn(|cx| blocks.poll_next(cx)).await {
            let block = block?;
            match whole.take() {
                None if joined.is_empty() => whole = Some(block),
                first => {
                    joined.extend_from_slice(&first.unwrap_or_default());
                    joined.extend_from_slice(&block);
                }
            }
        }
        Ok(whole.unwrap_or_else(|| joined.into_boxed_slice().into()))
    }
}

#[cfg(test)]
mod tests;
