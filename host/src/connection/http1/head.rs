//! The next request head of a connection, or why there is none.

use std::future::poll_fn;
use std::task::{Poll, ready};

use super::{Act, Conversation, Next, Place, PriorKnowledge};
use crate::exchange::Refusal;
use crate::http1::buffer::Read;
use crate::http1::head::{Bounds, HeadScan, Malformed, Progress};
use crate::http2::frame::{Preface, preface};

/// What a client has said.
pub(super) enum Head {
    /// Something that is to be acted on.
    Then(Act<Next>),
    /// Not HTTP/1.1, but the first bytes of HTTP/2.
    Http2,
    /// The client closed between requests, or said nothing for too long: nobody to answer.
    Gone,
}

/// The next request head.
pub(super) async fn read_head(conversation: &mut Conversation) -> Head {
    let bounds = {
        let limits = &conversation.worker.state().snapshot.config.limits;
        Bounds {
            bytes: limits.header_bytes,
            lines: limits.headers,
            target: limits.target,
        }
    };
    let mut scan = HeadScan::default();
    let mut begun = false;
    let place = std::mem::replace(&mut conversation.place, Place::Later);
    let mut prior = std::mem::replace(&mut conversation.prior, PriorKnowledge::Refused);
    {
        let link = conversation.link.borrow();
        link.deadline.set(match place {
            Place::First => link.waits.header,
            Place::Later => link.waits.keep_alive,
        });
    }
    poll_fn(|cx| {
        let shared = conversation.link.clone();
        let mut link = shared.borrow_mut();
        loop {
            if prior == PriorKnowledge::Accepted {
                match preface(link.io.input()) {
                    Preface::Whole => return Poll::Ready(Head::Http2),
                    Preface::Begun => {}
                    Preface::None => prior = PriorKnowledge::Refused,
                }
            }
            let progress = match prior {
                // Too short to tell: no request of HTTP/1.1 is complete in it either.
                PriorKnowledge::Accepted => Ok(Progress::Idle),
                PriorKnowledge::Refused => scan.next(link.io.input(), &bounds),
            };
            match progress {
                Ok(Progress::Complete(head)) => {
                    link.deadline.clear();
                    return Poll::Ready(Head::Then(conversation.exchange(head)));
                }
                Ok(Progress::Begun) if !begun => {
                    begun = true;
                    link.deadline.set(link.waits.header);
                }
                Ok(Progress::Begun | Progress::Idle) => {}
                Err(fault) => {
                    let refusal = Refusal::Malformed(fault);
                    return Poll::Ready(Head::Then(conversation.refuse(refusal)));
                }
            }
            match link.io.poll_read_head(cx) {
                Poll::Ready(Ok(Read::Data)) => {}
                Poll::Ready(Ok(Read::End)) if begun => {
                    let refusal = Refusal::Malformed(Malformed::Truncated);
                    return Poll::Ready(Head::Then(conversation.refuse(refusal)));
                }
                Poll::Ready(Ok(Read::End) | Err(_)) => return Poll::Ready(Head::Gone),
                Poll::Pending => {
                    if !begun {
                        link.io.rest();
                    }
                    // A draining worker waits for requests that have begun, not for those that may never come.
                    if !begun && conversation.client.draining.get() {
                        return Poll::Ready(Head::Gone);
                    }
                    ready!(link.deadline.poll_elapsed(cx));
                    return Poll::Ready(if begun {
                        Head::Then(conversation.refuse(Refusal::RequestTimeout))
                    } else {
                        Head::Gone
                    });
                }
            }
        }
    })
    .await
}
