//! The registry: gives out cells and knows them all.
//!
//! A series is a family with one set of label values. Every worker has cells of its own in it; they are summed when somebody
//! scrapes. A worker that goes, or takes a new configuration, drops its cells: what a counter or histogram has counted stays in the
//! series, and a gauge disappears.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::cells::{Counter, Gauge, Histogram, Probe, Read, SharedCounter, SharedGauge, Slots};
use super::families::{Family, Kind};

/// Series that a family may have. Over it, those without a living cell are forgotten, and if that is not enough, further ones
/// are counted together under the label value [`OVERFLOW`].
pub const MAX_SERIES: usize = 20_000;

/// The label value of series over [`MAX_SERIES`].
pub const OVERFLOW: &str = "(other)";

/// All metrics of the process.
///
/// Taking a cell locks; a worker takes its cells when it starts, when a configuration is activated, or the first time that it
/// needs one, and keeps them.
#[derive(Default)]
pub struct Registry {
    families: Mutex<BTreeMap<&'static str, State>>,
    collectors: Mutex<Vec<Arc<Collect>>>,
}

/// Shows what is kept elsewhere.
type Collect = dyn Fn(&mut Scrape) + Send + Sync;

impl Registry {
    /// A registry without series.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// A new counter with one writer. There is one label value for each of the family's labels.
    #[must_use]
    pub fn counter(&self, family: &'static Family, labels: &[&str]) -> Counter {
        debug_assert!(matches!(family.kind, Kind::Counter), "{} is no counter", family.name);
        Counter::new(self.cell(family, labels))
    }

    /// A new counter with many writers.
    #[must_use]
    pub fn shared_counter(&self, family: &'static Family, labels: &[&str]) -> SharedCounter {
        debug_assert!(matches!(family.kind, Kind::Counter), "{} is no counter", family.name);
        SharedCounter::new(self.cell(family, labels))
    }

    /// A new gauge with one writer.
    #[must_use]
    pub fn gauge(&self, family: &'static Family, labels: &[&str]) -> Gauge {
        debug_assert!(matches!(family.kind, Kind::Gauge), "{} is no gauge", family.name);
        Gauge::new(self.cell(family, labels))
    }

    /// A new gauge with many writers.
    #[must_use]
    pub fn shared_gauge(&self, family: &'static Family, labels: &[&str]) -> SharedGauge {
        debug_assert!(matches!(family.kind, Kind::Gauge), "{} is no gauge", family.name);
        SharedGauge::new(self.cell(family, labels))
    }

    /// A new histogram with one writer.
    #[must_use]
    pub fn histogram(&self, family: &'static Family, labels: &[&str]) -> Histogram {
        debug_assert!(
            matches!(family.kind, Kind::Histogram(_)),
            "{} is no histogram",
            family.name
        );
        Histogram::new(self.cell(family, labels), family.bounds())
    }

