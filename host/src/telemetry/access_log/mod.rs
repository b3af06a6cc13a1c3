//! The access log: one line an exchange, and beside it the events that plugins write about one.
//!
//! A worker formats a [`Record`] straight into a buffer of its own ([`text`], [`json`]); full buffers, and once a second those
//! that are not, go to one [writer] thread. When the file cannot keep up, whole buffers are dropped and their lines
//! counted: a slow disk never slows a request down.

pub mod json;
mod line;
pub mod text;
mod writer;

use std::io;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::SystemTime;

use parking_lot::Mutex;

use super::{Registry, SharedCounter, families};
use crate::config::{self, LogFormat};
pub use line::{Record, Stamp, TcpRecord};
use writer::{Message, Sinks, Writer};

/// A buffer this full goes to the writer, in bytes.
const FULL: usize = 64 * 1024;

/// Full buffers that may wait for the writer; more are dropped.
const QUEUE: usize = 64;

/// The access log of the process.
///
/// Dropping it writes what the workers have recorded until then and stops the writer.
#[derive(Debug)]
pub struct AccessLog {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    /// A line of an exchange.
    Lines,
    /// A line that a plugin wrote.
    Events,
}

impl AccessLog {
    /// Opens the file and starts the writer.
    ///
    /// # Errors
    /// When the file cannot be opened for appending, with its name.
    pub fn new(config: &config::AccessLog, metrics: &Registry) -> io::Result<Self> {
        let sinks = Sinks::open(config)?;
        let (queue, messages) = sync_channel(QUEUE);
        let dropped =
            [&families::LOG_DROPPED, &families::EVENT_DROPPED].map(|family| metrics.shared_counter(family, &[]));
        let shared = Arc::new(Shared {
            format: AtomicU8::new(encode(config.format)),
            workers: Mutex::default(),
            queue,
            dropped,
        });
        let written = [&families::LOG_LINES, &families::EVENT_LINES].map(|family| metrics.counter(family, &[]));
        let writer = Writer::new(
            sinks,
            messages,
            Arc::downgrade(&shared),
            written,
            shared.dropped.clone(),
        );
        let thread = std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || writer.run())?;
        Ok(Self {
            shared,
            writer: Some(thread),
        })
    }

    /// A worker's own handle.
    #[must_use]
    pub fn worker(&self) -> WorkerLog {
        let buffer = Arc::new(Mutex::new(Buffer::default()));
        self.shared.workers.lock().push(Arc::downgrade(&buffer));
        WorkerLog {
            buffer,
            shared: Arc::clone(&self.shared),
        }
    }

    /// Opens the file again under its name, after a log rotation moved it away. What was recorded before the call goes to the old
    /// one, what comes after it has returned to the new one.
    ///
    /// # Errors
    /// When the file cannot be opened; the log goes on in the old one.
    pub fn reopen(&self) -> io::Result<()> {
        let (done, wait) = sync_channel(1);
        self.send(Message::Reopen(done));
        // A writer that has stopped writes to no file, old or new.
        wait.recv().unwrap_or(Ok(()))
    }

    /// Takes another format and file. What was recorded before the call goes to the old file, what comes after it has returned
    /// to the new one, in the new format; in between, a line may be of the old format in the new file.
    ///
    /// # Errors
    /// When the new file cannot be opened; nothing changes.
    pub fn reconfigure(&self, config: &config::AccessLog) -> io::Result<()> {
        let sinks = Sinks::open(config)?;
        let (done, wait) = sync_channel(1);
        self.send(Message::Replace(config.format, sinks, done));
        // An error means that the writer has stopped: there is nothing to wait for.
        let _ = wait.recv();
        Ok(())
    }

    /// Returns when everything recorded before the call has been handed to the operating system.
    pub fn flush(&self) {
        let (done, wait) = sync_channel(1);
        self.send(Message::Flush(done));
        // An error means that the writer has stopped, which it does only after writing everything.
        let _ = wait.recv();
    }

    fn send(&self, message: Message) {
        // Waits while the queue is full: these come from operators, not from workers.
        if self.shared.queue.send(message).is_err() {
            tracing::error!("the access log's writer has stopped");
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.send(Message::Stop);
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the access log's writer has panicked");
        }
    }
}

