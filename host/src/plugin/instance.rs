//! One instance of a plugin: its store, and calls into it.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use wasmtime::component::{Component, ComponentExportIndex, Func, Instance as Handles, InstancePre, TypedFunc};
use wasmtime::{Store, format_err};

use super::contract::{self, HANDLER, Phases, Verdict};
use super::failure::Failed;
use super::phases::PhaseSet;
use super::state::{self, Activity, Manner, Services, Slice, State};
use super::{Phase, Summary};
use crate::exchange::subject::{Reply, Subject};

/// CPU time that `configure` may take.
pub(super) const CONFIGURE_TIME: Duration = Duration::from_secs(20);

/// How instances of a plugin are made.
pub(super) struct Mould {
    pre: InstancePre<State>,
    exports: Exports,
    /// Bytes of memory that an instance may have.
    memory: u64,
    /// CPU time of a call.
    time: Duration,
    /// The phases in which the plugin is called.
    pub(super) phases: PhaseSet,
    /// The configuration that each instance is given, where a snapshot does not hold it already.
    configuration: Option<String>,
}

impl Mould {
    pub(super) fn new(
        pre: InstancePre<State>,
        limits: &crate::bundle::Limits,
        phases: PhaseSet,
        configuration: Option<String>,
    ) -> wasmtime::Result<Self> {
        let exports = Exports::of(pre.component())?;
        Ok(Self {
            pre,
            exports,
            memory: limits.memory,
            time: limits.time,
            phases,
            configuration,
        })
    }

    /// Makes an instance that is ready to be called.
    pub(super) async fn cast(&self, services: &Arc<Services>) -> Result<Instance, Failed> {
        let mut instance = self
            .bare(services)
            .await
            .map_err(|error| Failed::instantiating(&error))?;
        if let Some(configuration) = &self.configuration {
            match instance.configure(configuration).await {
                Ok(Ok(_)) => {}
                Ok(Err(message)) => {
                    return Err(Failed::invalid(format!(
                        "`configure` refused its configuration: {message}"
                    )));
                }
                Err(failed) => return Err(failed),
            }
        }
        Ok(instance)
    }

    /// Makes an instance as the component describes it.
    pub(super) async fn bare(&self, services: &Arc<Services>) -> wasmtime::Result<Instance> {
        let mut store = Store::new(self.pre.engine(), State::new(Arc::clone(services), self.memory));
        store.limiter(|state| &mut state.memory);
        store.epoch_deadline_callback(state::at_tick);
        store.set_epoch_deadline(1);
        store
            .data_mut()
            .begin(Activity::Configure, Manner::Yielding, CONFIGURE_TIME);
        let handles = self.pre.instantiate_async(&mut store).await?;
        let functions = Functions::of(&mut store, &handles, &self.exports)?;
        Ok(Instance {
            store,
            handles,
            functions,
            time: self.time,
            exchanges: 0,
            lease: None,
        })
    }
}

/// Where a component's exported functions are.
struct Exports {
    configure: ComponentExportIndex,
    /// Of plugins from before there was parking, none.
    parking: Option<[ComponentExportIndex; 2]>,
    phases: [ComponentExportIndex; Phase::ALL.len()],
}

impl Exports {
    fn of(component: &Component) -> wasmtime::Result<Self> {
        let handler = component
            .get_export_index(None, HANDLER)
            .ok_or_else(|| format_err!("it does not export {HANDLER}"))?;
        let find = |name: &str| {
            let index = component.get_export_index(Some(&handler), name);
            index.ok_or_else(|| format_err!("its handler does not export `{name}`"))
        };
        let parking = find("park").ok().zip(find("resume").ok());
        Ok(Self {
            configure: find("configure")?,
            parking: parking.map(<[_; 2]>::from),
            phases: [
                find("on-request")?,
                find("on-request-body")?,
                find("on-response")?,
                find("on-response-body")?,
                find("on-finish")?,
            ],
        })
    }
}

/// The exported functions, with their types checked.
struct Functions {
    configure: Func,
    on_request: TypedFunc<(), (Verdict,)>,
    on_request_body: Func,
    on_response: TypedFunc<(), (Verdict,)>,
    on_response_body: Func,
    on_finish: TypedFunc<(contract::Summary,), ()>,
    parking: Option<Parking>,
}

/// The functions with which an exchange leaves an instance and comes into another.
struct Parking {
    park: TypedFunc<(), (Option<Vec<u8>>,)>,
    resume: TypedFunc<(Vec<u8>,), (Result<(), String>,)>,
}

