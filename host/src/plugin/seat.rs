//! A plugin's place in a worker: its instances, and the exchanges that wait for their next phase.
//!
//! Between two phases of an exchange lies an upstream's answer, or a client that reads slowly. A plugin that can park what it keeps
//! of an exchange needs no instance for that long: whoever needs one next is given the one that was used last, after what is in
//! it was parked. So a worker serves thousands of exchanges by turns in one instance, whose memory is in the processor's caches.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use slab::Slab;

use super::failure::Failed;
use super::generation::{Plugin, Resources, Tally};
use super::instance::{Instance, Lease, Parked};
use super::shared::clock::Clock;
use super::state::{Manner, Services};
use super::{Cause, Phase};
use crate::telemetry::{Counter, Gauge, Histogram, Registry, families};

/// A plugin's place in a worker.
pub(super) struct Seat {
    pub(super) plugin: Arc<Plugin>,
    pub(super) services: Arc<Services>,
    /// Instances that serve nobody. The last one used is used next: its memory is in the processor's caches.
    #[allow(
        clippy::vec_box,
        reason = "an instance goes to an exchange and comes back: as a pointer"
    )]
    idle: RefCell<Vec<Box<Instance>>>,
    /// Instances that exist.
    taken: Rc<Cell<u32>>,
    /// The fewest idle instances since the list was trimmed, and how many acquisitions ago that was.
    fewest_idle: Cell<usize>,
    acquisitions: Cell<u32>,
    /// How it is called, which becomes [`Manner::Yielding`] for good once it took its time.
    pub(super) manner: Cell<Manner>,
    pub(super) meters: Meters,
    /// Exchanges between two phases, by their tickets.
    waiting: RefCell<Slab<Waiting>>,
    /// Bytes of those that are parked.
    parked: Cell<u64>,
    /// The one that waits in the instance that was used last, if one does.
    latest: Cell<Option<usize>>,
}

/// Where what a plugin keeps of an exchange is until its next phase.
enum Waiting {
    Here {
        instance: Box<Instance>,
        portability: Portability,
    },
    Parked(Parked),
    /// Nowhere: parking it failed.
    Lost(Failed),
}

/// Whether an exchange can be parked as it is until its next phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Portability {
    /// Nobody has asked.
    Unknown,
    /// The plugin said no.
    Stays,
}

/// The place of an exchange that waits.
#[derive(Debug)]
pub(super) struct Ticket(usize);

/// Where more exchanges than this wait, they leave their instances to others. Where fewer do, the processor's caches hold their
/// instances, and to stay is cheaper than to move.
const RESIDENT: usize = 4;

/// After so many acquisitions, instances that nobody needed since are given up.
const TRIM_EVERY: u32 = 4096;

impl Seat {
    pub(super) fn new(
        plugin: &Arc<Plugin>,
        resources: &Resources,
        clock: Clock,
        registry: &Arc<Registry>,
        tally: Arc<Tally>,
    ) -> Self {
        Self {
            services: Arc::new(resources.services(&plugin.name, &plugin.limits, clock, registry)),
            plugin: Arc::clone(plugin),
            idle: RefCell::default(),
            taken: Rc::default(),
            fewest_idle: Cell::new(0),
            acquisitions: Cell::new(0),
            manner: Cell::default(),
            meters: Meters::new(plugin, registry, tally),
            waiting: RefCell::default(),
            parked: Cell::new(0),
            latest: Cell::new(None),
        }
    }

    /// An instance for an exchange that begins.
    pub(super) async fn acquire(&self) -> Result<Box<Instance>, Failed> {
        let mut instance = self.vacant().await?;
        instance.exchanges = instance.exchanges.saturating_add(1);
        Ok(instance)
    }

    /// An instance that serves nobody: the one that was used last, after its exchange was parked, where many wait; an idle one; or
    /// a new one where the limit allows it.
    async fn vacant(&self) -> Result<Box<Instance>, Failed> {
        let crowded = self.waiting.borrow().len() > RESIDENT;
        let latest = self.latest.take().filter(|_| crowded);
        let vacated = latest.and_then(|latest| self.vacate(latest));
        let instance = vacated.or_else(|| self.idle.borrow_mut().pop());
        // What is idle now is what nobody needed.
        self.trim();
        if let Some(instance) = instance {
            return Ok(instance);
        }
        if self.is_full()
            && let Some(instance) = self.vacate_any()
        {
            return Ok(instance);
        }
        self.cast().await
    }

    /// Keeps an exchange until its next phase.
    pub(super) fn keep(&self, instance: Box<Instance>) -> Ticket {
        let key = self.waiting.borrow_mut().insert(Waiting::Here {
            instance,
            portability: Portability::Unknown,
        });
        self.latest.set(Some(key).filter(|_| self.parks()));
        Ticket(key)
    }

