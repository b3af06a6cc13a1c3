//! What an exchange has of its HTTP/1.1 client: the request's body, and where interim responses go.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};
use http_body::Frame;

use super::link::{Expectation, Link};
use crate::exchange::body::RequestBody;
use crate::http1::decode::{Decoder, Piece};
use crate::http1::encode;
use crate::http1::framing::Framing;
use crate::http1::head::RequestHead;
use crate::server::pace::Pace;
use crate::upstream::ClientFault;

pub(super) fn prepare(link: &Rc<RefCell<Link>>, framing: Framing, head: &RequestHead) -> RequestBody {
    let mut borrowed = link.borrow_mut();
    borrowed.incoming = Decoder::new(framing);
    borrowed.expectation = Expectation::None;
    borrowed.pace = Pace::default();
    if framing == Framing::None {
        return RequestBody::none();
    }
    let expects = head.headers.get(http::header::EXPECT);
    if head.version >= Version::HTTP_11
        && expects.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    {
        borrowed.expectation = Expectation::Continue;
    }
    let length = match framing {
        Framing::Length(length) => Some(length),
        _ => None,
    };
    RequestBody::http1(ClientBody {
        link: link.clone(),
        length,
    })
}

/// A request body as the exchange sees it.
#[derive(Debug)]
pub struct ClientBody {
    link: Rc<RefCell<Link>>,
    length: Option<u64>,
}

impl ClientBody {
    /// `Content-Length`, where the client sent one.
    #[must_use]
    pub fn told_length(&self) -> Option<u64> {
        self.length
    }

    /// The next frame, within the body timeout.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ClientFault>>> {
        let link = &mut *self.link.borrow_mut();
        if link.expectation == Expectation::Continue {
            link.expectation = Expectation::None;
            link.io.out().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            if let Poll::Ready(Err(_)) = link.io.poll_flush(cx) {
                return Poll::Ready(Some(Err(ClientFault::Gone)));
            }
        }
        match link.incoming.poll(&mut link.io, cx) {
            Poll::Ready(piece) => {
                link.deadline.clear();
                Poll::Ready(match piece {
                    Ok(Piece::Data(data)) => {
                        link.pace.passed(link.deadline.now(), data.len() as u64);
                        Some(Ok(Frame::data(data)))
                    }
                    Ok(Piece::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
                    Ok(Piece::End) => None,
                    Err(error) => Some(Err(error.into())),
                })
            }
            Poll::Pending => {
                if !link.deadline.is_set() {
                    link.pace.wait(&link.deadline, &link.waits.minimum);
                }
                ready!(link.deadline.poll_elapsed(cx));
                link.deadline.clear();
                Poll::Ready(Some(Err(ClientFault::Timeout)))
            }
        }
    }
}

/// Where interim responses go (RFC 9110 §15.2).
#[derive(Debug)]
pub struct ClientInterim(pub(super) Rc<RefCell<Link>>);

impl ClientInterim {
    /// Passes one on; a client that takes nothing at the moment gets it with the final response.
    pub fn send(&self, cx: &mut Context<'_>, status: StatusCode, headers: &HeaderMap) {
        let link = &mut *self.0.borrow_mut();
        encode::interim_head(link.io.out(), status, headers);
        // A client that is gone shows itself where it is read from.
        let _ = link.io.poll_flush(cx);
    }
}
