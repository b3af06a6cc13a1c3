//! The disk tier: one file a response, which outlives the process.
//!
//! - [`name`] is what files are called, and [`file`] is what is in one, and how damage is found.
//! - [`load`] finds and opens them, [`write`] makes them, [`remove`] takes them away or marks them as stale.
//! - [`index`] knows in memory which files there are, and which go next.
//! - [`scan`] makes the index when Weir starts, while it serves.
//! - [`growing`] is what is written while it arrives.
//! - [`trouble`] is when the disk is left alone.
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
mod load;
mod name;
mod pending;
mod pool;
mod reader;
mod remove;
mod resident;
mod scan;
mod trouble;
mod warm;
mod write;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use self::index::Index;
use self::name::Name;
use self::pending::Pending;
use self::pool::Pool;
use self::warm::Warm;

pub(super) use self::growing::{Growing, Progress, Written};
pub(super) use self::name::{Id, Which};
pub(super) use self::reader::{Blocks, Open};
pub(super) use self::remove::Fate;
pub(super) use self::write::Object;

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

#[cfg(test)]
mod tests;
