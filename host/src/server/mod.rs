//! The process: listeners, workers, signals, and an orderly end.
//!
//! One thread a core, and each thread has everything that it needs: [`listen`] gives it sockets of its own, [`accept`] makes
//! connections of what arrives, [`worker`] is what it owns, [`state`] its side of the active snapshot, [`timer`] its clock.

pub mod accept;
pub mod clients;
pub mod descriptors;
pub mod handover;
pub mod handshake;
pub mod inherited;
pub mod listen;
pub mod listeners;
pub mod notify;
pub mod pace;
pub mod state;
pub mod timer;
pub mod tls;
pub mod watch;
pub mod worker;

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::runtime::{Builder, LocalOptions, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;

use self::handover::{Program, Received, Sockets};
use self::inherited::Inherited;
use self::listeners::Command;
use self::notify::Event;
use self::worker::Worker;
use crate::admin::{Admin, Operations};
use crate::cli::addresses::Addresses;
use crate::config::Config;
use crate::control::Control;

/// How often a worker closes idle connections to servers.
const SWEEP: Duration = Duration::from_secs(1);

/// Serves until SIGTERM or SIGINT, then drains. SIGHUP reloads the configuration and opens the access log again. SIGUSR2 starts the
/// program anew with the sockets of this one, which retires once the new one serves.
///
/// `addresses` is the file of `weir run --addresses`.
///
/// # Errors
/// When Weir cannot start.
pub fn run(config: Config, addresses: Option<&Path>) -> anyhow::Result<()> {
    // Caught before anything can be seen from outside: whoever sees Weir may already send it a signal.
    let mut signals = Signals::catch()?;
    let program = Program::of_this_process()?;
    let received = Received::take()?;
    let (given, ready) = received.map(|received| (received.sockets, received.ready)).unzip();
    let inherited = Inherited::from_systemd()?.with(given.unwrap_or_default());
    let server = Server::start(config, inherited)?;
    if let Some(file) = addresses {
        server
            .addresses()
            .write(file)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    notify::tell(Event::Ready);
    if let Some(ready) = ready {
        ready.tell();
    }
    match signals.wait_for_the_end(&server, program) {
        End::Stop => {
            notify::tell(Event::Stopping);
            server.stop();
        }
        End::Replaced(process) => {
            notify::tell(Event::ReplacedBy(process));
            signals.hasten_at_the_end(server.control.clone())?;
            server.retire();
        }
    }
    Ok(())
}

/// A running Weir.
pub struct Server {
    control: Arc<Control>,
    admin: Option<Admin>,
    workers: Vec<JoinHandle<()>>,
    _certificates: watch::Watch,
}

impl Server {
    /// Binds, starts the workers, and returns when all of them accept connections. `inherited` are sockets that were bound
    /// before the process began.
    ///
    /// # Errors
    /// When a socket, a file, the active bundle or a thread is not to be had.
    pub fn start(config: Config, inherited: Inherited) -> anyhow::Result<Self> {
        let begun = Instant::now();
        match descriptors::raise() {
            Ok(limit) => tracing::debug!(limit, "file descriptors"),
            Err(error) => tracing::warn!(%error, "cannot tell how many file descriptors there are"),
        }
        let count = config.workers.max(1);
        let admin_address = config.admin.address;
        let admin_socket = inherited.take_admin();
        let control = Control::new(config, inherited)?;
        let (ready, started) = mpsc::channel();
        let mut senders = Vec::new();
        let mut workers = Vec::new();
        for index in 0..count {
            let (sender, commands) = unbounded_channel();
            senders.push(sender);
            let (control, ready) = (control.clone(), ready.clone());
            let thread = std::thread::Builder::new().name(format!("worker-{index}"));
            workers.push(thread.spawn(move || work(index, control, commands, &ready))?);
        }
        drop(ready);
        for _ in 0..count {
            started.recv().context("a worker ended before it had begun")??;
        }
        let admin = admin_address
            .map(|address| Admin::start(address, admin_socket, control.clone()))
            .transpose()?;
        control.listeners().start(senders);
        let watch = watch::Watch::start(control.clone());
        for (name, address) in control.addresses() {
            tracing::info!(listener = %name, %address, "listening");
        }
        tracing::info!(workers = count, startup = ?begun.elapsed(), "ready");
        Ok(Self {
            control,
            admin,
            workers,
            _certificates: watch,
        })
    }

    /// What controls it.
    #[must_use]
    pub fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        let admin = self.admin.as_ref().map(Admin::address);
        Addresses {
            listeners: self.control.addresses(),
            admin,
        }
    }

    /// Everything that a process which replaces this one needs.
    ///
    /// # Errors
    /// When the system gives no more descriptors.
    fn sockets(&self) -> std::io::Result<Sockets> {
        Ok(Sockets {
            listeners: self.control.listeners().handles()?,
            admin: self.admin.as_ref().map(Admin::socket).transpose()?,
        })
    }

    /// Another process serves in place of this one: what has begun is finished, and every connection's next answer is its last.
    fn retire(mut self) {
        // From here on the operator speaks to the new process alone.
        drop(self.admin.take());
        tracing::info!("retiring");
        self.control.retire();
        self.wait_for_workers();
    }

    /// Drains: running exchanges finish, for at most the configured time.
    pub fn stop(self) {
        tracing::info!("draining");
        self.control.drain();
        self.wait_for_workers();
    }

    fn wait_for_workers(self) {
        for worker in self.workers {
            if worker.join().is_err() {
                tracing::error!("a worker panicked");
            }
        }
        drop(self.admin);
        self.control.access_log().flush();
        tracing::info!("stopped");
    }
}

/// What the operator says by signal.
struct Signals {
    runtime: Runtime,
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    replace: Signal,
}

/// Why the process ends.
enum End {
    /// Somebody wants it to.
    Stop,
    /// This process serves in its place.
    Replaced(u32),
}

impl Signals {
    fn catch() -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let (hangup, terminate) = (signal(SignalKind::hangup())?, signal(SignalKind::terminate())?);
        let interrupt = signal(SignalKind::interrupt())?;
        let replace = signal(SignalKind::user_defined2())?;
        drop(entered);
        Ok(Self {
            runtime,
            hangup,
            terminate,
            interrupt,
            replace,
        })
    }

    /// Returns when the process has been asked to end.
    fn wait_for_the_end(&mut self, server: &Server, program: Program) -> End {
        let control = &server.control;
        let program = Arc::new(program);
        let (replaced, mut replacement) = unbounded_channel();
        let mut replacing = false;
        self.runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = self.hangup.recv() => {
                        let control = control.clone();
                        // Reading files and resolving names takes its time; the next signal is not to wait for it.
                        tokio::task::spawn_blocking(move || {
                            if let Err(error) = control.access_log().reopen() {
                                tracing::error!(%error, "cannot open the access log again");
                            }
                            match Operations::reload(&*control) {
                                Ok(activated) => tracing::info!(%activated, "reloaded the configuration"),
                                Err(error) => tracing::error!("keeping the configuration in use: {error}"),
                            }
                        });
                    }
                    _ = self.replace.recv(), if !replacing => {
                        tracing::info!("starting the process that is to replace this one");
                        replacing = true;
                        let (program, replaced, sockets) = (program.clone(), replaced.clone(), server.sockets());
                        tokio::task::spawn_blocking(move || {
                            let started = sockets.map_err(anyhow::Error::from);
                            let _ = replaced.send(started.and_then(|sockets| program.start_with(&sockets)));
                        });
                    }
                    Some(replacement) = replacement.recv() => match replacement {
                        Ok(process) => {
                            tracing::info!(process, "replaced by a new process");
                            return End::Replaced(process);
                        }
                        Err(error) => {
                            replacing = false;
                            tracing::error!("this process goes on: {error:#}");
                        }
                    },
                    _ = self.terminate.recv() => return End::Stop,
                    _ = self.interrupt.recv() => return End::Stop,
                }
            }
        })
    }
}

