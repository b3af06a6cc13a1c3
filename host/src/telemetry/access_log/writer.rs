//! The thread that writes the access log.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::ControlFlow::{self, Break, Continue};
use std::path::PathBuf;
use std::sync::Weak;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use super::{Chunk, Shared, Stream, encode};
use crate::config::{self, LogFormat};
use crate::telemetry::{Counter, SharedCounter};

/// The longest that a line waits in a worker's buffer.
const SWEEP: Duration = Duration::from_secs(1);

/// Between two complaints about a file that cannot be written.
const COMPLAIN: Duration = Duration::from_secs(10);

/// What the writer is asked.
#[derive(Debug)]
pub(super) enum Message {
    /// Write these lines.
    Lines(Stream, Chunk),
    /// Open the file again under its name, and say whether that went well.
    Reopen(SyncSender<io::Result<()>>),
    /// Go on in this format and with these files, and say so.
    Replace(LogFormat, Sinks, SyncSender<()>),
    /// Write everything recorded so far, then say so.
    Flush(SyncSender<()>),
    /// Write everything recorded so far, then end.
    Stop,
}

/// Where the lines of both streams go.
#[derive(Debug)]
pub(super) struct Sinks {
    lines: Sink,
    /// `None` is among the lines.
    events: Option<Sink>,
}

impl Sinks {
    pub(super) fn open(config: &config::AccessLog) -> io::Result<Self> {
        Ok(Self {
            lines: Sink::open(config)?,
            events: config.events.clone().map(Sink::file).transpose()?,
        })
    }

    fn reopen(&mut self) -> io::Result<()> {
        let events = self.events.as_mut().map_or(Ok(()), Sink::reopen);
        self.lines.reopen().and(events)
    }

    fn of(&mut self, stream: Stream) -> &mut Sink {
        match (stream, &mut self.events) {
            (Stream::Events, Some(events)) => events,
            _ => &mut self.lines,
        }
    }
}

/// Where lines go.
#[derive(Debug)]
enum Sink {
    /// Nowhere: the log is off, and the file is not even made.
    Off,
    /// Standard output.
    Stdout,
    /// A file, opened for appending.
    File { file: File, path: PathBuf },
}

impl Sink {
    fn open(config: &config::AccessLog) -> io::Result<Self> {
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
                    format!("log {} cannot be opened for appending: {error}", path.display()),
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
    sinks: Sinks,
    messages: Receiver<Message>,
    shared: Weak<Shared>,
    /// In the order of [`Stream`].
    written: [Counter; 2],
    dropped: [SharedCounter; 2],
    complained: Option<Instant>,
}

impl Writer {
    pub(super) fn new(
        sinks: Sinks,
        messages: Receiver<Message>,
        shared: Weak<Shared>,
        written: [Counter; 2],
        dropped: [SharedCounter; 2],
    ) -> Self {
        Self {
            sinks,
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
            Message::Lines(stream, chunk) => {
                self.write(stream, &chunk);
                Continue(())
            }
            // Where nobody waits for an answer any more, there is nothing to tell.
            Message::Reopen(done) => {
                let next = self.sweep();
                let _ = done.send(self.sinks.reopen());
                next
            }
            Message::Replace(format, sinks, done) => {
                let next = self.sweep();
                self.sinks = sinks;
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
                Message::Lines(stream, chunk) => self.write(stream, &chunk),
                other => others.push(other),
            }
        }
        for (stream, chunk) in rest {
            self.write(stream, &chunk);
        }
        others.into_iter().try_for_each(|message| self.act(message))
    }

    fn write(&mut self, stream: Stream, chunk: &Chunk) {
        let lines = chunk.lines;
        let ([of_lines, of_events], [lost_lines, lost_events]) = (&self.written, &self.dropped);
        let (written, dropped) = match stream {
            Stream::Lines => (of_lines, lost_lines),
            Stream::Events => (of_events, lost_events),
        };
        let Err(error) = self.sinks.of(stream).write(&chunk.bytes) else {
            return written.add(lines);
        };
        dropped.add(lines);
        if self.complained.is_none_or(|last| last.elapsed() >= COMPLAIN) {
            tracing::error!(%error, lines, "access log lines are lost");
            self.complained = Some(Instant::now());
        }
    }
}
