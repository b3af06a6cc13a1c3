//! The thread that writes the access log.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::ControlFlow::{self, Break, Continue};
use std::path::PathBuf;
use std::sync::Weak;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use super::{Shared, encode};
use crate::config::{self, LogFormat};
use crate::telemetry::{Counter, SharedCounter};

/// The longest that a line waits in a worker's buffer.
const SWEEP: Duration = Duration::from_secs(1);

/// Between two complaints about a file that cannot be written.
const COMPLAIN: Duration = Duration::from_secs(10);

/// What the writer is asked.
#[derive(Debug)]
pub(super) enum Message {
    /// Write these bytes, so many lines.
    Lines(Vec<u8>, u64),
    /// Open the file again under its name, and say whether that went well.
    Reopen(SyncSender<io::Result<()>>),
    /// Go on in this format and with this file, and say so.
    Replace(LogFormat, Sink, SyncSender<()>),
    /// Write everything recorded so far, then say so.
    Flush(SyncSender<()>),
    /// Write everything recorded so far, then end.
    Stop,
}

/// Where lines go.
#[derive(Debug)]
pub(super) enum Sink {
    /// Nowhere: the log is off, and the file is not even made.
    Off,
    /// Standard output.
    Stdout,
    /// A file, opened for appending.
    File { file: File, path: PathBuf },
}

impl Sink {
    pub(super) fn open(config: &config::AccessLog) -> io::Result<Self> {
        match (config.format, &config.file) {
            (LogFormat::Off, _) => Ok(Self::Off),
            (_, None) => Ok(Self::Stdout),
            (_, Some(path)) => Self::file(path.clone()),
        }
    }

    fn file(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("access log {} cannot be opened for appending: {error}", path.display()),
                )
            })?;
        Ok(Self::File { file, path })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Off => Ok(()),
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()
            }
            Self::File { file, .. } => file.write_all(bytes),
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        if let Self::File { path, .. } = self {
            *self = Self::file(path.clone())?;
        }
        Ok(())
    }
}

/// The writer's state.
pub(super) struct Writer {
    sink: Sink,
    messages: Receiver<Message>,
    shared: Weak<Shared>,
    written: Counter,
    dropped: SharedCounter,
    complained: Option<Instant>,
}

impl Writer {
    pub(super) fn new(
        sink: Sink,
        messages: Receiver<Message>,
        shared: Weak<Shared>,
        written: Counter,
        dropped: SharedCounter,
    ) -> Self {
        Self {
            sink,
            messages,
            shared,
            written,
            dropped,
            complained: None,
        }
    }

    pub(super) fn run(mut self) {
        let mut swept = Instant::now();
        loop {
            let next = match self.messages.recv_timeout(SWEEP.saturating_sub(swept.elapsed())) {
                Ok(message) => self.act(message),
                Err(RecvTimeoutError::Timeout) => Continue(()),
                Err(RecvTimeoutError::Disconnected) => Break(()),
            };
            if next.is_break() {
                return;
            }
            if swept.elapsed() >= SWEEP {
                swept = Instant::now();
                if self.sweep().is_break() {
                    return;
                }
            }
        }
    }

    fn act(&mut self, message: Message) -> ControlFlow<()> {
        match message {
            Message::Lines(bytes, lines) => {
                self.write(&bytes, lines);
                Continue(())
            }
            // Where nobody waits for an answer any more, there is nothing to tell.
            Message::Reopen(done) => {
                let next = self.sweep();
                let _ = done.send(self.sink.reopen());
                next
            }
            Message::Replace(format, sink, done) => {
                let next = self.sweep();
                self.sink = sink;
                if let Some(shared) = self.shared.upgrade() {
                    shared.format.store(encode(format), Relaxed);
                }
                let _ = done.send(());
                next
            }
            Message::Flush(done) => {
                let next = self.sweep();
                let _ = done.send(());
                next
            }
            Message::Stop => {
                // Whatever it says, this is the end.
                let _ = self.sweep();
                Break(())
            }
        }
    }

    /// Writes what the workers hold. Each worker's lines stay in order: a buffer that it handed over before its rest was taken
    /// is in the queue by now, and is written first.
    fn sweep(&mut self) -> ControlFlow<()> {
        let Some(shared) = self.shared.upgrade() else {
            return Break(());
        };
        let rest = shared.sweep();
        let mut others = Vec::new();
        while let Ok(message) = self.messages.try_recv() {
            match message {
                Message::Lines(bytes, lines) => self.write(&bytes, lines),
                other => others.push(other),
            }
        }
        for (bytes, lines) in rest {
            self.write(&bytes, lines);
        }
        others.into_iter().try_for_each(|message| self.act(message))
    }

    fn write(&mut self, bytes: &[u8], lines: u64) {
        let Err(error) = self.sink.write(bytes) else {
            return self.written.add(lines);
        };
        self.dropped.add(lines);
        if self.complained.is_none_or(|last| last.elapsed() >= COMPLAIN) {
            tracing::error!(%error, lines, "access log lines are lost");
            self.complained = Some(Instant::now());
        }
    }
}
