//! What a connection holds while it lasts: its bytes, its deadline, and how far the request that is running has come.

use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::config::Config;
use crate::http1::buffer::{Buffered, Read};
use crate::http1::decode::Decoder;
use crate::server::pace::{Minimum, Pace};
use crate::server::timer::{Deadline, Elapsed};

/// The connection, shared by its [`Conversation`](super::Conversation), which owns it, and the body of the request that is running.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) io: Buffered,
    pub(super) incoming: Decoder,
    pub(super) expectation: Expectation,
    pub(super) deadline: Deadline,
    pub(super) waits: Rc<Waits>,
    /// How it sends the body of the request that is running.
    pub(super) pace: Pace,
    pub(super) receiving: Receiving,
}

/// How long a client is waited for, as the configuration says. Connections share it: most of them are idle, and none is to be
/// larger than it has to be.
#[derive(Debug)]
pub struct Waits {
    pub(super) header: Duration,
    pub(super) keep_alive: Duration,
    pub(super) tunnel: Duration,
    /// What a client that sends a body or takes a response is held to.
    pub(super) minimum: Minimum,
    /// How long a client that has ended its side is still answered.
    fin: Duration,
}

impl Waits {
    /// What a configuration says.
    #[must_use]
    pub fn new(config: &Config) -> Rc<Self> {
        let timeouts = &config.timeouts;
        Rc::new(Self {
            header: timeouts.header,
            keep_alive: timeouts.keep_alive,
            tunnel: timeouts.tunnel,
            minimum: Minimum {
                rate: config.limits.body_rate,
                ..Minimum::timeout(timeouts.body)
            },
            fin: timeouts.client_fin,
        })
    }
}

/// Whether the client can still send something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receiving {
    Open,
    /// Its side has ended (FIN): it is gone, or has just nothing more to ask.
    Ended,
}

impl Link {
    /// Ready when nobody is left to answer. To be asked while there is nothing to write; it costs no system call while the
    /// client says nothing.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.receiving == Receiving::Open {
            // What follows the request is the next one, and is left where it is.
            if !self.incoming.is_done() || !self.io.input().is_empty() {
                return Poll::Pending;
            }
            match self.io.poll_read_head(cx) {
                Poll::Ready(Ok(Read::Data)) | Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(Read::End)) => self.receiving = Receiving::Ended,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
            }
        }
        if !self.deadline.is_set() {
            self.deadline.set(self.waits.fin);
        }
        self.deadline.poll_elapsed(cx).map(|Elapsed| ())
    }
}

/// `Expect: 100-continue` (RFC 9110 §10.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expectation {
    None,
    /// The client waits; it is told to go on when its body is first asked for.
    Continue,
}
