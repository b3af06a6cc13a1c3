//! A worker's idle connections to one server.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::http2::Links;
use crate::http1::buffer::Buffered;
use crate::server::timer::{Deadline, Timer};

/// A connection to a server, with the deadline that its exchanges use one after another.
#[derive(Debug)]
pub struct Connection {
    /// The stream and its buffers.
    pub io: Buffered,
    /// For whatever stage the connection is in.
    pub deadline: Deadline,
}

/// Idle connections to one server, the most recently used on top: the others grow old and are closed.
#[derive(Debug)]
pub struct Pool {
    idle: RefCell<Vec<Idle>>,
    most: usize,
    /// Milliseconds.
    keep: u64,
    timer: Timer,
    /// To a server that speaks HTTP/2: shared, not idle.
    links: Rc<Links>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: u64,
}

impl Pool {
    /// A pool that keeps at most `most` connections, each for at most `keep`.
    #[must_use]
    pub fn new(most: usize, keep: Duration, timer: &Timer) -> Rc<Self> {
        let keep = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
        Rc::new(Self {
            idle: RefCell::default(),
            most,
            keep,
            timer: timer.clone(),
            links: Rc::default(),
        })
    }

    /// The connections of a server that speaks HTTP/2.
    #[must_use]
    pub fn links(&self) -> Rc<Links> {
        self.links.clone()
    }

    /// An idle connection that the server has neither closed nor spoken on.
    #[must_use]
    pub fn take(&self) -> Option<Connection> {
        loop {
            let mut idle = self.idle.borrow_mut().pop()?;
            if self.timer.now().saturating_sub(idle.since) <= self.keep && idle.connection.io.is_quiet() {
                return Some(idle.connection);
            }
        }
    }

    /// Keeps a connection that stands behind a complete response.
    pub fn put(&self, mut connection: Connection) {
        connection.deadline.clear();
        connection.io.rest();
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.most {
            idle.push(Idle {
                connection,
                since: self.timer.now(),
            });
        }
    }

    /// Closes connections that have been idle for too long, or that the server has closed.
    pub fn sweep(&self) {
        let now = self.timer.now();
        let keep = self.keep;
        self.idle
            .borrow_mut()
            .retain_mut(|idle| now.saturating_sub(idle.since) <= keep && idle.connection.io.is_quiet());
    }

    /// How many connections are idle.
    #[must_use]
    pub fn len(&self) -> usize {
        self.idle.borrow().len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
