//! Replacing the running Weir by another process, with the sockets that clients know.
//!
//! On SIGUSR2 Weir starts its own program again, the file that now lies where it was started from, with the same arguments and
//! every listening socket, the operator's among them. The new process reads the configuration as at any start. When it is ready
//! it says so through a pipe; then, and only then, this one stops to accept and retires. A new process that ends before, or says
//! nothing for [`PATIENCE`], is given up, and nothing has changed. Since both hold the same sockets, a connection that waits to be
//! accepted waits for either.

use std::ffi::OsString;
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::net::TcpListener;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::{CommandExt as _, parent_id};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use super::inherited::Listening;

/// Tells a new process what it has been given.
const VARIABLE: &str = "WEIR_HANDOVER";
/// How long a new process may take until it is ready: plugins that it has never seen have to be compiled.
const PATIENCE: Duration = Duration::from_secs(120);

/// How this process was started, so that it can be started again.
#[derive(Debug)]
pub struct Program {
    /// Where the file lay; by the time that it is needed, another one may lie there.
    path: PathBuf,
    arguments: Vec<OsString>,
}

/// A socket with the place in the configuration that it is for.
#[derive(Debug)]
pub struct Given {
    /// The listener's name.
    pub listener: String,
    /// As the configuration says it.
    pub place: String,
    /// The socket.
    pub socket: Listening,
}

/// What one process gives another.
#[derive(Debug, Default)]
pub struct Sockets {
    /// Those of the listeners.
    pub listeners: Vec<Given>,
    /// The operator's.
    pub admin: Option<TcpListener>,
}

/// What the variable says.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    /// The process that gives; the variable means nothing to the child of another.
    parent: u32,
    ready: RawFd,
    admin: Option<RawFd>,
    listeners: Vec<(String, String, RawFd)>,
}

impl Program {
    /// To be called at the start, while the file is the one that runs.
    ///
    /// # Errors
    /// When the system does not say where that is.
    pub fn of_this_process() -> io::Result<Self> {
        Ok(Self {
            path: std::env::current_exe()?,
            arguments: std::env::args_os().skip(1).collect(),
        })
    }

    /// Starts the program with these sockets and returns its process once it is ready to serve. Takes as long as that takes.
    ///
    /// # Errors
    /// When it cannot be started, ends, or takes too long; it is gone then.
    pub fn start_with(&self, sockets: &Sockets) -> anyhow::Result<u32> {
        let (reader, writer) = io::pipe()?;
        let note = Note {
            parent: std::process::id(),
            ready: writer.as_raw_fd(),
            admin: sockets.admin.as_ref().map(|socket| socket.as_raw_fd()),
            listeners: sockets
                .listeners
                .iter()
                .map(|given| {
                    let descriptor = given.socket.as_fd().as_raw_fd();
                    (given.listener.clone(), given.place.clone(), descriptor)
                })
                .collect(),
        };
        let descriptors: Vec<RawFd> = note.listeners.iter().map(|given| given.2).collect();
        let descriptors: Vec<RawFd> = descriptors.into_iter().chain(note.admin).chain([note.ready]).collect();
        let mut command = Command::new(&self.path);
        command
            .args(&self.arguments)
            .env(VARIABLE, serde_json::to_string(&note)?);
        // What systemd passed comes with the others, and is not meant for the new process's number.
        for variable in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
            command.env_remove(variable);
        }
        let pass_on = move || {
            for descriptor in &descriptors {
                // SAFETY: `fcntl` only changes a flag of a descriptor; one that is not open is an error and nothing more.
                if unsafe { libc::fcntl(*descriptor, libc::F_SETFD, 0) } != 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        };
        // SAFETY: between fork and exec only async-signal-safe calls are allowed; the closure makes one, `fcntl`, and allocates
        // nothing. The descriptors are open until `spawn` has returned, because `sockets` and `writer` are.
        let child = unsafe { command.pre_exec(pass_on) }
            .spawn()
            .with_context(|| format!("cannot start {}", self.path.display()))?;
        drop(writer);
        await_ready(child, reader)
    }
}

/// The process's number once it has said that it is ready.
fn await_ready(mut child: Child, mut reader: PipeReader) -> anyhow::Result<u32> {
    let (sender, said) = mpsc::channel();
    // Ends with the pipe: when the child has spoken, or is gone.
    std::thread::Builder::new().name("handover".into()).spawn(move || {
        let mut byte = [0];
        let _ = sender.send(reader.read(&mut byte));
    })?;
    let said = said.recv_timeout(PATIENCE);
    if let Ok(Ok(1)) = said {
        return Ok(child.id());
    }
    let _ = child.kill();
    let status = child.wait()?;
    match said {
        Ok(_) => bail!("the new process ended before it was ready ({status}); its own log says why"),
        Err(_) => bail!("the new process was not ready within {PATIENCE:?}"),
    }
}

/// What this process was given, and whom to tell that it is ready.
#[derive(Debug)]
pub struct Received {
    /// What it was given.
    pub sockets: Sockets,
    /// To be dropped, or used, once.
    pub ready: Ready,
}

/// Tells the process that is to be replaced.
#[derive(Debug)]
pub struct Ready(PipeWriter);

impl Ready {
    /// From here on the other one retires.
    pub fn tell(mut self) {
        if let Err(error) = self.0.write_all(b"1") {
            tracing::warn!(%error, "the process that this one replaces is gone already");
        }
    }
}

impl Received {
    /// Takes what the parent has given; nothing where it is no Weir that hands over. To be called once, before the process opens
    /// descriptors of its own: later calls find nothing.
    ///
    /// # Errors
    /// When the variable, or a descriptor that it names, is not what it should be.
    pub fn take() -> io::Result<Option<Self>> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        let Ok(text) = std::env::var(VARIABLE) else {
            return Ok(None);
        };
        let note: Note =
            serde_json::from_str(&text).map_err(|error| io::Error::other(format!("{VARIABLE}: {error}")))?;
        // Inherited further on, by a process that was not given anything.
        if note.parent != parent_id() || TAKEN.swap(true, Ordering::SeqCst) {
            return Ok(None);
        }
        let listening = |descriptor| Listening::from_descriptor(own(descriptor)?);
        let mut sockets = Sockets::default();
        for (listener, place, descriptor) in note.listeners {
            let socket = listening(descriptor)?;
            sockets.listeners.push(Given {
                listener,
                place,
                socket,
            });
        }
        if let Some(Listening::Tcp(socket)) = note.admin.map(listening).transpose()? {
            sockets.admin = Some(socket);
        }
        let ready = own(note.ready)?;
        socket2::SockRef::from(&ready).set_cloexec(true)?;
        Ok(Some(Self {
            sockets,
            ready: Ready(ready.into()),
        }))
    }
}

/// A descriptor that the parent left open for this process.
fn own(descriptor: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: `fcntl` with `F_GETFD` looks at a number and touches no memory.
    if unsafe { libc::fcntl(descriptor, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, the parent (which is checked) opened it for this process alone, and `TAKEN` makes this its only owner.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
