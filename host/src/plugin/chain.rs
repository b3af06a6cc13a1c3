//! A worker's plugins, and the plugins of one exchange.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::failure::Failed;
use super::generation::{Generation, Plugin, Tally};
use super::instance::{Answer, Input, Stopwatch, drive};
use super::phases::PhaseSet;
use super::seat::{Reuse, Seat, Ticket};
use super::shared::clock::Clock;
use super::{Decision, Failure, Phase, Summary, Trace};
use crate::bundle::OnFailure;
use crate::exchange::subject::Subject;
use crate::telemetry::Registry;

/// One worker's plugins of one generation: its warm instances. Never leaves its thread.
pub struct Chain {
    generation: Arc<Generation>,
    /// Only the plugins that want to be called.
    seats: Box<[Seat]>,
}

impl Chain {
    /// Makes the first instance of every plugin.
    ///
    /// # Errors
    /// When an instance cannot be made.
    pub fn new(generation: &Arc<Generation>) -> anyhow::Result<Rc<Self>> {
        let seats = generation.plugins.iter().map(|plugin| {
            let tally = Arc::new(Tally::default());
            plugin.tallies.lock().push(Arc::clone(&tally));
            Seat::new(plugin, &plugin.resources, Clock::System, &generation.registry, tally)
        });
        Self::of(generation, seats.collect())
    }

    /// The same plugins with counters, values, metrics and a clock of their own: what they do leaves no trace.
    pub(super) fn apart(generation: &Arc<Generation>, clock: Clock) -> anyhow::Result<Rc<Self>> {
        let registry = Registry::new();
        let seat =
            |plugin: &Arc<Plugin>| Seat::new(plugin, &plugin.resources.apart(), clock, &registry, Arc::default());
        Self::of(generation, generation.plugins.iter().map(seat).collect())
    }

    fn of(generation: &Arc<Generation>, seats: Vec<Seat>) -> anyhow::Result<Rc<Self>> {
        let seats: Box<[Seat]> = seats
            .into_iter()
            .filter(|seat| !seat.plugin.mould.phases.is_empty())
            .collect();
        for seat in &seats {
            let instance = drive(seat.acquire());
            let instance =
                instance.map_err(|failed| anyhow::anyhow!("plugin `{}`: {}", seat.plugin.name, failed.detail))?;
            seat.release(instance);
        }
        Ok(Rc::new(Self {
            generation: Arc::clone(generation),
            seats,
        }))
    }

    /// The generation whose plugins these are.
    #[must_use]
    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// The plugins whose matcher fits this exchange. Costs nothing where there are none.
    #[must_use]
    pub fn begin(self: &Rc<Self>, subject: &Subject) -> Session {
        let fits = |(index, seat): (usize, &Seat)| {
            let fits = seat.plugin.matcher.fits(subject);
            fits.then(|| Slot::new(index, seat.plugin.mould.phases))
        };
        self.session(self.seats.iter().enumerate().filter_map(fits).collect(), Course::Open)
    }

    /// Whether there is no plugin in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// Whether any plugin is to be shown requests that Weir refuses.
    #[must_use]
    pub fn wants_refused(&self) -> bool {
        self.seats.iter().any(|seat| seat.services.refused.is_some())
    }

    /// The plugins that are to be shown a request that Weir refuses: as many of them as their limits allow.
    #[must_use]
    pub fn begin_refused(self: &Rc<Self>, subject: &Subject) -> Session {
        let told = |phase: &Phase| matches!(phase, Phase::OnRequest | Phase::OnFinish);
        let fits = |(index, seat): (usize, &Seat)| {
            let shown = seat.services.refused.as_ref()?;
            if !seat.plugin.matcher.fits(subject) || !shown.limit.admit() {
                return None;
            }
            shown.count.increment();
            Some(Slot::new(index, seat.plugin.mould.phases.iter().filter(told).collect()))
        };
        self.session(
            self.seats.iter().enumerate().filter_map(fits).collect(),
            Course::Settled,
        )
    }

    fn session(self: &Rc<Self>, slots: Vec<Slot>, course: Course) -> Session {
        Session {
            slots,
            traces: Vec::new(),
            course,
            chain: Some(Rc::clone(self)),
        }
    }
}

/// The plugins of one exchange. Instances that it holds go back to the worker when it is dropped; one whose call was interrupted
/// by that is discarded.
pub struct Session {
    // Both are empty where no plugin is concerned, and a session is moved with its exchange: no room is kept in it.
    /// In the bundle's order.
    slots: Vec<Slot>,
    traces: Vec<Trace>,
    course: Course,
    /// `None` where there are no plugins.
    chain: Option<Rc<Chain>>,
}

/// Whether plugins have a say in what becomes of the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// They decide.
    Open,
    /// Weir refuses the request: they are told, and what they answer changes nothing.
    Settled,
}