    /// The instance of an exchange that goes on, with all that the plugin keeps of it.
    pub(super) async fn take_back(&self, ticket: Ticket) -> Result<Box<Instance>, Failed> {
        match self.forget(&ticket) {
            Some(Waiting::Here { instance, .. }) => Ok(instance),
            Some(Waiting::Parked(parked)) => {
                let mut instance = self.vacant().await?;
                match instance.resume(parked) {
                    Ok(()) => Ok(instance),
                    Err(failed) => {
                        self.discard(instance);
                        Err(failed)
                    }
                }
            }
            Some(Waiting::Lost(failed)) => Err(failed),
            None => Err(Failed::invalid("the exchange is not known any more")),
        }
    }

    /// The exchange is over before its next phase. What is in its instance may be seen by the next exchange or not.
    pub(super) fn abandon(&self, ticket: &Ticket, reuse: Reuse) {
        let Some(Waiting::Here { instance, .. }) = self.forget(ticket) else {
            return;
        };
        match reuse {
            Reuse::Allowed => self.release(instance),
            Reuse::Forbidden => self.discard(instance),
        }
    }

    fn forget(&self, Ticket(key): &Ticket) -> Option<Waiting> {
        if self.latest.get() == Some(*key) {
            self.latest.set(None);
        }
        let waiting = self.waiting.borrow_mut().try_remove(*key);
        if let Some(Waiting::Parked(parked)) = &waiting {
            self.parked.set(self.parked.get().saturating_sub(parked.bytes()));
        }
        waiting
    }

    /// Whether exchanges are parked. An instance that is to serve so many exchanges serves them one after the other.
    fn parks(&self) -> bool {
        self.plugin.parks && self.plugin.limits.reuse == 0
    }

    /// The instance of an exchange that waits, after that was parked, if it can be: all that are parked take no more memory than one
    /// instance may have.
    fn vacate(&self, key: usize) -> Option<Box<Instance>> {
        if self.parked.get() >= self.plugin.limits.memory {
            return None;
        }
        let mut waiting = self.waiting.borrow_mut();
        let place = waiting.get_mut(key)?;
        let Waiting::Here { instance, portability } = place else {
            return None;
        };
        let elsewhere = match instance.park() {
            Ok(Some(parked)) => {
                self.meters.parked.increment();
                self.parked.set(self.parked.get() + parked.bytes());
                Waiting::Parked(parked)
            }
            Ok(None) => {
                *portability = Portability::Stays;
                return None;
            }
            Err(failed) => Waiting::Lost(failed),
        };
        let lost = matches!(elsewhere, Waiting::Lost(_));
        let Waiting::Here { instance, .. } = std::mem::replace(place, elsewhere) else {
            return None;
        };
        if lost {
            drop(waiting);
            self.discard(instance);
            return None;
        }
        Some(instance)
    }

    /// The same with any exchange that waits; nothing, too, where one was lost, for then there is room for a new instance.
    fn vacate_any(&self) -> Option<Box<Instance>> {
        if !self.parks() {
            return None;
        }
        let may = |(key, waiting): (usize, &Waiting)| match waiting {
            Waiting::Here {
                portability: Portability::Unknown,
                ..
            } => Some(key),
            _ => None,
        };
        let keys: Vec<usize> = self.waiting.borrow().iter().filter_map(may).collect();
        keys.into_iter()
            .map(|key| self.vacate(key))
            .find(|vacated| vacated.is_some() || !self.is_full())
            .flatten()
    }

    /// Whether there are as many instances as there may be.
    fn is_full(&self) -> bool {
        self.taken.get() >= self.plugin.limits.instances
    }

    async fn cast(&self) -> Result<Box<Instance>, Failed> {
        let limit = self.plugin.limits.instances;
        let Some(lease) = Lease::take(&self.taken, limit) else {
            let detail = format!("all {limit} instances that a worker may have (limits.instances) are in use");
            return Err(Failed {
                cause: Cause::Exhausted,
                detail,
            });
        };
        let mut instance = Box::new(self.plugin.mould.cast(&self.services).await?);
        instance.lease = Some(lease);
        self.meters.cast(self.taken.get());
        Ok(instance)
    }

    /// Takes an instance back whose exchange is over.
    pub(super) fn release(&self, instance: Box<Instance>) {
        let reuse = self.plugin.limits.reuse;
        if reuse > 0 && instance.exchanges >= reuse {
            drop(instance);
            self.meters.instances(self.taken.get());
        } else {
            self.latest.set(None);
            self.idle.borrow_mut().push(instance);
        }
    }

