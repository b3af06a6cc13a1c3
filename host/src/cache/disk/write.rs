//! What is written to the disk: whole responses, the heads of those that are there, and how a file gets its name.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::file::{self, Prefix};
use super::growing::{Growing, Progress};
use super::index::Known;
use super::reader::{Inner, Open};
use super::{Disk, Id, NEW, Name};

/// Bytes that may wait to be written, over which they are dropped: a disk that is slower than the origin must not fill memory.
const MOST_UNWRITTEN: u64 = 64 << 20;

/// A response to be written.
#[derive(Debug)]
pub(in crate::cache) struct Object {
    pub(in crate::cache) id: Id,
    /// A hash of what tells it from the URI's other responses.
    pub(in crate::cache) variant: u64,
    /// Anything; it comes back as it is.
    pub(in crate::cache) head: Vec<u8>,
    pub(in crate::cache) body: Bytes,
}

impl Disk {
    /// Writes a response; done when this is told so. What is dropped is done at once.
    pub(in crate::cache) fn write(self: &Arc<Self>, object: Object) -> oneshot::Receiver<Option<Open>> {
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
    pub(in crate::cache) fn grow(
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

    /// Gives a response another head, its body copied a block at a time: what is read of the old file is read to its end.
    pub(in crate::cache) fn rewrite(self: &Arc<Self>, open: &Open, object: Object) {
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
    pub(super) fn keep(
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

    pub(super) fn next_identity(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}