    /// Shows a counter or gauge that is kept elsewhere: `read` is called at every scrape, in the family's unit as it is shown.
    pub fn probe(
        &self,
        family: &'static Family,
        labels: &[&str],
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Probe {
        debug_assert!(
            !matches!(family.kind, Kind::Histogram(_)),
            "{} is a histogram",
            family.name
        );
        let read: Arc<Read> = Arc::new(read);
        let weak = Arc::downgrade(&read);
        self.with_series(family, labels, |series| series.probes.push(weak));
        Probe { _read: read }
    }

    /// The sum of a series, as a scrape would show it; a histogram's number of values. `None` where there is no such series.
    #[must_use]
    pub fn value(&self, family: &'static Family, labels: &[&str]) -> Option<f64> {
        self.samples(family)
            .into_iter()
            .find(|sample| sample.labels.iter().map(AsRef::as_ref).eq(labels.iter().copied()))
            .map(|sample| match sample.value {
                Value::Number(number) => number,
                Value::Histogram { count, .. } => count as f64,
            })
    }

    /// The sum of all of a family's series; of a histogram, the number of values.
    #[must_use]
    pub fn total(&self, family: &'static Family) -> f64 {
        self.samples(family)
            .into_iter()
            .map(|sample| match sample.value {
                Value::Number(number) => number,
                Value::Histogram { count, .. } => count as f64,
            })
            .sum()
    }

    /// Shows what is kept elsewhere and changes its labels: `collect` is asked at every scrape.
    pub fn on_scrape(&self, collect: impl Fn(&mut Scrape) + Send + Sync + 'static) {
        self.collectors.lock().push(Arc::new(collect));
    }

    /// Every series of a family, ordered by labels.
    #[must_use]
    pub fn samples(&self, family: &'static Family) -> Vec<Sample> {
        self.samples_with(family, &self.collect())
    }

    /// What the collectors show at the moment. They may lock what they like: nothing is locked here meanwhile.
    pub(super) fn collect(&self) -> Scrape {
        let collectors: Vec<_> = self.collectors.lock().clone();
        let mut scrape = Scrape::default();
        collectors.iter().for_each(|collect| collect(&mut scrape));
        scrape
    }

    /// The samples of cells and probes, and those that were collected. Cells whose writer is gone are settled on the way.
    pub(super) fn samples_with(&self, family: &'static Family, scrape: &Scrape) -> Vec<Sample> {
        let mut samples = BTreeMap::new();
        if let Some(state) = self.families.lock().get_mut(family.name) {
            state.series.retain(|_, series| {
                series.settle(family);
                series.is_shown(family)
            });
            samples.extend(
                state
                    .series
                    .iter()
                    .map(|(labels, series)| (Arc::clone(labels), series.value(family))),
            );
        }
        for (labels, collected) in scrape.found.get(family.name).into_iter().flatten() {
            match samples.entry(Arc::clone(labels)).or_insert(Value::Number(0.0)) {
                Value::Number(number) => *number += collected,
                Value::Histogram { .. } => {}
            }
        }
        samples
            .into_iter()
            .map(|(labels, value)| Sample { labels, value })
            .collect()
    }

    fn cell(&self, family: &'static Family, labels: &[&str]) -> Slots {
        let slots = Slots::new(family.slots());
        self.with_series(family, labels, |series| series.cells.push(slots.clone()));
        slots
    }

    fn with_series(&self, family: &'static Family, labels: &[&str], change: impl FnOnce(&mut Series)) {
        debug_assert_eq!(labels.len(), family.labels.len(), "labels of {}", family.name);
        let mut families = self.families.lock();
        let state = families.entry(family.name).or_default();
        let wanted: Labels = labels.iter().map(|label| Box::from(*label)).collect();
        if let Some(series) = state.series.get_mut(&wanted) {
            return change(series);
        }
        if state.series.len() >= MAX_SERIES {
            state.series.retain(|_, series| {
                series.settle(family);
                series.is_alive()
            });
        }
        let labels = if state.series.len() >= MAX_SERIES {
            labels.iter().map(|_| Box::from(OVERFLOW)).collect()
        } else {
            wanted
        };
        change(state.series.entry(labels).or_default());
    }
}

/// Takes what collectors show.
#[derive(Debug, Default)]
pub struct Scrape {
    found: BTreeMap<&'static str, Vec<(Labels, f64)>>,
}

impl Scrape {
    /// Shows a counter or gauge, in the family's unit as it is shown. Equal labels are summed.
    pub fn show(&mut self, family: &'static Family, labels: &[&str], value: f64) {
        debug_assert!(
            !matches!(family.kind, Kind::Histogram(_)),
            "{} is a histogram",
            family.name
        );
        debug_assert_eq!(labels.len(), family.labels.len(), "labels of {}", family.name);
        let labels = labels.iter().map(|label| Box::from(*label)).collect();
        self.found.entry(family.name).or_default().push((labels, value));
    }
}

/// Label values, in the order of the family's labels.
pub type Labels = Arc<[Box<str>]>;

/// One series at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// In the order of the family's labels.
    pub labels: Labels,
    /// In the family's unit as it is shown.
    pub value: Value,
}

/// What a series shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A counter or gauge.
    Number(f64),
    /// A histogram.
    Histogram {
        /// How many values fell in each bucket alone; the last is what is over all bounds.
        buckets: Vec<u64>,
        /// All values.
        count: u64,
        /// Their sum, in seconds.
        sum: f64,
    },
}

#[derive(Debug, Default)]
struct State {
    series: BTreeMap<Labels, Series>,
}

#[derive(Default)]
struct Series {
    /// The living cells.
    cells: Vec<Slots>,
    probes: Vec<Weak<Read>>,
    /// What cells have left behind, slot by slot. Empty until one has.
    retired: Vec<u64>,
}

impl Series {
    /// Folds the cells whose writer is gone into what the series remembers.
    fn settle(&mut self, family: &Family) {
        self.probes.retain(|probe| probe.strong_count() > 0);
        let retired = &mut self.retired;
        self.cells.retain_mut(|cell| {
            if !cell.is_orphan() {
                return true;
            }
            if !matches!(family.kind, Kind::Gauge) {
                retired.resize(family.slots(), 0);
                for (index, sum) in retired.iter_mut().enumerate() {
                    *sum = sum.wrapping_add(cell.get(index));
                }
            }
            false
        });
    }

    fn is_alive(&self) -> bool {
        !self.cells.is_empty() || !self.probes.is_empty()
    }

    fn is_shown(&self, family: &Family) -> bool {
        self.is_alive() || !matches!(family.kind, Kind::Gauge)
    }

    fn value(&self, family: &Family) -> Value {
        let probed: f64 = self.probes.iter().filter_map(Weak::upgrade).map(|read| read()).sum();
        match family.kind {
            Kind::Counter => Value::Number(family.shown(self.slot(0)) + probed),
            Kind::Gauge => {
                Value::Number(self.cells.iter().map(|cell| f64::from_bits(cell.get(0))).sum::<f64>() + probed)
            }
            Kind::Histogram(bounds) => {
                let buckets: Vec<u64> = (0..=bounds.len()).map(|bucket| self.slot(bucket)).collect();
                let count = buckets.iter().sum();
                Value::Histogram {
                    buckets,
                    count,
                    sum: family.shown(self.slot(bounds.len() + 1)),
                }
            }
        }
    }