    /// Discards an instance that stopped in the middle.
    pub(super) fn discard(&self, instance: Box<Instance>) {
        drop(instance);
        self.meters.instances(self.taken.get());
    }

    /// Gives up half of what was idle all the time since this was done last, so that a burst does not hold its memory for ever.
    fn trim(&self) {
        let idle = self.idle.borrow().len();
        self.fewest_idle.set(self.fewest_idle.get().min(idle));
        let acquisitions = self.acquisitions.get() + 1;
        if acquisitions < TRIM_EVERY {
            return self.acquisitions.set(acquisitions);
        }
        let surplus = self.fewest_idle.get().div_ceil(2);
        if surplus > 0 {
            // The first ones are those that were not used for longest.
            self.idle.borrow_mut().drain(..surplus.min(idle));
            self.meters.instances(self.taken.get());
        }
        self.acquisitions.set(0);
        self.fewest_idle.set(idle - surplus.min(idle));
    }
}

/// Whether the instance of an exchange that broke off may serve another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reuse {
    Allowed,
    Forbidden,
}

/// What a worker counts of one plugin.
pub(super) struct Meters {
    tally: Arc<Tally>,
    instances: Gauge,
    instantiations: Counter,
    parked: Counter,
    phases: Vec<(Phase, PhaseMeters)>,
    /// Made when the first failure of its kind happens.
    failures: RefCell<Vec<(Phase, Cause, Counter)>>,
    registry: Arc<Registry>,
    plugin: Arc<str>,
}

struct PhaseMeters {
    nanos: Counter,
    duration: Histogram,
    /// In the order of [`VERDICTS`].
    verdicts: [Counter; VERDICTS.len()],
}

/// The verdicts, as metrics and the access log show them.
const VERDICTS: [&str; 4] = ["continue", "hold", "reply", "close"];

impl Meters {
    fn new(plugin: &Plugin, registry: &Arc<Registry>, tally: Arc<Tally>) -> Self {
        let name = &*plugin.name;
        let phase = |phase: Phase| {
            let labels = [name, phase.as_str()];
            let meters = PhaseMeters {
                nanos: registry.counter(&families::PLUGIN_CPU, &labels),
                duration: registry.histogram(&families::PLUGIN_DURATION, &labels),
                verdicts: VERDICTS
                    .map(|verdict| registry.counter(&families::PLUGIN_CALLS, &[name, phase.as_str(), verdict])),
            };
            (phase, meters)
        };
        Self {
            tally,
            instances: registry.gauge(&families::PLUGIN_INSTANCES, &[name]),
            instantiations: registry.counter(&families::PLUGIN_INSTANTIATIONS, &[name]),
            parked: registry.counter(&families::PLUGIN_PARKED, &[name]),
            phases: plugin.mould.phases.iter().map(phase).collect(),
            failures: RefCell::default(),
            registry: Arc::clone(registry),
            plugin: name.into(),
        }
    }

    pub(super) fn called(&self, phase: Phase, verdict: &'static str, nanos: u64) {
        self.tally.called(nanos);
        let Some((_, meters)) = self.phases.iter().find(|(known, _)| *known == phase) else {
            return;
        };
        meters.nanos.add(nanos);
        meters.duration.observe(nanos);
        if let Some(index) = VERDICTS
            .iter()
            .position(|known| std::ptr::eq(*known, verdict) || *known == verdict)
            && let Some(count) = meters.verdicts.get(index)
        {
            count.increment();
        }
    }

    pub(super) fn failed(&self, phase: Phase, cause: Cause, nanos: u64) {
        self.tally.failed(cause, nanos);
        if let Some((_, meters)) = self.phases.iter().find(|(known, _)| *known == phase) {
            meters.nanos.add(nanos);
        }
        let mut failures = self.failures.borrow_mut();
        let known = failures.iter().position(|(at, of, _)| (*at, *of) == (phase, cause));
        let index = known.unwrap_or_else(|| {
            let labels = [&*self.plugin, phase.as_str(), cause.as_str()];
            failures.push((phase, cause, self.registry.counter(&families::PLUGIN_FAILURES, &labels)));
            failures.len() - 1
        });
        if let Some((_, _, count)) = failures.get(index) {
            count.increment();
        }
    }

    fn cast(&self, instances: u32) {
        self.instantiations.increment();
        self.instances(instances);
    }

    fn instances(&self, instances: u32) {
        self.tally.set_instances(instances);
        self.instances.set(f64::from(instances));
    }
}

impl Drop for Meters {
    fn drop(&mut self) {
        self.tally.set_instances(0);
    }
}