/// A plugin in one exchange.
struct Slot {
    /// The index of its seat.
    seat: usize,
    /// The phases in which it may still be called.
    phases: PhaseSet,
    standing: Standing,
    /// Bytes of the body that it asked for by holding the message; `None` when it did not.
    held: Option<u64>,
    /// Where what it keeps of the exchange is, when it saw this and will see more of it.
    ticket: Option<Ticket>,
}

impl Slot {
    fn new(seat: usize, phases: PhaseSet) -> Self {
        Self {
            seat,
            phases,
            standing: Standing::New,
            held: None,
            ticket: None,
        }
    }
}

/// Whether a plugin takes part in an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Nobody has looked: none of its phases was due.
    New,
    /// It does.
    Concerned,
}

impl Session {
    /// A session without plugins.
    #[must_use]
    pub fn none() -> Self {
        Self {
            slots: Vec::new(),
            traces: Vec::new(),
            course: Course::Open,
            chain: None,
        }
    }

    /// Whether no plugins have been chosen for the exchange.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.chain.is_none()
    }

    /// Whether any plugin wants this phase (for body phases: asked for it by holding).
    #[must_use]
    pub fn wants(&self, phase: Phase) -> bool {
        self.slots.iter().any(|slot| slot.wants(phase))
    }

    /// Calls every plugin in the bundle's order until one decides.
    pub async fn on_request(&mut self, subject: Box<Subject>) -> (Box<Subject>, Decision) {
        self.run(Phase::OnRequest, subject, Input::Head).await
    }

    /// Calls the plugins that held the request. `complete` is false when the body was cut at the limit.
    pub async fn on_request_body(
        &mut self,
        subject: Box<Subject>,
        content: &Bytes,
        complete: bool,
    ) -> (Box<Subject>, Decision) {
        self.run(Phase::OnRequestBody, subject, Input::Body { content, complete })
            .await
    }

    /// Calls every plugin, in reverse order, until one decides. The subject has a response.
    pub async fn on_response(&mut self, subject: Box<Subject>) -> (Box<Subject>, Decision) {
        self.run(Phase::OnResponse, subject, Input::Head).await
    }

    /// Calls the plugins that held the response.
    pub async fn on_response_body(
        &mut self,
        subject: Box<Subject>,
        content: &Bytes,
        complete: bool,
    ) -> (Box<Subject>, Decision) {
        self.run(Phase::OnResponseBody, subject, Input::Body { content, complete })
            .await
    }

    /// Tells every plugin that wants to know. There is nothing left to decide.
    pub async fn on_finish(&mut self, subject: Box<Subject>, summary: Summary) -> Box<Subject> {
        self.run(Phase::OnFinish, subject, Input::Summary(summary)).await.0
    }

    /// What has been called so far, in order.
    #[must_use]
    pub fn traces(&self) -> &[Trace] {
        &self.traces
    }

    async fn run(&mut self, phase: Phase, mut subject: Box<Subject>, input: Input<'_>) -> (Box<Subject>, Decision) {
        let Self {
            slots,
            traces,
            course,
            chain,
        } = self;
        let Some(chain) = chain.as_ref().filter(|_| slots.iter().any(|slot| slot.wants(phase))) else {
            return (subject, Decision::Continue);
        };
        let backwards = matches!(phase, Phase::OnResponse | Phase::OnResponseBody);
        let mut watch = Stopwatch::start();
        let mut held: Option<u64> = None;
        for turn in 0..slots.len() {
            let index = if backwards { slots.len() - 1 - turn } else { turn };
            let Some(slot) = slots.get_mut(index).filter(|slot| slot.wants(phase)) else {
                continue;
            };
            let Some(seat) = chain.seats.get(slot.seat) else {
                continue;
            };
            if !slot.takes_part(seat, &subject) {
                continue;
            }
            let (back, result) = slot.call(seat, phase, subject, input, *course, &mut watch).await;
            subject = back;
            let nanos = watch.lap();
            let verdict = match &result {
                Ok(Step::Continue) => "continue",
                Ok(Step::Hold(_)) => "hold",
                Ok(Step::Reply(_)) => "reply",
                Ok(Step::Close) => "close",
                Err(failed) => failed.cause.as_str(),
            };
            let plugin = Arc::clone(&seat.services.name);
            traces.push(Trace {
                plugin: Arc::clone(&plugin),
                phase,
                verdict,
                nanos,
            });
            match &result {
                Ok(_) => seat.meters.called(phase, verdict, nanos),
                Err(failed) => {
                    seat.meters.failed(phase, failed.cause, nanos);
                    seat.plugin.failures.tell(&plugin, phase, subject.id, failed);
                }
            }
            match result {
                _ if *course == Course::Settled => {}
                Ok(Step::Continue) => {}
                Ok(Step::Hold(limit)) => held = held.max(Some(limit)),
                Ok(Step::Reply(reply)) => return (subject, Decision::Reply(reply)),
                Ok(Step::Close) => return (subject, Decision::Close),
                Err(failed) if seat.plugin.on_failure == OnFailure::Closed && phase != Phase::OnFinish => {
                    return (
                        subject,
                        Decision::Fail(Failure {
                            plugin,
                            cause: failed.cause,
                        }),
                    );
                }
                Err(_) => {}
            }
        }
        (subject, held.map_or(Decision::Continue, Decision::Hold))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(chain) = &self.chain else { return };
        for slot in &mut self.slots {
            // What a plugin keeps of an exchange is cleared at its first call in the next one. `on_finish` may be its only
            // call there, and would be told of this exchange; such an instance is not used again.
            let (Some(ticket), Some(seat)) = (slot.ticket.take(), chain.seats.get(slot.seat)) else {
                continue;
            };
            let reuse = match slot.phases.has(Phase::OnFinish) {
                true => Reuse::Forbidden,
                false => Reuse::Allowed,
            };
            seat.abandon(&ticket, reuse);
        }
    }
}