impl Functions {
    fn of(store: &mut Store<State>, handles: &Handles, exports: &Exports) -> wasmtime::Result<Self> {
        let mut find = |index: &ComponentExportIndex| {
            handles
                .get_func(&mut *store, index)
                .ok_or_else(|| format_err!("an exported function is missing"))
        };
        let configure = find(&exports.configure)?;
        let [on_request, on_request_body, on_response, on_response_body, on_finish] = &exports.phases;
        let (on_request, on_request_body) = (find(on_request)?, find(on_request_body)?);
        let (on_response, on_response_body) = (find(on_response)?, find(on_response_body)?);
        let on_finish = find(on_finish)?;
        let parking = match &exports.parking {
            Some([park, resume]) => Some((find(park)?, find(resume)?)),
            None => None,
        };
        let parking = match parking {
            Some((park, resume)) => Some(Parking {
                park: park.typed(&*store)?,
                resume: resume.typed(&*store)?,
            }),
            None => None,
        };
        Ok(Self {
            configure,
            on_request: on_request.typed(&*store)?,
            on_request_body,
            on_response: on_response.typed(&*store)?,
            on_response_body,
            on_finish: on_finish.typed(&*store)?,
            parking,
        })
    }
}

/// What a call is given.
#[derive(Debug, Clone, Copy)]
pub(super) enum Input<'a> {
    /// Nothing but the exchange.
    Head,
    /// A body or its start.
    Body {
        /// What was held.
        content: &'a Bytes,
        /// Whether that is all of it.
        complete: bool,
    },
    /// How the exchange went.
    Summary(Summary),
}

/// What a plugin wants to happen next.
#[derive(Debug)]
pub(super) enum Answer {
    Continue,
    /// So many bytes of the body; `None` is as many as the manifest allows.
    Hold(Option<u64>),
    Reply(Reply),
    Close,
}

/// Calls the exported function of a phase, in either manner.
macro_rules! enter {
    ($instance:expr, $phase:expr, $input:expr, |$function:ident, $store:ident, $arguments:ident| $call:expr) => {{
        let functions = &$instance.functions;
        let $store = &mut $instance.store;
        match ($phase, $input) {
            (Phase::OnRequest | Phase::OnResponse, _) => {
                let $function = if $phase == Phase::OnRequest {
                    &functions.on_request
                } else {
                    &functions.on_response
                };
                let $arguments = ();
                Ok($call?.0)
            }
            (Phase::OnRequestBody | Phase::OnResponseBody, Input::Body { content, complete }) => {
                let function = if $phase == Phase::OnRequestBody {
                    functions.on_request_body
                } else {
                    functions.on_response_body
                };
                let $function = function.typed::<(&[u8], bool), (Verdict,)>(&*$store)?;
                let $arguments = (&**content, complete);
                Ok($call?.0)
            }
            (Phase::OnFinish, Input::Summary(summary)) => {
                let $function = &functions.on_finish;
                let $arguments = (summary.into(),);
                $call?;
                Ok(Verdict::Continue)
            }
            (phase, input) => Err(format_err!("{} is not told of {input:?}", phase.as_str())),
        }
    }};
}
/// A plugin's instance. It serves one exchange at a time.
pub(super) struct Instance {
    pub(super) store: Store<State>,
    pub(super) handles: Handles,
    functions: Functions,
    time: Duration,
    /// Exchanges that it has begun to serve.
    pub(super) exchanges: u32,
    /// Its place among the worker's instances.
    pub(super) lease: Option<Lease>,
}

impl Instance {
    /// Gives the plugin its configuration. The inner error is the plugin's own.
    pub(super) async fn configure(&mut self, configuration: &str) -> Result<Result<PhaseSet, String>, Failed> {
        self.store
            .data_mut()
            .begin(Activity::Configure, Manner::Yielding, CONFIGURE_TIME);
        self.store.set_epoch_deadline(1);
        type Configured = (Result<Phases, String>,);
        let called = match self.functions.configure.typed::<(&str,), Configured>(&self.store) {
            Ok(configure) => configure.call_async(&mut self.store, (configuration,)).await,
            Err(error) => Err(error),
        };
        match called {
            Ok((configured,)) => Ok(configured.map(Phases::set)),
            Err(error) => Err(Failed::of(&error, self.store.data())),
        }
    }

    /// Calls a phase. Whoever drops the future discards the instance with it: it stopped in the middle.
    pub(super) async fn call(
        &mut self,
        phase: Phase,
        manner: &Cell<Manner>,
        mut subject: Box<Subject>,
        input: Input<'_>,
        watch: &mut Stopwatch,
    ) -> (Box<Subject>, Result<Answer, Failed>) {
        let state = self.store.data_mut();
        state.begin(Activity::Call(phase), manner.get(), self.time);
        std::mem::swap(&mut state.subject, &mut subject);
        self.store.set_epoch_deadline(1);
        let called = match manner.get() {
            Manner::Straight => watch.time_straight(|| self.enter(phase, input)),
            Manner::Yielding => watch.time(self.enter_yielding(phase, input)).await,
        };
        if manner.get() == Manner::Straight && self.store.data().was_long() {
            manner.set(Manner::Yielding);
        }
        let state = self.store.data_mut();
        std::mem::swap(&mut state.subject, &mut subject);
        let result = match called {
            Ok(verdict) => answer(state, verdict),
            Err(error) => Err(Failed::of(&error, state)),
        };
        (subject, result)
    }

