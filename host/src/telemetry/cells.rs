//! The cells that are counted in.
//!
//! A cell has one writer, which adds by a relaxed load and a relaxed store: no lock prefix, and no line that another worker
//! writes. Readers (a scrape) may see a value that is an instant old, never a torn one. That there is one writer is promised
//! by the types: [`Counter`], [`Gauge`] and [`Histogram`] may move to another thread, but may not be used by two.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Numbers in a [`Line`].
const LINE: usize = 8;

/// One cache line of numbers. Cells start on a line of their own, so that two writers never fight over one.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Line([AtomicU64; LINE]);

/// The numbers of one cell, shared by its writer and the registry.
#[derive(Debug, Clone)]
pub(super) struct Slots(Arc<[Line]>);

impl Slots {
    pub(super) fn new(slots: usize) -> Self {
        Self((0..slots.div_ceil(LINE).max(1)).map(|_| Line::default()).collect())
    }

    /// Reads a number; one that the cell does not have is 0.
    pub(super) fn get(&self, index: usize) -> u64 {
        self.slot(index).map_or(0, |slot| slot.load(Relaxed))
    }

    /// Whether nobody but the caller holds the cell: what it shows is final.
    pub(super) fn is_orphan(&mut self) -> bool {
        // `get_mut` synchronises with the drop of the writer's handle, so its last store is seen.
        Arc::get_mut(&mut self.0).is_some()
    }

    #[inline]
    fn slot(&self, index: usize) -> Option<&AtomicU64> {
        self.0.get(index / LINE).and_then(|line| line.0.get(index % LINE))
    }

    #[inline]
    fn add(&self, index: usize, by: u64) {
        if let Some(slot) = self.slot(index) {
            slot.store(slot.load(Relaxed).wrapping_add(by), Relaxed);
        }
    }
}

/// Makes a type `Send` but not `Sync`: one writer at a time.
type OneWriter = PhantomData<Cell<()>>;

/// A number that only grows; one writer.
#[derive(Debug)]
pub struct Counter {
    slots: Slots,
    one_writer: OneWriter,
}

impl Counter {
    pub(super) fn new(slots: Slots) -> Self {
        Self {
            slots,
            one_writer: PhantomData,
        }
    }

    /// Adds. Counters of time are kept in nanoseconds and shown in seconds.
    #[inline]
    pub fn add(&self, by: u64) {
        self.slots.add(0, by);
    }

    /// Adds one.
    #[inline]
    pub fn increment(&self) {
        self.add(1);
    }

    /// What this cell alone has counted.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.slots.get(0)
    }
}

/// A number that only grows, with many writers. Costs a locked instruction; not for the path of every request.
#[derive(Debug, Clone)]
pub struct SharedCounter {
    slots: Slots,
}

impl SharedCounter {
    pub(super) fn new(slots: Slots) -> Self {
        Self { slots }
    }

    /// Adds. Counters of time are kept in nanoseconds and shown in seconds.
    pub fn add(&self, by: u64) {
        if let Some(slot) = self.slots.slot(0) {
            slot.fetch_add(by, Relaxed);
        }
    }

    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// What has been counted through this handle and its clones.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.slots.get(0)
    }
}

/// A number that goes up and down; one writer. Gauges with equal labels are summed; a dropped one is gone.
///
/// Whole numbers are exact up to 2^53.
#[derive(Debug)]
pub struct Gauge {
    slots: Slots,
    one_writer: OneWriter,
}

impl Gauge {
    pub(super) fn new(slots: Slots) -> Self {
        Self {
            slots,
            one_writer: PhantomData,
        }
    }

    /// Replaces the value.
    #[inline]
    pub fn set(&self, value: f64) {
        if let Some(slot) = self.slots.slot(0) {
            slot.store(value.to_bits(), Relaxed);
        }
    }

    /// Adds, or takes away what is negative.
    #[inline]
    pub fn add(&self, by: f64) {
        self.set(self.get() + by);
    }

    /// Adds one.
    #[inline]
    pub fn increment(&self) {
        self.add(1.0);
    }

    /// Takes one away.
    #[inline]
    pub fn decrement(&self) {
        self.add(-1.0);
    }

    /// What this cell alone shows.
    #[must_use]
    pub fn get(&self) -> f64 {
        f64::from_bits(self.slots.get(0))
    }
}

