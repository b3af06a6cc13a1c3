//! One client connection, made into exchanges: over HTTP/1.1 or HTTP/2.

pub mod http1;
pub mod http2;
pub mod pace;
pub mod tunnel;

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use crate::exchange::subject::Scheme;
use crate::server::clients::Admitted;
use crate::telemetry::Gauge;

/// What is known about a client from its connection.
#[derive(Debug)]
pub struct Client {
    /// The other end.
    pub peer: SocketAddr,
    /// Its share of what its network may have.
    pub place: Admitted,
    /// The listener's name.
    pub listener: Arc<str>,
    /// The listener's place in the worker's counters.
    pub slot: usize,
    /// In clear or through TLS.
    pub scheme: Scheme,
    /// Set when the worker drains: the connection ends after its current exchange.
    pub draining: Rc<Cell<bool>>,
    /// Exchanges that have begun and not finished.
    pub running: Cell<usize>,
    /// Exchanges of all connections of the listener and worker, as a metric.
    pub active: Rc<Gauge>,
}

impl Client {
    /// Counts an exchange until the guard is dropped.
    #[must_use]
    pub fn begin(self: &Rc<Self>) -> Busy {
        self.running.set(self.running.get() + 1);
        self.active.increment();
        Busy(self.clone())
    }

    /// Whether an exchange is running.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.running.get() > 0
    }
}

/// An exchange that is running.
#[derive(Debug)]
pub struct Busy(Rc<Client>);

impl Busy {
    /// The same client's, once more.
    #[must_use]
    pub fn again(&self) -> Self {
        self.0.begin()
    }

    /// Whose exchange it is.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.0
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get().saturating_sub(1));
        self.0.active.decrement();
    }
}