impl Signals {
    /// Whoever asks a process that retires to end wants it to end soon.
    fn hasten_at_the_end(mut self, control: Arc<Control>) -> std::io::Result<()> {
        let wait = move || {
            self.runtime.block_on(async {
                tokio::select! {
                    _ = self.terminate.recv() => {}
                    _ = self.interrupt.recv() => {}
                }
            });
            control.hasten();
        };
        std::thread::Builder::new().name("signals".into()).spawn(wait).map(drop)
    }
}

/// A worker's thread.
fn work(
    index: usize,
    control: Arc<Control>,
    commands: UnboundedReceiver<Command>,
    ready: &mpsc::Sender<anyhow::Result<()>>,
) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        // The I/O driver is asked often enough that a burst of ready tasks does not starve new events.
        .event_interval(61)
        .build_local(LocalOptions::default());
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error.into()));
            return;
        }
    };
    runtime.block_on(async move {
        match Worker::new(index, control) {
            Ok(worker) => {
                let _ = ready.send(Ok(()));
                serve(worker, commands).await;
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        }
    });
}

/// Does what the worker is told until it is told to drain.
async fn serve(worker: Rc<Worker>, mut commands: UnboundedReceiver<Command>) {
    tokio::task::spawn_local(worker.timer.clone().run());
    tokio::task::spawn_local(keep_house(worker.clone()));
    let mut leaving = Leaving::Stop;
    let mut accepting = HashMap::<u64, oneshot::Sender<()>>::new();
    while let Some(command) = commands.recv().await {
        match command {
            Command::Listen(socket) => {
                let (stop, stopped) = oneshot::channel();
                accepting.insert(socket.id, stop);
                tokio::task::spawn_local(accept::run(worker.clone(), socket, stopped));
            }
            Command::Close(id) => drop(accepting.remove(&id)),
            Command::Drain => break,
            Command::Retire => {
                leaving = Leaving::Retire;
                break;
            }
        }
    }
    drop(accepting);
    drain(&worker, leaving).await;
}