/// A worker's handle to the log.
#[derive(Debug)]
pub struct WorkerLog {
    /// Locked by the worker for each line and by the writer once a second, so the lock is all but always free.
    buffer: Arc<Mutex<Buffer>>,
    shared: Arc<Shared>,
}

impl WorkerLog {
    /// Formats one line. Never waits for the disk.
    pub fn record(&self, record: &Record<'_>) {
        self.write(|out, stamp, format| match format {
            Format::Text => text::line(out, record, stamp),
            Format::Json => json::line(out, record, stamp),
        });
    }

    /// The same for a connection that was balanced as bytes.
    pub fn record_tcp(&self, record: &TcpRecord<'_>) {
        self.write(|out, stamp, format| match format {
            Format::Text => text::tcp_line(out, record, stamp),
            Format::Json => json::tcp_line(out, record, stamp),
        });
    }

    fn write(&self, line: impl FnOnce(&mut Vec<u8>, &Stamp, Format)) {
        let Some(format) = decode(self.shared.format.load(Relaxed)) else {
            return;
        };
        let mut buffer = self.buffer.lock();
        let buffer = &mut *buffer;
        buffer.stamp.update(SystemTime::now());
        line(&mut buffer.lines.bytes, &buffer.stamp, format);
        self.shared.count(Stream::Lines, &mut buffer.lines);
    }

    /// Takes a line that a plugin wrote. Never waits for the disk.
    pub fn event(&self, line: &str) {
        let events = &mut self.buffer.lock().events;
        events.bytes.extend_from_slice(line.as_bytes());
        events.bytes.push(b'\n');
        self.shared.count(Stream::Events, events);
    }
}

/// What the workers and the writer share.
#[derive(Debug)]
struct Shared {
    /// [`encode`]d.
    format: AtomicU8,
    workers: Mutex<Vec<Weak<Mutex<Buffer>>>>,
    queue: SyncSender<Message>,
    /// In the order of [`Stream`].
    dropped: [SharedCounter; 2],
}

impl Shared {
    /// Counts a line that was appended to a buffer, which goes to the writer when it is full.
    fn count(&self, stream: Stream, chunk: &mut Chunk) {
        chunk.lines += 1;
        if chunk.bytes.len() >= FULL {
            self.hand_over(stream, chunk);
        }
    }

    /// Gives a full buffer to the writer, or drops its lines when too many wait already.
    fn hand_over(&self, stream: Stream, chunk: &mut Chunk) {
        let full = std::mem::replace(
            chunk,
            Chunk {
                bytes: Vec::with_capacity(FULL + FULL / 8),
                lines: 0,
            },
        );
        let lines = full.lines;
        if self.queue.try_send(Message::Lines(stream, full)).is_err() {
            let [of_lines, of_events] = &self.dropped;
            match stream {
                Stream::Lines => of_lines.add(lines),
                Stream::Events => of_events.add(lines),
            }
        }
    }

    /// Takes what the workers have recorded so far.
    fn sweep(&self) -> Vec<(Stream, Chunk)> {
        let mut swept = Vec::new();
        self.workers.lock().retain(|worker| {
            let Some(buffer) = worker.upgrade() else { return false };
            let mut buffer = buffer.lock();
            for (stream, chunk) in buffer.chunks() {
                swept.push((stream, std::mem::take(chunk)));
            }
            true
        });
        swept
    }
}

/// Lines of one worker that the writer has not seen yet.
#[derive(Debug, Default)]
struct Buffer {
    lines: Chunk,
    events: Chunk,
    stamp: Stamp,
}

/// Lines of one stream.
#[derive(Debug, Default)]
struct Chunk {
    bytes: Vec<u8>,
    lines: u64,
}

impl Buffer {
    /// What is in it: of an exchange first its line, then its events.
    fn chunks(&mut self) -> impl Iterator<Item = (Stream, &mut Chunk)> {
        [(Stream::Lines, &mut self.lines), (Stream::Events, &mut self.events)]
            .into_iter()
            .filter(|(_, chunk)| chunk.lines > 0)
    }
}

