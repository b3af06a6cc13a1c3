//! A response on its way to the client, and with it the exchange, which ends once the client has it or is gone.

use std::sync::LazyLock;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use scopeguard::ScopeGuard;

use super::Exchange;
use super::finish::Delivery;
use crate::cache::{Lent, StoredHead};
use crate::http1::buffer::FilePart;
use crate::http1::head::ResponseHead;
use crate::upstream::Fault;

/// A response. Dropping it finishes the exchange: the log line is written and the metrics are counted, whether the client took all of
/// it or not.
pub struct Response(ScopeGuard<Box<Exchange>, fn(Box<Exchange>)>);

impl Response {
    /// What an exchange has settled on.
    pub(super) fn of(exchange: Box<Exchange>) -> Self {
        Self(scopeguard::guard(exchange, |exchange| {
            let delivery = if exchange.outgoing.is_over() {
                Delivery::Whole
            } else {
                Delivery::Partial
            };
            exchange.finish(delivery);
        }))
    }

    /// Status and fields; the fields of a stored head are not among them.
    #[must_use]
    pub fn head(&self) -> &ResponseHead {
        static NOTHING: LazyLock<ResponseHead> = LazyLock::new(ResponseHead::default);
        self.0.subject.response.as_ref().unwrap_or_else(|| &NOTHING)
    }

    /// The head of a stored response, sent as it is before the fields.
    #[must_use]
    pub fn stored_head(&self) -> Option<&StoredHead> {
        self.0.outgoing.stored_head()
    }

    /// Lets go of what nobody needs once the head is on its way: a body may take hours.
    pub fn forget_head(&mut self) {
        self.0.outgoing.set_head(None);
        let head = self.0.subject.response.as_mut();
        if let Some(head) = head.filter(|head| !head.headers.is_empty()) {
            head.headers = HeaderMap::new();
        }
    }

    /// The length of the content that is sent; `None` where nobody knows.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.0.outgoing.length()
    }

    /// The length that is told although no content follows.
    #[must_use]
    pub fn told_length(&self) -> Option<u64> {
        self.0.outgoing.told_length()
    }

    /// The next frame for the client.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let frame = ready!(self.0.outgoing.poll_next(cx));
        if let Some(Err(fault)) = &frame {
            self.0.refusal = Some(fault.as_str());
        }
        Poll::Ready(frame)
    }

    /// All of the content, where the cache lends it and it has at most so many bytes; else it comes as a frame.
    pub fn next_lent(&mut self, most: usize) -> Option<Lent> {
        self.0.outgoing.next_lent(most)
    }

    /// The next part of a stored body, where it can go from its file to a socket as it is; else it comes as a frame.
    pub fn next_file(&mut self) -> Option<FilePart> {
        self.0.outgoing.next_file()
    }
}