/// What a plugin's answer means for the exchange.
enum Step {
    Continue,
    Hold(u64),
    Reply(crate::exchange::subject::Reply),
    Close,
}

impl Slot {
    fn wants(&self, phase: Phase) -> bool {
        self.phases.has(phase)
            && match phase {
                Phase::OnRequestBody | Phase::OnResponseBody => self.held.is_some(),
                Phase::OnRequest | Phase::OnResponse | Phase::OnFinish => true,
            }
    }

    /// Looks at what the plugin said that it is concerned with, when its first phase is due: earlier plugins may have changed
    /// the exchange until then.
    fn takes_part(&mut self, seat: &Seat, subject: &Subject) -> bool {
        if self.standing == Standing::New {
            if !seat.plugin.interest.covers(subject, &seat.plugin.resources.tables) {
                self.phases = PhaseSet::default();
                return false;
            }
            self.standing = Standing::Concerned;
        }
        true
    }

    async fn call(
        &mut self,
        seat: &Seat,
        phase: Phase,
        subject: Box<Subject>,
        input: Input<'_>,
        course: Course,
        watch: &mut Stopwatch,
    ) -> (Box<Subject>, Result<Step, Failed>) {
        let instance = match self.ticket.take() {
            Some(ticket) => watch.time(seat.take_back(ticket)).await,
            None => watch.time(seat.acquire()).await,
        };
        let mut instance = match instance {
            Ok(instance) => instance,
            Err(failed) => {
                self.phases = PhaseSet::default();
                return (subject, Err(failed));
            }
        };
        let held = self.held.take();
        let cut;
        let input = match (input, held) {
            (Input::Body { content, .. }, Some(limit)) if content.len() as u64 > limit => {
                cut = content.slice(..usize::try_from(limit).unwrap_or(content.len()).min(content.len()));
                Input::Body {
                    content: &cut,
                    complete: false,
                }
            }
            (input, _) => input,
        };
        let (subject, result) = instance.call(phase, &seat.manner, subject, input, watch).await;
        let result = result.and_then(|answer| match (course, answer) {
            // There is no body to wait for.
            (Course::Settled, Answer::Hold(_)) => Ok(Step::Continue),
            (_, answer) => self.step(seat, phase, answer),
        });
        self.phases = self.phases.after(phase);
        if result.is_err() {
            seat.discard(instance);
            self.phases = PhaseSet::default();
        } else if self.has_more() {
            self.ticket = Some(seat.keep(instance));
        } else {
            seat.release(instance);
        }
        (subject, result)
    }

    /// What an answer means in this phase; holding is possible in the phases of a head, for plugins that have the body's.
    fn step(&mut self, seat: &Seat, phase: Phase, answer: Answer) -> Result<Step, Failed> {
        let body = match phase {
            Phase::OnRequest => Some(Phase::OnRequestBody),
            Phase::OnResponse => Some(Phase::OnResponseBody),
            Phase::OnRequestBody | Phase::OnResponseBody | Phase::OnFinish => None,
        };
        match answer {
            Answer::Continue => Ok(Step::Continue),
            Answer::Reply(reply) => Ok(Step::Reply(reply)),
            Answer::Close => Ok(Step::Close),
            Answer::Hold(limit) => {
                if !body.is_some_and(|body| self.phases.has(body)) {
                    return Err(Failed::invalid(format!(
                        "the verdict `hold` in {} has no phase that follows",
                        phase.as_str()
                    )));
                }
                let most = seat.plugin.limits.body;
                let limit = limit.map_or(most, |limit| limit.min(most));
                self.held = Some(limit);
                Ok(Step::Hold(limit))
            }
        }
    }

    /// Whether the plugin may be called again in this exchange: for a body only when it asked for one.
    fn has_more(&self) -> bool {
        let phases = match self.held {
            Some(_) => self.phases,
            None => self.phases.without(Phase::OnRequestBody),
        };
        // The response's body comes into question once its head was seen.
        let phases = if self.held.is_none() && !phases.has(Phase::OnResponse) {
            phases.without(Phase::OnResponseBody)
        } else {
            phases
        };
        !phases.is_empty()
    }
}
