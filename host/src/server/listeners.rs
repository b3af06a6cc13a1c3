//! All listeners of the process, and how a reload changes them without a connection lost.
//!
//! New sockets are bound before old ones are closed, a listener whose settings change goes on with the sockets that it has, and
//! a worker that closes one first takes the connections that wait in it.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedSender;

use super::handover::Given;
use super::inherited::{Inherited, Listening};
use super::listen::bind;
use super::tls::{Alpn, ListenerTls, Loaded};
use crate::config::{Endpoint, Listener, Place};

/// What a worker is told.
#[derive(Debug)]
pub enum Command {
    /// Accept on this.
    Listen(Socket),
    /// Accept no longer on the socket of this [`Socket::id`].
    Close(u64),
    /// Accept nothing any more, finish what runs, and end.
    Drain,
    /// As before, but leave clients time for a last request: another process accepts.
    Retire,
}

/// One worker's share of a listener's address.
#[derive(Debug)]
pub struct Socket {
    /// Unique in the process.
    pub id: u64,
    /// Name, protocols.
    pub listener: Arc<Listener>,
    /// Certificates.
    pub tls: Option<Arc<ListenerTls>>,
    /// Already listening.
    pub socket: Listening,
}

/// Every listener that is open.
#[derive(Debug)]
pub struct Listeners {
    open: Mutex<Vec<Open>>,
    workers: Mutex<Vec<UnboundedSender<Command>>>,
    count: usize,
    inherited: Inherited,
}

/// One address of a listener.
#[derive(Debug)]
struct Open {
    id: u64,
    listener: Arc<Listener>,
    /// What the configuration asks for.
    place: Place,
    /// What was got.
    address: Endpoint,
    tls: Option<Arc<ListenerTls>>,
    /// The workers have handles of their own. These are kept for a reload that changes the listener's settings.
    sockets: Vec<Listening>,
}

/// Listeners that a reload will switch to.
#[derive(Debug)]
pub struct Prepared {
    next: Vec<Next>,
    tls: Vec<(Arc<ListenerTls>, Loaded)>,
}

#[derive(Debug)]
enum Next {
    /// Nothing changes for the accept loops.
    Kept(usize),
    /// The sockets of an address go on with other settings.
    Changed(usize, Arc<Listener>, Option<Arc<ListenerTls>>),
    Added(Open),
}

impl Listeners {
    /// Binds all of them, or none.
    ///
    /// # Errors
    /// With the address that cannot be bound, or the certificate that cannot be read.
    pub fn bind(listeners: &[Listener], workers: usize, inherited: Inherited) -> anyhow::Result<Self> {
        let mut open = Vec::new();
        for listener in listeners {
            let tls = listener
                .tls
                .as_ref()
                .map(|tls| ListenerTls::load(tls, Alpn::of(listener)))
                .transpose()?
                .map(Arc::new);
            let listener = Arc::new(listener.clone());
            for place in &listener.places {
                open.extend(Open::bind(&listener, place, tls.as_ref(), workers, &inherited)?);
            }
        }
        for name in inherited.names() {
            let used = |open: &Open| matches!(&open.place, Place::Systemd(used) if **used == *name);
            if !open.iter().any(used) {
                tracing::warn!(name, "systemd has passed a socket that no listener uses");
            }
        }
        Ok(Self {
            open: Mutex::new(open),
            workers: Mutex::default(),
            count: workers,
            inherited,
        })
    }

    /// Name and real address of each.
    #[must_use]
    pub fn addresses(&self) -> Vec<(Arc<str>, Endpoint)> {
        self.open
            .lock()
            .iter()
            .map(|open| (open.listener.name.clone(), open.address.clone()))
            .collect()
    }

    /// The TLS state of each listener that has one.
    #[must_use]
    pub fn tls(&self) -> Vec<(Arc<str>, Arc<ListenerTls>)> {
        let open = self.open.lock();
        let mut seen = HashSet::new();
        open.iter()
            .filter_map(|open| Some((open.listener.name.clone(), open.tls.clone()?)))
            .filter(|(name, _)| seen.insert(name.clone()))
            .collect()
    }

    /// Gives the workers their sockets; from here on connections are accepted.
    pub fn start(&self, workers: Vec<UnboundedSender<Command>>) {
        for open in self.open.lock().iter() {
            open.hand_out(&workers);
        }
        *self.workers.lock() = workers;
    }

    /// Binds what is new in a configuration.
    ///
    /// # Errors
    /// As [`Listeners::bind`]; nothing has changed then.
    pub fn prepare(&self, listeners: &[Listener]) -> anyhow::Result<Prepared> {
        let open = self.open.lock();
        let mut taken = HashSet::new();
        let mut prepared = Prepared {
            next: Vec::new(),
            tls: Vec::new(),
        };
        for listener in listeners {
            let tls = prepared.tls_of(listener, &open)?;
            let listener = Arc::new(listener.clone());
            for place in &listener.places {
                let same: Vec<_> = (0..open.len())
                    .filter(|index| !taken.contains(index) && open[*index].is_at(place, &listener))
                    .collect();
                if same.is_empty() {
                    let added = Open::bind(&listener, place, tls.as_ref(), self.count, &self.inherited)?;
                    prepared.next.extend(added.into_iter().map(Next::Added));
                }
                for index in same {
                    taken.insert(index);
                    prepared.next.push(if open[index].listener == listener {
                        Next::Kept(index)
                    } else {
                        Next::Changed(index, listener.clone(), tls.clone())
                    });
                }
            }
        }
        Ok(prepared)
    }

