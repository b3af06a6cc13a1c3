//! One client connection, made into exchanges: over HTTP/1.1 or HTTP/2; or carried as bytes.

mod age;
pub mod http1;
pub mod http2;
pub mod tcp;
pub mod tunnel;
mod websocket;

use std::cell::Cell;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;

use crate::allocator::on_heap;
use crate::config::{self, Redirect};
use crate::exchange::subject::Scheme;
use crate::proxy_protocol::{Addresses, Announced};
use crate::server::clients::Admitted;
use crate::server::tls::client::Identity;
use crate::telemetry::Gauge;

/// A future on the heap that is made there: of the bytes that `Box::pin` copies, only the arguments mean anything yet.
fn pinned<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::into_pin(on_heap(make))
}

/// What is known about a client from its connection.
#[derive(Debug)]
pub struct Client {
    /// The other end, or whom its PROXY header names.
    pub peer: SocketAddr,
    /// Its share of what its network may have.
    pub place: Admitted,
    /// Where it connected to, where servers are told.
    pub destination: Option<SocketAddr>,
    /// The certificate that it has shown, as servers are told.
    pub identity: Option<Identity>,
    /// The listener's name.
    pub listener: Arc<str>,
    /// The listener's place in the worker's counters.
    pub slot: usize,
    /// In clear or through TLS.
    pub scheme: Scheme,
    /// What the listener asks of requests and adds to responses.
    pub policy: Rc<Policy>,
    /// Set when the worker drains: the connection ends after its current exchange.
    pub draining: Rc<Cell<bool>>,
    /// Exchanges that have begun and not finished.
    pub running: Cell<usize>,
    /// Exchanges of all connections of the listener and worker, as a metric.
    pub active: Rc<Gauge>,
}

/// A listener's part in its exchanges.
#[derive(Debug)]
pub struct Policy {
    /// Where requests in clear are sent instead.
    pub redirect_https: Option<Redirect>,
    /// `Strict-Transport-Security`.
    pub hsts: Option<HeaderValue>,
}

impl Policy {
    /// A listener's.
    #[must_use]
    pub fn of(listener: &config::Listener) -> Self {
        let hsts = listener.tls.as_ref().and_then(|tls| tls.hsts.as_ref());
        Self {
            redirect_https: listener.redirect_https,
            hsts: hsts.map(|hsts| hsts.value.clone()),
        }
    }
}

impl Client {
    /// What a PROXY header says of the connection.
    #[must_use]
    pub fn announced(&self) -> Announced {
        match self.destination {
            Some(destination) => Announced::Client(Addresses {
                source: self.peer,
                destination,
            }),
            None => Announced::Nothing,
        }
    }

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
