//! A response that is written while it arrives, because it is too large to be in memory until it is complete.
//!
//! Its pieces are written in the order in which they come, one after the other, by whichever of the disk's threads is free;
//! between two of them other work has its turn. The head comes last, into the room that was left for it. Until then the file
//! lies under [`NEW`](super::NEW), and what was written of it can be read.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::file::{self, BLOCK, Prefix};
use super::reader::Open;
use super::{Damaged, Disk, Id, NEW, Name};

/// What the head may be longer than it was expected to be: by a Content-Length that nobody knew.
const HEAD_SPARE: usize = 64;

/// A file in the making. Dropped before [`Growing::finish`], it goes.
#[derive(Debug)]
pub(in crate::cache) struct Growing(Arc<Shared>);

/// Reads what has been written so far, also after the file has got its name or has gone.
#[derive(Debug, Clone)]
pub(in crate::cache) struct Written(Arc<Shared>);

/// How the writing gets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cache) enum Progress {
    /// This many bytes of the body are in the file.
    Written(u64),
    /// No more will be: the disk is full, or fails.
    Failed,
}

struct Shared {
    disk: Arc<Disk>,
    name: Name,
    identity: u64,
    temporary: PathBuf,
    removals: u64,
    /// Bytes left for the head.
    room: u32,
    file: OnceLock<File>,
    steps: Mutex<Steps>,
    /// Taken by one thread at a time, which is the one that has steps to do.
    body: Mutex<BodySums>,
    tell: Box<dyn Fn(Progress) + Send + Sync>,
}

#[derive(Debug, Default)]
struct Steps {
    waiting: VecDeque<Step>,
    /// Whether one of the disk's threads does them, or is going to.
    running: bool,
    failed: bool,
}

#[derive(Debug)]
enum Step {
    Append(Bytes),
    Finish(Vec<u8>, oneshot::Sender<Option<Open>>),
    Abandon,
}

/// What was written of the body, and the checksums of its blocks.
#[derive(Debug, Default)]
struct BodySums {
    length: u64,
    sums: Vec<u8>,
    /// Of the block that is not full.
    block: blake3::Hasher,
}

impl Growing {
    /// Begins a file for a response whose head will be about this long. `tell` is called by the disk's threads.
    pub(super) fn new(
        disk: &Arc<Disk>,
        id: Id,
        variant: u64,
        head: usize,
        tell: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Option<Self> {
        let identity = disk.next_identity();
        Some(Self(Arc::new(Shared {
            name: Name { id, variant },
            identity,
            temporary: disk.folder.join(NEW).join(format!("{identity:016x}")),
            removals: disk.removals_of(id),
            room: u32::try_from(head + HEAD_SPARE).ok()?,
            disk: Arc::clone(disk),
            file: OnceLock::new(),
            steps: Mutex::default(),
            body: Mutex::default(),
            tell: Box::new(tell),
        })))
    }

    /// The next piece of the body.
    pub(in crate::cache) fn append(&self, data: Bytes) {
        self.0.add(Step::Append(data));
    }

    /// The body is complete: gives the file its name, once all of it is written.
    pub(in crate::cache) fn finish(self, head: Vec<u8>) -> oneshot::Receiver<Option<Open>> {
        let (done, written) = oneshot::channel();
        self.0.add(Step::Finish(head, done));
        written
    }

    /// The same two on a thread that may wait for the disk, and has nobody else append.
    pub(super) fn append_now(&self, data: &[u8]) -> io::Result<()> {
        self.0.append(data).map(drop)
    }

    pub(super) fn finish_now(self, head: Vec<u8>) -> io::Result<Option<Open>> {
        self.0.finish(head)
    }

    /// For those who read while it is written.
    pub(in crate::cache) fn written(&self) -> Written {
        Written(Arc::clone(&self.0))
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        // After a finish there is nothing to abandon any more.
        self.0.add(Step::Abandon);
    }
}

impl Written {
    /// Reads what is written from `start` on, up to `end` or the end of a block's length.
    pub(in crate::cache) fn read(&self, start: u64, end: u64) -> oneshot::Receiver<Result<Bytes, Damaged>> {
        let (sender, receiver) = oneshot::channel();
        let shared = Arc::clone(&self.0);
        // Where the disk is too far behind, the sender is dropped, and the reader sees the body break off.
        let _ = self.0.disk.pool.run(move || {
            let _ = sender.send(shared.read(start, end));
        });
        receiver
    }
}

impl Shared {
    fn add(self: &Arc<Self>, step: Step) {
        let mut steps = self.steps.lock();
        if steps.failed {
            return;
        }
        steps.waiting.push_back(step);
        if !std::mem::replace(&mut steps.running, true) {
            drop(steps);
            self.go_on();
        }
    }