    fn slot(&self, index: usize) -> u64 {
        let living = self.cells.iter().map(|cell| cell.get(index));
        living.fold(self.retired.get(index).copied().unwrap_or(0), u64::wrapping_add)
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("families", &self.families)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Series {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Series")
            .field("cells", &self.cells)
            .field("retired", &self.retired)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::float_cmp,
        reason = "small whole numbers are exact"
    )]

    use super::super::families::{CACHE_BYTES, PLUGIN_CPU, REQUEST_DURATION, REQUESTS, UPSTREAM_HEALTHY};
    use super::*;

    #[test]
    fn cells_with_equal_labels_are_summed() {
        let registry = Registry::new();
        let labels = ["public", "api", "2xx"];
        let here = registry.counter(&REQUESTS, &labels);
        let there = registry.shared_counter(&REQUESTS, &labels);
        here.add(2);
        std::thread::spawn(move || there.add(5)).join().unwrap();
        assert_eq!(registry.value(&REQUESTS, &labels), Some(7.0));
        assert_eq!(registry.value(&REQUESTS, &["public", "api", "5xx"]), None);
    }

    #[test]
    fn a_dropped_counter_keeps_its_value_and_a_dropped_gauge_is_gone() {
        let registry = Registry::new();
        let labels = ["public", "api", "2xx"];
        for _ in 0..3 {
            registry.counter(&REQUESTS, &labels).add(4);
        }
        assert_eq!(registry.value(&REQUESTS, &labels), Some(12.0));
        assert_eq!(registry.value(&REQUESTS, &labels), Some(12.0), "settled once only");

        let healthy = registry.gauge(&UPSTREAM_HEALTHY, &["app", "127.0.0.1:1"]);
        healthy.set(1.0);
        assert_eq!(registry.total(&UPSTREAM_HEALTHY), 1.0);
        drop(healthy);
        assert!(registry.samples(&UPSTREAM_HEALTHY).is_empty());
    }

    #[test]
    fn a_dropped_histogram_keeps_its_values() {
        let registry = Registry::new();
        registry.histogram(&REQUEST_DURATION, &["api"]).observe(1_000_000_000);
        let living = registry.histogram(&REQUEST_DURATION, &["api"]);
        living.observe(500_000_000);
        let [sample] = &registry.samples(&REQUEST_DURATION)[..] else {
            panic!("one series")
        };
        let Value::Histogram { count, sum, .. } = sample.value else {
            panic!("a histogram")
        };
        assert_eq!((count, sum), (2, 1.5));
    }

    #[test]
    fn counters_of_time_are_shown_in_seconds() {
        let registry = Registry::new();
        let cpu = registry.counter(&PLUGIN_CPU, &["waf", "on_request"]);
        cpu.add(2_500_000_000);
        assert_eq!(registry.total(&PLUGIN_CPU), 2.5);
    }

    #[test]
    fn a_probe_is_read_at_every_scrape_until_it_is_dropped() {
        let registry = Registry::new();
        let probe = registry.probe(&CACHE_BYTES, &[], || 42.0);
        assert_eq!(registry.value(&CACHE_BYTES, &[]), Some(42.0));
        drop(probe);
        assert_eq!(registry.value(&CACHE_BYTES, &[]), None);
    }

    #[test]
    fn a_collector_is_asked_at_every_scrape() {
        let registry = Registry::new();
        let asked = std::sync::atomic::AtomicU32::new(0);
        registry.on_scrape(move |scrape| {
            let times = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            scrape.show(&UPSTREAM_HEALTHY, &["app", "127.0.0.1:1"], f64::from(times));
        });
        let labels = ["app", "127.0.0.1:1"];
        assert_eq!(
            [0, 1].map(|_| registry.value(&UPSTREAM_HEALTHY, &labels)),
            [Some(0.0), Some(1.0)]
        );
        let cell = registry.gauge(&UPSTREAM_HEALTHY, &labels);
        cell.set(10.0);
        assert_eq!(
            registry.value(&UPSTREAM_HEALTHY, &labels),
            Some(12.0),
            "summed with what is counted here"
        );
    }

    #[test]
    fn a_family_has_a_bounded_number_of_series() {
        let registry = Registry::new();
        let hold: Vec<Counter> = (0..MAX_SERIES + 5)
            .map(|route| registry.counter(&REQUESTS, &["public", &route.to_string(), "2xx"]))
            .collect();
        hold.iter().for_each(Counter::increment);
        assert_eq!(registry.samples(&REQUESTS).len(), MAX_SERIES + 1);
        assert_eq!(registry.value(&REQUESTS, &[OVERFLOW; 3]), Some(5.0));

        // Once the old routes are gone, new ones get series of their own again.
        drop(hold);
        let fresh = registry.counter(&REQUESTS, &["public", "fresh", "2xx"]);
        fresh.increment();
        assert_eq!(registry.value(&REQUESTS, &["public", "fresh", "2xx"]), Some(1.0));
    }
}
