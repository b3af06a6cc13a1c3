//! A body from the disk, a block at a time, as fast as its client takes it.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::file::{BLOCK, Prefix, read_block};
use super::resident::is_cached;
use super::{Damaged, Disk, Name};
use crate::http1::buffer::FilePart;

/// Blocks that go to a socket as one part of a file.
const AT_ONCE: u64 = 4;

/// An object whose file is open: it can be read to its end whatever happens to its name.
#[derive(Debug, Clone)]
pub(in crate::cache) struct Open(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) disk: Arc<Disk>,
    pub(super) name: Name,
    pub(super) prefix: Prefix,
    pub(super) file: Arc<File>,
    /// Which blocks have been found whole since the file was opened.
    checked: Box<[AtomicU64]>,
}

impl Inner {
    pub(super) fn new(disk: Arc<Disk>, name: Name, prefix: Prefix, file: File) -> Self {
        let words = usize::try_from(prefix.body.div_ceil(BLOCK * 64)).unwrap_or(0);
        Self {
            disk,
            name,
            prefix,
            file: Arc::new(file),
            checked: (0..words).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn checked(&self, block: u64) -> Option<(&AtomicU64, u64)> {
        let word = self.checked.get(usize::try_from(block / 64).ok()?)?;
        Some((word, 1 << (block % 64)))
    }

    fn is_checked(&self, block: u64) -> bool {
        self.checked(block)
            .is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
    }
}

impl Open {
    /// The body's length.
    pub(in crate::cache) fn length(&self) -> u64 {
        self.0.prefix.body
    }

    /// Reads this part of the body.
    pub(in crate::cache) fn read(self, range: Range<u64>) -> Blocks {
        let end = range.end.min(self.length());
        Blocks {
            at: range.start.min(end),
            end,
            open: self,
            next: None,
        }
    }

    /// Reads the whole body, where it is small enough to be kept in memory.
    pub(in crate::cache) async fn read_whole(&self) -> Result<Bytes, Damaged> {
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

    fn block(&self, block: u64) -> oneshot::Receiver<Result<Bytes, Damaged>> {
        let (sender, receiver) = oneshot::channel();
        let open = self.clone();
        // Where the disk is too far behind, the sender is dropped, and the reader sees the body break off.
        let _ = self.0.disk.pool.run(move || {
            let _ = sender.send(open.read_block(block));
        });
        receiver
    }

    /// One block of it, on a thread that may wait for it.
    pub(super) fn read_block(&self, block: u64) -> Result<Bytes, Damaged> {
        let Inner {
            disk,
            name,
            prefix,
            file,
            ..
        } = &*self.0;
        let read = read_block(file, prefix, block);
        match (&read, self.0.checked(block)) {
            (Err(_), _) => disk.damaged(*name, prefix.identity),
            (Ok(_), Some((word, bit))) => {
                word.fetch_or(bit, Ordering::Relaxed);
            }
            (Ok(_), None) => {}
        }
        read.map(Bytes::from)
    }
}

/// The blocks of a body, one of them read ahead.
#[derive(Debug)]
pub(in crate::cache) struct Blocks {
    open: Open,
    at: u64,
    end: u64,
    next: Option<oneshot::Receiver<Result<Bytes, Damaged>>>,
}

impl Blocks {
    /// The next piece.
    pub(in crate::cache) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Damaged>>> {
        if self.at >= self.end {
            return Poll::Ready(None);
        }
        let block = self.at / BLOCK;
        let next = self.next.get_or_insert_with(|| self.open.block(block));
        let read = ready!(std::pin::Pin::new(next).poll(cx)).unwrap_or(Err(Damaged));
        self.next = None;
        let data = match read {
            Ok(data) => data,
            Err(damaged) => {
                self.end = self.at;
                return Poll::Ready(Some(Err(damaged)));
            }
        };
        let start = block * BLOCK;
        let until = self.end.min(start + data.len() as u64);
        let piece = data.slice((self.at - start) as usize..(until - start) as usize);
        self.at = until;
        if self.at < self.end {
            self.next = Some(self.open.block(self.at / BLOCK));
        }
        Poll::Ready(Some(Ok(piece)))
    }

    /// The next piece as part of the file, if sending it needs neither the disk nor a look at its checksums: its blocks have been
    /// checked since the file was opened, and are in the page cache. (A block that leaves the page cache and comes back damaged is
    /// not noticed, until the file is opened again.)
    pub(in crate::cache) fn next_file(&mut self) -> Option<FilePart> {
        let inner = &*self.open.0;
        if self.next.is_some() || self.at >= self.end {
            return None;
        }
        let first = self.at / BLOCK;
        let checked = (first..first + AT_ONCE)
            .take_while(|block| inner.is_checked(*block))
            .count() as u64;
        let until = self.end.min((first + checked) * BLOCK);
        let offset = inner.prefix.body_at() + self.at;
        if checked == 0 || !is_cached(&inner.file, offset..inner.prefix.body_at() + until) {
            return None;
        }
        let length = usize::try_from(until - self.at).ok()?;
        self.at = until;
        Some(FilePart {
            file: Arc::clone(&inner.file),
            offset,
            length,
        })
    }

    /// Only this part, before anything was read.
    pub(in crate::cache) fn within(self, range: Range<u64>) -> Self {
        self.open.read(range)
    }

    /// Bytes still to come.
    pub(in crate::cache) fn left(&self) -> u64 {
        self.end - self.at
    }
}
