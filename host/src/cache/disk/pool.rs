//! The threads that touch the disk, so that no worker does.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread;

use parking_lot::{Condvar, Mutex};

/// Enough to keep a disk busy while one of them waits for it.
const THREADS: usize = 4;
/// Jobs that may wait. A disk that is this far behind is not asked for more.
const MOST_JOBS: usize = 4096;

type Job = Box<dyn FnOnce() + Send>;

/// Runs jobs in the order in which they come, several at a time; ends when it is dropped, after the last of them.
#[derive(Debug)]
pub(super) struct Pool(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

/// The disk is too far behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl Pool {
    pub(super) fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        for number in 0..THREADS {
            let shared = Arc::clone(&shared);
            let thread = thread::Builder::new().name(format!("cache-disk-{number}"));
            thread.spawn(move || shared.work())?;
        }
        Ok(Self(shared))
    }

    /// Has a job done soon.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) -> Result<(), Full> {
        let mut queue = self.0.queue.lock();
        if queue.jobs.len() >= MOST_JOBS {
            return Err(Full);
        }
        queue.jobs.push_back(Box::new(job));
        drop(queue);
        self.0.changed.notify_one();
        Ok(())
    }

    /// The same however far behind the disk is: for small jobs without which something false would be served later on.
    pub(super) fn run_in_any_case(&self, job: impl FnOnce() + Send + 'static) {
        self.0.queue.lock().jobs.push_back(Box::new(job));
        self.0.changed.notify_one();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.queue.lock().closed = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn work(&self) {
        loop {
            let mut queue = self.queue.lock();
            let job = loop {
                match queue.jobs.pop_front() {
                    Some(job) => break job,
                    None if queue.closed => return,
                    None => self.changed.wait(&mut queue),
                }
            };
            drop(queue);
            job();
        }
    }
}