/// How a worker ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    /// Idle connections are closed at once.
    Stop,
    /// Idle connections have one more answer, because a client may be about to send a request and could not tell a connection
    /// that is closed under it from a failure.
    Retire,
}

/// How long a connection may be idle in a process that retires. Clients that send more often lose no request.
const LAST_REQUEST: Duration = Duration::from_secs(10);

/// Idle connections to servers are closed, and a new snapshot is taken up even while nobody asks for anything.
async fn keep_house(worker: Rc<Worker>) {
    let mut interval = tokio::time::interval(SWEEP);
    loop {
        interval.tick().await;
        worker.sweep();
        drop(worker.state());
    }
}

/// Waits for what runs, for at most the configured time.
async fn drain(worker: &Rc<Worker>, leaving: Leaving) {
    let config = worker.state().snapshot.config.clone();
    let (mut limit, mut idle, mut pause) = match leaving {
        Leaving::Stop => (config.drain, Duration::ZERO, timer::TICK),
        Leaving::Retire => (config.retire, LAST_REQUEST.min(config.retire / 2), 5 * timer::TICK),
    };
    worker.retiring.set(true);
    worker.draining.set(idle.is_zero());
    let started = Instant::now();
    // Connections accepted in the last moment are given their turn before the first look.
    tokio::task::yield_now().await;
    while worker.connections.get() > 0 && started.elapsed() < limit {
        if worker.control().is_hasty() && !idle.is_zero() {
            limit = started.elapsed() + config.drain;
            (idle, pause) = (Duration::ZERO, timer::TICK);
        }
        if started.elapsed() >= idle {
            worker.draining.set(true);
            worker.timer.wake_all();
        }
        tokio::time::sleep(pause).await;
    }
    let left = worker.connections.get();
    if left > 0 {
        tracing::warn!(
            worker = worker.index,
            connections = left,
            "drain time is over; closing what is left"
        );
    }
}