/// A number that goes up and down, with many writers. Not for the path of every request.
#[derive(Debug, Clone)]
pub struct SharedGauge {
    slots: Slots,
}

impl SharedGauge {
    pub(super) fn new(slots: Slots) -> Self {
        Self { slots }
    }

    /// Replaces the value.
    pub fn set(&self, value: f64) {
        if let Some(slot) = self.slots.slot(0) {
            slot.store(value.to_bits(), Relaxed);
        }
    }

    /// Adds, or takes away what is negative.
    pub fn add(&self, by: f64) {
        if let Some(slot) = self.slots.slot(0) {
            let add = |bits| Some((f64::from_bits(bits) + by).to_bits());
            // The closure never declines, so there is no failure to handle.
            let _ = slot.fetch_update(Relaxed, Relaxed, add);
        }
    }

    /// What it shows.
    #[must_use]
    pub fn get(&self) -> f64 {
        f64::from_bits(self.slots.get(0))
    }
}

/// How often a duration fell between which bounds; one writer.
#[derive(Debug)]
pub struct Histogram {
    /// One number a bucket, one for what is over the last bound, and the sum.
    slots: Slots,
    bounds: &'static [u64],
    one_writer: OneWriter,
}

impl Histogram {
    pub(super) fn new(slots: Slots, bounds: &'static [u64]) -> Self {
        Self {
            slots,
            bounds,
            one_writer: PhantomData,
        }
    }

    /// Counts a duration, in nanoseconds. A value on a bound belongs below it, as Prometheus has it (`le`).
    #[inline]
    pub fn observe(&self, nanos: u64) {
        self.slots.add(self.bounds.partition_point(|bound| *bound < nanos), 1);
        self.slots.add(self.bounds.len() + 1, nanos);
    }

    /// How many durations this cell alone has counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        (0..=self.bounds.len()).map(|bucket| self.slots.get(bucket)).sum()
    }
}

/// What a probe reads.
pub(super) type Read = dyn Fn() -> f64 + Send + Sync;

/// Keeps a value that somebody else counts in the metrics, for as long as it lives.
#[must_use = "the value is shown while the probe lives"]
pub struct Probe {
    pub(super) _read: Arc<Read>,
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: &[u64] = &[10, 100, 1000];

    #[test]
    fn a_value_on_a_bound_belongs_below_it() {
        let slots = Slots::new(BOUNDS.len() + 2);
        let histogram = Histogram::new(slots.clone(), BOUNDS);
        for nanos in [0, 10, 11, 100, 1000, 1001, u64::from(u32::MAX)] {
            histogram.observe(nanos);
        }
        assert_eq!((0..4).map(|bucket| slots.get(bucket)).collect::<Vec<_>>(), [2, 2, 1, 2]);
        assert_eq!(slots.get(4), 10 + 11 + 100 + 1000 + 1001 + u64::from(u32::MAX));
        assert_eq!(histogram.count(), 7);
    }

    #[test]
    fn cells_never_share_a_cache_line() {
        let cells: Vec<Slots> = (0..16).map(|_| Slots::new(1)).collect();
        let mut lines: Vec<usize> = cells.iter().map(|cell| cell.0.as_ptr() as usize).collect();
        assert!(lines.iter().all(|address| address % 64 == 0));
        lines.sort_unstable();
        assert!(lines.windows(2).all(|pair| pair[1] - pair[0] >= 64));
    }

    #[test]
    fn a_cell_is_an_orphan_once_its_writer_is_gone() {
        let mut slots = Slots::new(1);
        let counter = Counter::new(slots.clone());
        counter.add(3);
        assert!(!slots.is_orphan());
        drop(counter);
        assert!(slots.is_orphan());
        assert_eq!(slots.get(0), 3);
    }

    #[test]
    fn shared_cells_lose_nothing_under_concurrency() {
        let counter = SharedCounter::new(Slots::new(1));
        let gauge = SharedGauge::new(Slots::new(1));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        counter.increment();
                        gauge.add(1.0);
                    }
                });
            }
        });
        assert_eq!(counter.get(), 40_000);
        assert!((gauge.get() - 40_000.0).abs() < f64::EPSILON);
    }
}