    /// Switches to what was prepared.
    pub fn commit(&self, prepared: Prepared) {
        let workers = self.workers.lock();
        let mut open = self.open.lock();
        for (tls, loaded) in prepared.tls {
            tls.switch(loaded);
        }
        let mut before: Vec<_> = open.drain(..).map(Some).collect();
        let mut take = |index: usize| before.get_mut(index).and_then(Option::take);
        let mut closed = Vec::new();
        for next in prepared.next {
            match next {
                Next::Kept(index) => open.extend(take(index)),
                Next::Changed(index, listener, tls) => {
                    let Some(old) = take(index) else { continue };
                    closed.push(old.id);
                    let changed = Open {
                        id: next_id(),
                        listener,
                        tls,
                        ..old
                    };
                    changed.hand_out(&workers);
                    open.push(changed);
                }
                Next::Added(added) => {
                    added.hand_out(&workers);
                    open.push(added);
                }
            }
        }
        closed.extend(before.iter().flatten().map(|open| open.id));
        for id in closed {
            for worker in workers.iter() {
                let _ = worker.send(Command::Close(id));
            }
        }
    }

    /// Reads certificates again that may have changed.
    pub fn reload_certificates(&self) {
        for (name, tls) in self.tls() {
            match tls.reload() {
                Ok(()) => tracing::info!(listener = %name, "read the certificates again"),
                Err(error) => tracing::error!(listener = %name, %error, "keeping the certificates in use"),
            }
        }
    }

    /// Handles of all sockets, for a process that is to replace this one.
    ///
    /// # Errors
    /// When the system gives no more descriptors.
    pub fn handles(&self) -> io::Result<Vec<Given>> {
        let open = self.open.lock();
        let of = |open: &Open, socket: &Listening| {
            Ok(Given {
                listener: open.listener.name.to_string(),
                place: open.place.to_string(),
                socket: socket.try_clone()?,
            })
        };
        let all = open
            .iter()
            .flat_map(|open| open.sockets.iter().map(move |socket| (open, socket)));
        all.map(|(open, socket)| of(open, socket)).collect()
    }

    /// Tells the workers to finish.
    pub fn drain(&self) {
        self.leave(|| Command::Drain);
    }

    /// Tells the workers to finish, now that another process accepts.
    pub fn retire(&self) {
        self.leave(|| Command::Retire);
    }

    fn leave(&self, command: impl Fn() -> Command) {
        for worker in self.workers.lock().iter() {
            let _ = worker.send(command());
        }
        // With the workers' handles gone too, the kernel refuses connections instead of keeping them waiting for nobody.
        for open in self.open.lock().iter_mut() {
            open.sockets.clear();
        }
    }
}

impl Prepared {
    /// The TLS state of a listener: the one that it has, with what the configuration now says put beside, or a new one.
    fn tls_of(&mut self, listener: &Listener, open: &[Open]) -> anyhow::Result<Option<Arc<ListenerTls>>> {
        let Some(settings) = &listener.tls else { return Ok(None) };
        let known = open.iter().find(|open| open.listener.name == listener.name);
        match known.and_then(|open| open.tls.clone()) {
            Some(tls) => {
                let loaded = tls.prepare(settings, Alpn::of(listener))?;
                self.tls.push((tls.clone(), loaded));
                Ok(Some(tls))
            }
            None => Ok(Some(Arc::new(ListenerTls::load(settings, Alpn::of(listener))?))),
        }
    }
}

impl Open {
    fn bind(
        listener: &Arc<Listener>,
        place: &Place,
        tls: Option<&Arc<ListenerTls>>,
        workers: usize,
        inherited: &Inherited,
    ) -> anyhow::Result<Vec<Self>> {
        let bound = bind(listener, place, workers, inherited)?;
        let open = bound.into_iter().map(|bound| Self {
            id: next_id(),
            listener: listener.clone(),
            place: place.clone(),
            address: bound.address,
            tls: tls.cloned(),
            sockets: bound.sockets,
        });
        Ok(open.collect())
    }

    /// Whether these sockets are what a place of a listener asks for. A port that the system chose belongs to its listener.
    fn is_at(&self, place: &Place, listener: &Listener) -> bool {
        if self.listener.socket != listener.socket {
            return false;
        }
        match place {
            Place::Bind(Endpoint::Tcp(address)) if address.port() == 0 => {
                self.place == *place && self.listener.name == listener.name
            }
            Place::Bind(endpoint) => self.address == *endpoint,
            Place::Systemd(_) => self.place == *place,
        }
    }

    fn hand_out(&self, workers: &[UnboundedSender<Command>]) {
        for (worker, socket) in workers.iter().zip(self.sockets.iter().cycle()) {
            let socket = match socket.try_clone() {
                Ok(socket) => socket,
                Err(error) => {
                    tracing::error!(%error, listener = %self.listener.name, "a worker cannot listen");
                    continue;
                }
            };
            let socket = Socket {
                id: self.id,
                listener: self.listener.clone(),
                tls: self.tls.clone(),
                socket,
            };
            let _ = worker.send(Command::Listen(socket));
        }
    }
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
