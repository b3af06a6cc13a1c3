//! All listeners of the process, and how a reload changes them without a connection lost.
//!
//! New sockets are bound before old ones are closed, and a worker that closes one first takes the connections that wait in it.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedSender;

use super::listen::{Bound, bind};
use super::tls::ListenerTls;
use crate::config::Listener;

/// What a worker is told.
#[derive(Debug)]
pub enum Command {
    /// Accept on this.
    Listen(Socket),
    /// Accept no longer on this address.
    Close(SocketAddr),
    /// Accept nothing any more, finish what runs, and end.
    Drain,
}

/// One worker's share of a listener.
#[derive(Debug)]
pub struct Socket {
    /// Name, protocols.
    pub listener: Listener,
    /// The real address.
    pub address: SocketAddr,
    /// Certificates.
    pub tls: Option<Arc<ListenerTls>>,
    /// Already listening.
    pub socket: std::net::TcpListener,
}

/// Every listener that is open.
#[derive(Debug)]
pub struct Listeners {
    open: Mutex<Vec<Open>>,
    workers: Mutex<Vec<UnboundedSender<Command>>>,
    count: usize,
}

#[derive(Debug)]
struct Open {
    listener: Listener,
    address: SocketAddr,
    tls: Option<Arc<ListenerTls>>,
    /// Until the workers have them.
    sockets: Vec<std::net::TcpListener>,
}

/// Listeners that a reload will switch to.
#[derive(Debug)]
pub struct Prepared {
    kept: Vec<(usize, Listener)>,
    added: Vec<Open>,
}

impl Listeners {
    /// Binds all of them, or none.
    ///
    /// # Errors
    /// With the address that cannot be bound, or the certificate that cannot be read.
    pub fn bind(listeners: &[Listener], workers: usize) -> anyhow::Result<Self> {
        let open = listeners.iter().map(|listener| bind(listener, workers).map(Open::from));
        let open = open.collect::<anyhow::Result<_>>()?;
        Ok(Self {
            open: Mutex::new(open),
            workers: Mutex::default(),
            count: workers,
        })
    }

    /// Name and real address of each.
    #[must_use]
    pub fn addresses(&self) -> Vec<(Arc<str>, SocketAddr)> {
        self.open
            .lock()
            .iter()
            .map(|open| (open.listener.name.clone(), open.address))
            .collect()
    }

    /// The TLS state of each listener that has one.
    #[must_use]
    pub fn tls(&self) -> Vec<(Arc<str>, Arc<ListenerTls>)> {
        let open = self.open.lock();
        open.iter()
            .filter_map(|open| Some((open.listener.name.clone(), open.tls.clone()?)))
            .collect()
    }

    /// Gives the workers their sockets; from here on connections are accepted.
    pub fn start(&self, workers: Vec<UnboundedSender<Command>>) {
        for open in self.open.lock().iter_mut() {
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
        let mut prepared = Prepared {
            kept: Vec::new(),
            added: Vec::new(),
        };
        for listener in listeners {
            let same = open.iter().position(|open| open.is_for(listener));
            match same {
                Some(index) => {
                    // Read once to know that they can be; `commit` reads them into place.
                    if let Some(tls) = &listener.tls {
                        ListenerTls::load(tls, listener.http2)?;
                    }
                    prepared.kept.push((index, listener.clone()));
                }
                None => prepared.added.push(bind(listener, self.count)?.into()),
            }
        }
        Ok(prepared)
    }

    /// Switches to what was prepared.
    pub fn commit(&self, prepared: Prepared) {
        let workers = self.workers.lock();
        let mut open = self.open.lock();
        let mut next = Vec::new();
        let mut before: Vec<_> = open.drain(..).map(Some).collect();
        for (index, listener) in prepared.kept {
            let Some(kept) = before.get_mut(index).and_then(Option::take) else {
                continue;
            };
            if let (Some(tls), Some(files)) = (&kept.tls, &listener.tls)
                && let Err(error) = tls.reload(Some(&files.certificates))
            {
                tracing::error!(%error, listener = %listener.name, "the certificates changed again while reloading");
            }
            next.push(Open { listener, ..kept });
        }
        for mut added in prepared.added {
            added.hand_out(&workers);
            next.push(added);
        }
        for closed in before.into_iter().flatten() {
            for worker in workers.iter() {
                let _ = worker.send(Command::Close(closed.address));
            }
        }
        *open = next;
    }

    /// Reads certificates again that may have changed.
    pub fn reload_certificates(&self) {
        for (name, tls) in self.tls() {
            match tls.reload(None) {
                Ok(()) => tracing::info!(listener = %name, "read the certificates again"),
                Err(error) => tracing::error!(listener = %name, %error, "keeping the certificates in use"),
            }
        }
    }

    /// Tells the workers to finish.
    pub fn drain(&self) {
        for worker in self.workers.lock().iter() {
            let _ = worker.send(Command::Drain);
        }
    }
}

impl Open {
    /// Whether a listener can go on with these sockets. What the accept loop has copied has to be the same.
    fn is_for(&self, listener: &Listener) -> bool {
        let asked = self.listener.address == listener.address || self.address == listener.address;
        asked
            && self.listener.name == listener.name
            && self.listener.http2 == listener.http2
            && self.tls.is_some() == listener.tls.is_some()
    }

    fn hand_out(&mut self, workers: &[UnboundedSender<Command>]) {
        for (worker, socket) in workers.iter().zip(self.sockets.drain(..)) {
            let socket = Socket {
                listener: self.listener.clone(),
                address: self.address,
                tls: self.tls.clone(),
                socket,
            };
            let _ = worker.send(Command::Listen(socket));
        }
    }
}

impl From<Bound> for Open {
    fn from(bound: Bound) -> Self {
        Self {
            listener: bound.listener,
            address: bound.address,
            tls: bound.tls,
            sockets: bound.sockets,
        }
    }
}
