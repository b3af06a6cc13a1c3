//! The disk tier: one file a response, which outlives the process.
//!
//! - [`file`] is what is in a file, and how damage is found.
//! - [`index`] knows in memory which files there are, and which go next.
//! - [`scan`] makes the index when Weir starts, while it serves.
//! - [`pool`] has the threads that touch the disk, and [`reader`] gives bodies to clients a block at a time.
//!
//! **Names.** `FOLDER/abc/KEY-VARIANT`: the first three digits of the key, the key's hash (128 bits), and that of the route and
//! the fields that the response varies on. A response that takes another's place has its name, so that renaming the new file
//! over the old one is the whole change, and a crash leaves one or the other.
//!
//! **Crashes.** A file is written under `FOLDER/new/` and renamed when its last byte is written. What lies in there when Weir
//! starts is removed. Nothing is synced: after a power failure a file may be damaged, which its checksums show.
//!
//! **Trouble.** A disk that is full or fails is a disk that has nothing: reads become misses, writes are dropped, both are
//! counted, and after some failures in a row it is left alone for a while. Nothing here ever reaches a client as an error,
//! except for a body that breaks off because a block of it cannot be read any more.

mod file;
mod index;
mod pool;
mod reader;
mod scan;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use self::file::Prefix;
use self::index::{Found, Index, Known};
use self::pool::Pool;
use self::reader::Inner;

pub(super) use self::reader::{Blocks, Open};

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
    pool: Pool,
    size: AtomicU64,
    max_files: AtomicU64,
    min_object: AtomicU64,
    max_object: AtomicU64,
    unwritten: AtomicU64,
    next: AtomicU64,
    failures: AtomicU32,
    resting: Mutex<Option<Instant>>,
    /// Counts removals, by part of the key: what was being written meanwhile is not kept.
    removals: [AtomicU64; 64],
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
    /// Its body.
    pub(super) body: Open,
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
            removals: std::array::from_fn(|_| AtomicU64::new(0)),
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

    /// Writes a response; done when this is told so. What is dropped is done at once.
    pub(super) fn write(self: &Arc<Self>, object: Object) -> oneshot::Receiver<Option<Open>> {
        let (done, written) = oneshot::channel();
        let length = object.body.len() as u64;
        let waiting = self.unwritten.fetch_add(length, Ordering::Relaxed);
        let removals = self.removals(object.id).load(Ordering::Acquire);
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

    /// Gives a response another head.
    pub(super) fn rewrite(self: &Arc<Self>, open: &Open, mut object: Object) {
        let removals = self.removals(object.id).load(Ordering::Acquire);
        let (disk, open) = (Arc::clone(self), open.clone());
        let _ = self.pool.run(move || {
            if let Some(body) = open.read_now() {
                object.body = body;
                disk.write_now(&object, removals);
                disk.make_room();
            }
        });
    }

    /// Removes all responses to a URI, also those that are being written.
    pub(super) fn remove(self: &Arc<Self>, id: Id) -> u64 {
        self.removals(id).fetch_add(1, Ordering::AcqRel);
        // Before the removal, which may be the last thing that the index has to remember of it.
        let complete = self.index.is_complete();
        let known = self.index.remove_all(id);
        let count = known.len() as u64;
        if known.is_empty() && complete {
            return 0;
        }
        let before = self.next.load(Ordering::Relaxed);
        let disk = Arc::clone(self);
        let _ = self.pool.run(move || {
            let names = if complete { known } else { disk.names_in_folder(id) };
            disk.unlink_older(&names, before);
        });
        count
    }

    /// Removes one response.
    pub(super) fn remove_variant(self: &Arc<Self>, id: Id, variant: u64) {
        self.removals(id).fetch_add(1, Ordering::AcqRel);
        self.index.remove(id, |known| known.name.variant == variant);
        let before = self.next.load(Ordering::Relaxed);
        let disk = Arc::clone(self);
        let _ = self
            .pool
            .run(move || disk.unlink_older(&[Name { id, variant }], before));
    }

    /// Reads every head and removes what the predicate picks. It waits for the disk, and takes as long as that takes: for
    /// operators, on a thread that may.
    pub(super) fn remove_if(&self, mut picks: impl FnMut(&[u8]) -> bool) -> u64 {
        let mut removed = 0;
        for removals in &self.removals {
            removals.fetch_add(1, Ordering::AcqRel);
        }
        scan::each(&self.folder, |name, file| {
            if let Ok((_, head)) = file::read_head(file)
                && picks(&head)
            {
                self.index.remove(name.id, |known| known.name == name);
                self.unlink(&[name]);
                removed += 1;
            }
            scan::Then::Continue
        });
        removed
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
        let names = match self.index.find(id) {
            Found::These(names) => names.to_vec(),
            Found::Unknown => self.names_in_folder(id),
        };
        names.into_iter().filter_map(|name| self.load_one(name)).collect()
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
        let Ok((prefix, head)) = file::read_head(&file) else {
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
        let body = Open(Arc::new(Inner {
            disk: Arc::clone(self),
            name,
            prefix,
            file,
        }));
        Some(Loaded { head, body })
    }

    fn write_now(self: &Arc<Self>, object: &Object, removals: u64) -> Option<Open> {
        let identity = self.next.fetch_add(1, Ordering::Relaxed);
        let prefix = Prefix::new(&object.head, object.body.len() as u64, identity)?;
        let name = Name {
            id: object.id,
            variant: object.variant,
        };
        let temporary = self.folder.join(NEW).join(format!("{identity:016x}"));
        let written = self.create(&temporary, &prefix, object).and_then(|file| {
            // Under way here it could still be removed; from the renaming on, the index decides.
            self.index.add(Known {
                name,
                length: prefix.file_length(),
                identity,
            });
            if self.removals(object.id).load(Ordering::Acquire) != removals {
                self.index.remove(object.id, |known| known.identity == identity);
                let _ = fs::remove_file(&temporary);
                return Ok(None);
            }
            self.rename(&temporary, name)?;
            if !self.index.has(name, identity) {
                let _ = fs::remove_file(name.path(&self.folder));
                return Ok(None);
            }
            Ok(Some(file))
        });
        match written {
            Ok(Some(file)) => {
                self.failures.store(0, Ordering::Relaxed);
                self.counts.written.fetch_add(1, Ordering::Relaxed);
                Some(Open(Arc::new(Inner {
                    disk: Arc::clone(self),
                    name,
                    prefix,
                    file,
                })))
            }
            Ok(None) => None,
            Err(error) => {
                let _ = fs::remove_file(&temporary);
                self.index.remove(object.id, |known| known.identity == identity);
                self.failed(&self.counts.write_errors, &error);
                None
            }
        }
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
            if !self.index.has_since(*name, before) {
                self.unlink(&[*name]);
            }
        }
    }

    /// A body turned out not to be what was written.
    fn damaged(&self, name: Name, identity: u64) {
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
