//! What a plugin's instance holds on the host's side.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wasmtime::{ResourceLimiter, Result, StoreContextMut, UpdateDeadline};

use super::Phase;
use super::custom::CustomMetrics;
use super::engine::TICK;
use super::interest::Interest;
use super::shared::clock::Clock;
use super::shared::counters::Space;
use super::shared::kv::Namespace;
use super::shared::tables::Table;
use super::subjects;
use crate::bundle::manifest::DataFile;
use crate::exchange::subject::{Reply, Subject};
use crate::telemetry::SharedCounter;

/// What host functions find in the store.
pub(super) struct State {
    /// The exchange that the running call is about; a vacant one between calls.
    pub(super) subject: Box<Subject>,
    /// What `body.hold` was told in this call.
    pub(super) hold: Option<u64>,
    /// What `reply.set` was told in this call, or why it makes no sense.
    pub(super) reply: Option<std::result::Result<Reply, String>>,
    /// Whether a table was looked into since the instance was made.
    pub(super) read_tables: bool,
    /// What `configure` said that the plugin takes part in.
    pub(super) interest: Interest,
    /// What the plugin may use, shared by the worker's instances of it.
    pub(super) services: Arc<Services>,
    /// Bounds the instance's memory.
    pub(super) memory: MemoryLimit,
    activity: Activity,
    manner: Manner,
    /// Known of a call that does not yield.
    length: Length,
    /// CPU time that the running call has left.
    left: Duration,
}

/// How a plugin is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Manner {
    /// Like a function, on the worker's stack: for plugins that answer at once. The worker's other exchanges wait meanwhile.
    #[default]
    Straight,
    /// On a stack of its own, from which it yields to the worker's other exchanges at every tick.
    Yielding,
}

/// What the instance is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activity {
    /// It configures itself.
    Configure,
    /// It is called in this phase.
    Call(Phase),
    /// It parks an exchange or resumes one.
    Move,
}

/// How long a call keeps a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Short,
    /// More than a tick.
    Long,
}

impl State {
    pub(super) fn new(services: Arc<Services>, memory: u64) -> Self {
        Self {
            subject: subjects::vacant(),
            hold: None,
            reply: None,
            read_tables: false,
            interest: Interest::default(),
            services,
            memory: MemoryLimit {
                limit: usize::try_from(memory).unwrap_or(usize::MAX),
                exceeded: false,
            },
            activity: Activity::Configure,
            manner: Manner::Yielding,
            length: Length::Short,
            left: Duration::ZERO,
        }
    }

    /// Begins a call that may take so much CPU time.
    pub(super) fn begin(&mut self, activity: Activity, manner: Manner, time: Duration) {
        self.activity = activity;
        self.manner = manner;
        self.length = Length::Short;
        self.hold = None;
        self.reply = None;
        self.left = time;
    }

    /// Whether the last call used the processor for longer than a plugin may keep the others waiting.
    pub(super) fn was_long(&self) -> bool {
        self.length == Length::Long
    }

    pub(super) fn configures(&self) -> bool {
        self.activity == Activity::Configure
    }

    /// Whether nothing has gone upstream yet, and something will.
    pub(super) fn request_is_open(&self) -> bool {
        matches!(self.activity, Activity::Call(Phase::OnRequest | Phase::OnRequestBody))
            && self.subject.refused.is_none()
    }

    /// Whether there is a response of which the client has seen nothing yet.
    pub(super) fn response_is_open(&self) -> bool {
        matches!(self.activity, Activity::Call(Phase::OnResponse | Phase::OnResponseBody))
    }
}

thread_local! {
    /// When this thread last went on with a plugin.
    static SLICE: Cell<Slice> = const { Cell::new(Slice::Unknown) };
}

/// The beginning of the time that a plugin runs at a stretch.
#[derive(Debug, Clone, Copy)]
pub(super) enum Slice {
    /// Nobody said.
    Unknown,
    /// A call began. Looking at the processor's time is a system call, which most calls are shorter than: what a call uses
    /// before its first tick is free.
    Began,
    /// A call went on, when the thread had used so much of the processor's time.
    WentOn(Duration),
}