    /// Takes the exchange out of the instance, which can then serve another. `None` where the plugin has to keep it.
    pub(super) fn park(&mut self) -> Result<Option<Parked>, Failed> {
        self.begin_move();
        let Some(Parking { park, .. }) = &self.functions.parking else {
            return Ok(None);
        };
        match park.call(&mut self.store, ()) {
            Ok((parked,)) => Ok(parked.map(Parked)),
            Err(error) => Err(Failed::of(&error, self.store.data())),
        }
    }

    /// Puts an exchange that was parked into the instance, which serves no other.
    pub(super) fn resume(&mut self, Parked(parked): Parked) -> Result<(), Failed> {
        self.begin_move();
        let Some(Parking { resume, .. }) = &self.functions.parking else {
            return Err(Failed::invalid("it exports no `resume`"));
        };
        match resume.call(&mut self.store, (parked,)) {
            Ok((Ok(()),)) => Ok(()),
            Ok((Err(message),)) => Err(Failed::invalid(format!(
                "`resume` refused what `park` had given: {message}"
            ))),
            Err(error) => Err(Failed::of(&error, self.store.data())),
        }
    }

    /// An exchange moves at once: if it could break off, what is known of it would be lost.
    fn begin_move(&mut self) {
        self.store.data_mut().begin(Activity::Move, Manner::Straight, self.time);
        self.store.set_epoch_deadline(1);
    }

    fn enter(&mut self, phase: Phase, input: Input<'_>) -> wasmtime::Result<Verdict> {
        enter!(self, phase, input, |function, store, arguments| function
            .call(store, arguments))
    }

    async fn enter_yielding(&mut self, phase: Phase, input: Input<'_>) -> wasmtime::Result<Verdict> {
        enter!(self, phase, input, |function, store, arguments| function
            .call_async(store, arguments)
            .await)
    }
}

fn answer(state: &mut State, verdict: Verdict) -> Result<Answer, Failed> {
    match verdict {
        Verdict::Continue => Ok(Answer::Continue),
        Verdict::Hold => Ok(Answer::Hold(state.hold)),
        Verdict::Close => Ok(Answer::Close),
        Verdict::Reply => match state.reply.take() {
            Some(Ok(reply)) => Ok(Answer::Reply(reply)),
            Some(Err(problem)) => Err(Failed::invalid(problem)),
            None => Err(Failed::invalid("the verdict is `reply`, but no reply was set")),
        },
    }
}

/// What a plugin keeps of an exchange, outside of its instances.
pub(super) struct Parked(Vec<u8>);

impl Parked {
    /// How much memory it takes, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.0.capacity() as u64
    }
}

/// An instance's place among those that a worker may have of a plugin.
pub(super) struct Lease(Rc<Cell<u32>>);

impl Lease {
    /// A place, where there is one.
    pub(super) fn take(taken: &Rc<Cell<u32>>, limit: u32) -> Option<Self> {
        if taken.get() >= limit {
            return None;
        }
        taken.set(taken.get() + 1);
        Some(Self(Rc::clone(taken)))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// Measures the time that plugins run, with one look at the clock between one and the next.
pub(super) struct Stopwatch {
    mark: Instant,
    nanos: u64,
    /// Whether something else ran since the mark.
    stale: bool,
}

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self {
            mark: Instant::now(),
            nanos: 0,
            stale: false,
        }
    }

    /// Nanoseconds since this was asked last.
    pub(super) fn lap(&mut self) -> u64 {
        std::mem::take(&mut self.nanos)
    }

    /// Measures a call that does not yield.
    fn time_straight<T>(&mut self, call: impl FnOnce() -> T) -> T {
        if self.stale {
            self.mark = Instant::now();
            self.stale = false;
        }
        Slice::Began.enter();
        let output = call();
        self.note();
        output
    }

    /// Adds the time since the mark, and moves the mark.
    fn note(&mut self) {
        let now = Instant::now();
        let slice = now.duration_since(self.mark).as_nanos();
        self.nanos = self.nanos.saturating_add(u64::try_from(slice).unwrap_or(u64::MAX));
        self.mark = now;
    }

    /// Measures each poll of a future.
    pub(super) async fn time<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            if self.stale {
                self.mark = Instant::now();
                Slice::WentOn(state::thread_time()).enter();
            } else {
                Slice::Began.enter();
            }
            let poll = future.as_mut().poll(context);
            self.note();
            self.stale = poll.is_pending();
            poll
        })
        .await
    }
}

/// Runs a call to its end on this thread. Calls wait for nothing but their next turn, which is now.
pub(super) fn drive<F: Future>(future: F) -> F::Output {
    let mut watch = Stopwatch::start();
    let mut future = pin!(watch.time(future));
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}