impl Drop for WorkerLog {
    fn drop(&mut self) {
        for (stream, chunk) in self.buffer.lock().chunks() {
            self.shared.hand_over(stream, chunk);
        }
    }
}

/// A format that writes lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

fn encode(format: LogFormat) -> u8 {
    match format {
        LogFormat::Off => 0,
        LogFormat::Text => 1,
        LogFormat::Json => 2,
    }
}

fn decode(format: u8) -> Option<Format> {
    match format {
        1 => Some(Format::Text),
        2 => Some(Format::Json),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::path::Path;
    use std::time::{Duration, UNIX_EPOCH};

    use bytes::Bytes;

    use super::*;
    use crate::exchange::subject::{Note, RequestId, Scheme, Subject};
    use crate::plugin::{Phase, Trace};

    /// A subject as `admit` and `route` leave it.
    pub(crate) fn subject(target: &str, headers: &[(&str, &[u8])]) -> Subject {
        let mut request = http::Request::builder().method("GET").uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Subject {
            id: RequestId(0x0123_4567_89ab_cdef_0011_2233_4455_6677),
            peer: "192.0.2.9:4711".parse().unwrap(),
            client_ip: "203.0.113.7".parse().unwrap(),
            scheme: Scheme::Https,
            host: Bytes::from_static(b"example.org"),
            request: Box::new(request.body(()).unwrap().into()),
            route: Arc::from("api"),
            ..Subject::vacant()
        }
    }

    pub(crate) fn note(plugin: &str, key: &str, value: &str) -> Note {
        Note {
            plugin: Arc::from(plugin),
            key: key.to_owned(),
            value: value.to_owned(),
        }
    }

    pub(crate) fn trace(plugin: &str, verdict: &'static str, nanos: u64) -> Trace {
        Trace {
            plugin: Arc::from(plugin),
            phase: Phase::OnRequest,
            verdict,
            nanos,
        }
    }

    pub(crate) fn record<'a>(subject: &'a Subject, plugins: &'a [Trace]) -> Record<'a> {
        Record {
            subject,
            listener: "public",
            status: 200,
            request_bytes: 0,
            response_bytes: 512,
            duration: Duration::from_micros(1234),
            upstream_time: Some(Duration::from_micros(1001)),
            server: Some("127.0.0.1:9001"),
            cache: "miss",
            refusal: None,
            plugins,
        }
    }

    pub(crate) fn stamp() -> Stamp {
        let mut stamp = Stamp::default();
        stamp.update(UNIX_EPOCH + Duration::from_millis(1_769_903_999_007));
        stamp
    }

    fn config(format: LogFormat, file: &Path) -> config::AccessLog {
        config::AccessLog {
            format,
            file: Some(file.to_owned()),
            events: None,
        }
    }

    fn lines(file: &Path) -> usize {
        std::fs::read(file)
            .unwrap()
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
    }

    #[test]
    fn lines_of_all_workers_arrive_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("access.log");
        let metrics = Registry::new();
        let log = AccessLog::new(&config(LogFormat::Json, &file), &metrics).unwrap();
        std::thread::scope(|scope| {
            for worker in ["a", "b"] {
                let handle = log.worker();
                scope.spawn(move || {
                    let subject = subject("/", &[]);
                    for sequence in 0..2000 {
                        let mut record = record(&subject, &[]);
                        record.listener = worker;
                        record.response_bytes = sequence;
                        handle.record(&record);
                    }
                });
            }
        });
        drop(log);
        let mut next = std::collections::BTreeMap::from([("a", 0), ("b", 0)]);
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let expected = next.get_mut(line["listener"].as_str().unwrap()).unwrap();
            assert_eq!(line["response_bytes"], *expected);
            *expected += 1;
        }
        assert_eq!(next.into_values().collect::<Vec<_>>(), [2000, 2000]);
        assert_eq!(metrics.value(&families::LOG_LINES, &[]), Some(4000.0));
        assert_eq!(metrics.value(&families::LOG_DROPPED, &[]), Some(0.0));
    }

    #[test]
    fn a_quiet_worker_s_line_is_written_without_its_help() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("access.log");
        let log = AccessLog::new(&config(LogFormat::Text, &file), &Registry::new()).unwrap();
        let worker = log.worker();
        worker.record(&record(&subject("/", &[]), &[]));
        log.flush();
        assert_eq!(lines(&file), 1);
    }

    #[test]
    fn a_rotated_file_gets_what_came_before_and_a_new_one_what_comes_after() {
        let dir = tempfile::tempdir().unwrap();
        let (file, old) = (dir.path().join("access.log"), dir.path().join("access.log.1"));
        let log = AccessLog::new(&config(LogFormat::Text, &file), &Registry::new()).unwrap();
        let worker = log.worker();
        let subject = subject("/", &[]);
        worker.record(&record(&subject, &[]));
        std::fs::rename(&file, &old).unwrap();
        log.reopen().unwrap();
        worker.record(&record(&subject, &[]));
        worker.record(&record(&subject, &[]));
        log.flush();
        assert_eq!((lines(&old), lines(&file)), (1, 2));
    }

    #[test]
    fn events_have_a_file_of_their_own_or_are_among_the_lines() {
        let dir = tempfile::tempdir().unwrap();
        let (file, events) = (dir.path().join("access.log"), dir.path().join("events.log"));
        let metrics = Registry::new();
        let log = AccessLog::new(&config(LogFormat::Text, &file), &metrics).unwrap();
        let worker = log.worker();
        worker.record(&record(&subject("/", &[]), &[]));
        worker.event("{\"a\":1}");
        let apart = config::AccessLog {
            events: Some(events.clone()),
            ..config(LogFormat::Text, &file)
        };
        log.reconfigure(&apart).unwrap();
        worker.record(&record(&subject("/", &[]), &[]));
        worker.event("{\"a\":2}");
        log.flush();
        assert_eq!((lines(&file), lines(&events)), (3, 1));
        assert!(std::fs::read_to_string(&file).unwrap().contains("\n{\"a\":1}\n"));
        assert_eq!(metrics.value(&families::LOG_LINES, &[]), Some(2.0));
        assert_eq!(metrics.value(&families::EVENT_LINES, &[]), Some(2.0));
        let absent = config::AccessLog {
            events: Some(dir.path().join("absent/e.log")),
            ..apart
        };
        assert!(
            log.reconfigure(&absent)
                .unwrap_err()
                .to_string()
                .contains("absent/e.log")
        );
    }

    #[test]
    fn format_and_file_change_while_workers_record() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("a.log"), dir.path().join("b.log"));
        let log = AccessLog::new(&config(LogFormat::Off, &first), &Registry::new()).unwrap();
        let worker = log.worker();
        let subject = subject("/", &[]);
        worker.record(&record(&subject, &[]));
        log.reconfigure(&config(LogFormat::Json, &second)).unwrap();
        worker.record(&record(&subject, &[]));
        log.flush();
        assert!(!first.exists() || lines(&first) == 0);
        assert_eq!(lines(&second), 1);
        let error = log
            .reconfigure(&config(LogFormat::Json, &dir.path().join("absent/c.log")))
            .unwrap_err();
        assert!(error.to_string().contains("absent/c.log"), "{error}");
    }

    #[test]
    fn lines_are_dropped_and_counted_when_the_writer_does_not_keep_up() {
        let metrics = Registry::new();
        let (queue, messages) = sync_channel(1);
        let shared = Arc::new(Shared {
            format: AtomicU8::new(encode(LogFormat::Text)),
            workers: Mutex::default(),
            queue,
            dropped: [&families::LOG_DROPPED, &families::EVENT_DROPPED]
                .map(|family| metrics.shared_counter(family, &[])),
        });
        let worker = WorkerLog {
            buffer: Arc::default(),
            shared: Arc::clone(&shared),
        };
        let subject = subject(&format!("/{}", "x".repeat(FULL - 100)), &[]);
        for _ in 0..3 {
            worker.record(&record(&subject, &[]));
        }
        worker.event(&"x".repeat(FULL));
        assert_eq!(shared.dropped.each_ref().map(SharedCounter::get), [2, 1]);
        assert!(matches!(
            messages.try_recv(),
            Ok(Message::Lines(Stream::Lines, Chunk { lines: 1, .. }))
        ));
    }
}
