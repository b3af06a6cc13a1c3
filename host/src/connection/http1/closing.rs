//! The end of a connection, and the rest of a body that nobody reads: how much more of a client is still read, and for how long.

use std::cell::RefCell;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use super::Next;
use super::link::{Expectation, Link};
use crate::http1::buffer::Read;
use crate::http1::decode::Piece;
use crate::server::timer::Elapsed;

/// What a client may still send of a body that nobody reads, before the connection is closed instead.
const DRAIN: u64 = 256 * 1024;
/// How long a closing connection waits for the client to have read the answer.
const LINGER: Duration = Duration::from_secs(2);

/// Whether what is left of the request body is worth reading to keep the connection. A client that still waits for its
/// 100 will not send it, and one cannot know whether it does.
pub(super) fn may_drain(link: &Link) -> bool {
    link.incoming.is_done()
        || (link.expectation == Expectation::None && link.incoming.remaining().is_none_or(|left| left <= DRAIN))
}

/// Reads over the rest of a request body.
pub(super) async fn drain(link: &RefCell<Link>) -> Next {
    let mut left = DRAIN;
    link.borrow().deadline.set(LINGER);
    let drained = poll_fn(|cx| {
        let link = &mut *link.borrow_mut();
        loop {
            match link.incoming.poll(&mut link.io, cx) {
                Poll::Ready(Ok(Piece::End)) => return Poll::Ready(true),
                Poll::Ready(Ok(Piece::Data(data))) if (data.len() as u64) < left => left -= data.len() as u64,
                Poll::Ready(Ok(Piece::Trailers(_))) => {}
                Poll::Ready(_) => return Poll::Ready(false),
                Poll::Pending => return link.deadline.poll_elapsed(cx).map(|Elapsed| false),
            }
        }
    })
    .await;
    link.borrow().deadline.clear();
    if drained { Next::Again } else { Next::Close }
}

/// Closes without losing the answer: a socket closed with unread input is reset, and the reset may overtake the answer
/// (RFC 9112 §9.6). So: stop sending, read what still comes for a moment, then close.
pub(super) async fn close(link: &RefCell<Link>) {
    link.borrow().deadline.set(LINGER);
    let mut left = DRAIN;
    let mut shut = false;
    poll_fn(|cx| {
        let link = &mut *link.borrow_mut();
        loop {
            if !shut {
                match link.io.poll_shutdown(cx) {
                    Poll::Ready(Ok(())) => shut = true,
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => return link.deadline.poll_elapsed(cx).map(|Elapsed| ()),
                }
            }
            match link.io.poll_read_head(cx) {
                Poll::Ready(Ok(Read::Data)) => {
                    let read = link.io.input().len() as u64;
                    link.io.input().clear();
                    if read >= left {
                        return Poll::Ready(());
                    }
                    left -= read;
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return link.deadline.poll_elapsed(cx).map(|Elapsed| ()),
            }
        }
    })
    .await;
}
