//! The process: listeners, workers, signals, and an orderly end.
//!
//! One thread a core, and each thread has everything that it needs: [`listen`] gives it sockets of its own, [`accept`] makes
//! connections of what arrives, [`worker`] is what it owns, [`state`] its side of the active snapshot, [`timer`] its clock.

pub mod accept;
pub mod clients;
pub mod descriptors;
pub mod inherited;
pub mod listen;
pub mod listeners;
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

use self::inherited::Inherited;
use self::listeners::Command;
use self::worker::Worker;
use crate::admin::{Admin, Operations};
use crate::cli::addresses::Addresses;
use crate::config::Config;
use crate::control::Control;

/// How often a worker closes idle connections to servers.
const SWEEP: Duration = Duration::from_secs(1);

/// Serves until SIGTERM or SIGINT, then drains. SIGHUP reloads the configuration and opens the access log again.
///
/// `addresses` is the file of `weir run --addresses`.
///
/// # Errors
/// When Weir cannot start.
pub fn run(config: Config, addresses: Option<&Path>) -> anyhow::Result<()> {
    // Caught before anything can be seen from outside: whoever sees Weir may already send it a signal.
    let signals = Signals::catch()?;
    let server = Server::start(config, Inherited::from_systemd()?)?;
    if let Some(file) = addresses {
        server
            .addresses()
            .write(file)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    signals.wait_for_the_end(&server.control);
    server.stop();
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
            .map(|address| Admin::start(address, control.clone()))
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

    /// Drains: running exchanges finish, for at most the configured time.
    pub fn stop(self) {
        tracing::info!("draining");
        self.control.drain();
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
}

impl Signals {
    fn catch() -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let (hangup, terminate) = (signal(SignalKind::hangup())?, signal(SignalKind::terminate())?);
        let interrupt = signal(SignalKind::interrupt())?;
        drop(entered);
        Ok(Self {
            runtime,
            hangup,
            terminate,
            interrupt,
        })
    }

    /// Returns when the process has been asked to end.
    fn wait_for_the_end(mut self, control: &Arc<Control>) {
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
                    _ = self.terminate.recv() => return,
                    _ = self.interrupt.recv() => return,
                }
            }
        });
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
        }
    }
    drop(accepting);
    drain(&worker).await;
}

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
async fn drain(worker: &Rc<Worker>) {
    let limit = worker.state().snapshot.config.drain;
    worker.draining.set(true);
    let started = Instant::now();
    // Connections accepted in the last moment are given their turn before the first look.
    tokio::task::yield_now().await;
    while worker.connections.get() > 0 && started.elapsed() < limit {
        worker.timer.wake_all();
        tokio::time::sleep(timer::TICK).await;
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