impl Slice {
    /// Says that this thread runs a plugin from now on.
    pub(super) fn enter(self) {
        SLICE.set(self);
    }

    /// Processor time that the plugin has used since.
    fn used(self) -> Duration {
        match self {
            Self::Unknown => TICK,
            Self::Began => Duration::ZERO,
            Self::WentOn(before) => thread_time().saturating_sub(before),
        }
    }
}

/// What happens to a running plugin at a tick: it yields to the worker's other tasks, or is stopped when its time is over. What
/// counts is the processor's time: a plugin does not pay for waiting for its turn.
pub(super) fn at_tick(mut store: StoreContextMut<'_, State>) -> Result<UpdateDeadline> {
    let used = SLICE.get().used();
    let state = store.data_mut();
    state.left = state.left.saturating_sub(used);
    if state.left.is_zero() {
        return Ok(UpdateDeadline::Interrupt);
    }
    if state.manner == Manner::Straight {
        state.length = if used > TICK / 2 { Length::Long } else { state.length };
        Slice::WentOn(thread_time()).enter();
        return Ok(UpdateDeadline::Continue(1));
    }
    // tokio's own yield lets sockets and timers be looked at before the task goes on.
    Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
}

/// The processor's time that this thread has used.
pub(super) fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for a timespec, and the call does nothing but write to it.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// Bounds an instance's memory, and remembers that the bound was met.
#[derive(Debug)]
pub(super) struct MemoryLimit {
    limit: usize,
    pub(super) exceeded: bool,
}

/// Entries of an instance's tables (of functions): far more than any plugin has.
const TABLE_ENTRIES: usize = 100_000;

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let fits = desired <= self.limit;
        self.exceeded |= !fits;
        Ok(fits)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        Ok(desired <= TABLE_ENTRIES)
    }
}

/// What a plugin may use beyond the exchange itself.
pub(super) struct Services {
    /// The plugin's name. Each worker has its own copy, so that workers do not share its reference count.
    pub(super) name: Arc<str>,
    pub(super) clock: Clock,
    /// In the order of their handles.
    pub(super) tables: Arc<[NamedTable]>,
    /// In the order of their indices.
    pub(super) spaces: Vec<NamedSpace>,
    pub(super) kv: Arc<Namespace>,
    pub(super) metrics: CustomMetrics,
    pub(super) log: PerSecond,
    /// Refused requests that it is shown; `None` where it is shown none.
    pub(super) refused: Option<Shown>,
    pub(super) data: Arc<BTreeMap<String, DataFile>>,
}

/// A table and what the plugin calls it.
#[derive(Debug)]
pub(super) struct NamedTable {
    pub(super) name: String,
    pub(super) table: Arc<Table>,
}

/// A space of counters and what the plugin calls it.
#[derive(Debug, Clone)]
pub(super) struct NamedSpace {
    pub(super) name: String,
    pub(super) space: Arc<Space>,
}

/// What a plugin is shown of requests that Weir refuses.
pub(super) struct Shown {
    pub(super) limit: PerSecond,
    pub(super) count: SharedCounter,
}

/// So many a second of something; what is over is counted.
pub(super) struct PerSecond {
    per_second: u32,
    start: Instant,
    /// The second, and how many there were in it, in one word.
    window: AtomicU64,
    dropped: SharedCounter,
}

impl PerSecond {
    pub(super) fn new(per_second: u32, dropped: SharedCounter) -> Self {
        Self {
            per_second,
            start: Instant::now(),
            window: AtomicU64::new(0),
            dropped,
        }
    }

    /// Whether there may be one more now. Only the worker's own thread asks.
    pub(super) fn admit(&self) -> bool {
        let second = self.start.elapsed().as_secs() & 0xffff_ffff;
        let window = self.window.load(Ordering::Relaxed);
        let before = if window >> 32 == second {
            window & 0xffff_ffff
        } else {
            0
        };
        if before >= u64::from(self.per_second) {
            self.dropped.increment();
            return false;
        }
        self.window.store(second << 32 | (before + 1), Ordering::Relaxed);
        true
    }
}