    /// Has one of the disk's threads do the next step, and again until there is none.
    fn go_on(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        self.disk.pool.run_in_any_case(move || {
            let mut steps = shared.steps.lock();
            let Some(step) = steps.waiting.pop_front() else {
                steps.running = false;
                return;
            };
            drop(steps);
            if let Err(error) = shared.do_step(step) {
                shared.fail(&error);
            } else {
                shared.go_on();
            }
        });
    }

    fn do_step(self: &Arc<Self>, step: Step) -> io::Result<()> {
        match step {
            Step::Append(data) => {
                let length = self.append(&data)?;
                (self.tell)(Progress::Written(length));
            }
            Step::Finish(head, done) => {
                let open = self.finish(head)?;
                let _ = done.send(open);
                self.disk.make_room();
            }
            // Where it has been renamed there is nothing under this name.
            Step::Abandon => match fs::remove_file(&self.temporary) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            },
        }
        Ok(())
    }

    fn append(&self, data: &[u8]) -> io::Result<u64> {
        let mut body = self.body.lock();
        let at = file::body_at(self.room) + body.length;
        self.file()?.write_all_at(data, at)?;
        body.add(data);
        Ok(body.length)
    }

    fn finish(self: &Arc<Self>, mut head: Vec<u8>) -> io::Result<Option<Open>> {
        let mut body = self.body.lock();
        body.end_block();
        let room = self.room as usize;
        if head.len() > room {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // Its reader knows where it ends.
        head.resize(room, 0);
        let prefix = Prefix::new(&head, body.length, self.identity).ok_or(io::ErrorKind::InvalidData)?;
        let file = self.file()?;
        file.write_all_at(&body.sums, prefix.body_at() + body.length)?;
        file.write_all_at(&file::start(&prefix, &head), 0)?;
        let file = file.try_clone()?;
        self.disk.keep(self.name, prefix, &self.temporary, file, self.removals)
    }

    fn file(&self) -> io::Result<&File> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&self.temporary)?;
        Ok(self.file.get_or_init(|| file))
    }

    fn read(&self, start: u64, end: u64) -> Result<Bytes, Damaged> {
        let length = end.saturating_sub(start).min(BLOCK);
        let mut data = vec![0; usize::try_from(length).map_err(|_| Damaged)?];
        let file = self.file.get().ok_or(Damaged)?;
        let at = file::body_at(self.room) + start;
        file.read_exact_at(&mut data, at).map_err(|_| Damaged)?;
        Ok(data.into())
    }

    fn fail(&self, error: &io::Error) {
        let waiting = {
            let mut steps = self.steps.lock();
            steps.failed = true;
            std::mem::take(&mut steps.waiting)
        };
        // Whoever waits for the end sees it gone.
        drop(waiting);
        let _ = fs::remove_file(&self.temporary);
        self.disk.write_failed(error);
        (self.tell)(Progress::Failed);
    }
}

impl BodySums {
    fn add(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let room = (BLOCK - self.length % BLOCK) as usize;
            let (now, after) = data.split_at(room.min(data.len()));
            self.block.update(now);
            self.length += now.len() as u64;
            data = after;
            if self.length.is_multiple_of(BLOCK) {
                self.push_sum();
            }
        }
    }

    fn end_block(&mut self) {
        if !self.length.is_multiple_of(BLOCK) {
            self.push_sum();
        }
    }

    fn push_sum(&mut self) {
        let sum = file::first_eight(&self.block.finalize());
        self.sums.extend_from_slice(&sum.to_le_bytes());
        self.block.reset();
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Growing")
            .field("name", &self.name)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}
