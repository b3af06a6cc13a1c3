//! One request and its response on one connection.
//!
//! The request body is sent while the response is awaited, and even while it is read: a server may answer early, and a
//! refusal that comes before the last byte of an upload is still passed on.

use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode};
use http_body::Frame;

use super::Fault;
use super::pool::{Connection, Pool};
use crate::exchange::body::RequestBody;
use crate::http1::buffer::Read;
use crate::http1::decode::{Decoder, Piece};
use crate::http1::encode;
use crate::http1::framing::{self, Framing};
use crate::http1::head::{self, Bounds, Malformed, Persistence, ResponseHead};
use crate::http1::stream::Stream;

/// Bounds on what a server may send as a head: 64 KiB in 256 lines.
const BOUNDS: Bounds = Bounds {
    bytes: 64 * 1024,
    lines: head::MAX_HEADERS,
    target: 0,
};

/// Interim responses to one request; a server that sends more means no good.
const INTERIM: u32 = 32;

/// A request under way.
#[derive(Debug)]
pub struct Call {
    /// Gone once it is back in the pool.
    connection: Option<Connection>,
    pool: Rc<Pool>,
    origin: Origin,
    outgoing: Outgoing,
    incoming: Decoder,
    persistence: Persistence,
    /// Between two reads of the response body.
    idle: Duration,
}

/// Where the connection came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Made for this request.
    Fresh,
    /// Kept from an earlier one, so that the server may have closed it meanwhile.
    Kept,
}

#[derive(Debug)]
enum Outgoing {
    Body { body: RequestBody, coding: Framing },
    Flush,
    Done,
}

/// What follows once everything queued has been written.
#[derive(Clone, Copy)]
enum Then {
    /// The request is complete.
    Done,
    /// There is room for more of the body.
    Go,
    /// The client has no more at the moment.
    Wait,
}

/// How the response's body arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// No body.
    Nothing,
    /// So many bytes.
    Length(u64),
    /// Nobody knows how many.
    Unknown,
}

impl Call {
    /// Queues a request: `write_head` writes the request line and all fields, `coding` is how the body goes.
    #[must_use]
    pub fn start(
        mut connection: Connection,
        origin: Origin,
        pool: Rc<Pool>,
        idle: Duration,
        body: RequestBody,
        coding: Framing,
        write_head: impl FnOnce(&mut BytesMut),
    ) -> Self {
        write_head(connection.io.out());
        let outgoing = if coding == Framing::None {
            Outgoing::Flush
        } else {
            Outgoing::Body { body, coding }
        };
        let incoming = Decoder::new(Framing::None);
        Self {
            connection: Some(connection),
            pool,
            origin,
            outgoing,
            incoming,
            persistence: Persistence::Close,
            idle,
        }
    }

    /// The response head, within `limit` from the moment the request is sent. `interim` is given the interim responses that come
    /// before it, but for 100: Weir answers its client's expectations itself and passes none on.
    ///
    /// # Errors
    /// The fault; [`Fault::retry`] says whether another server may be tried.
    pub async fn response(
        &mut self,
        method: &Method,
        limit: Duration,
        mut interim: impl FnMut(&mut Context<'_>, ResponseHead),
    ) -> Result<(ResponseHead, Expected), Fault> {
        if let Some(connection) = &self.connection {
            connection.deadline.set(limit);
        }
        let mut left = INTERIM;
        let head = std::future::poll_fn(|cx| self.poll_head(cx, &mut left, &mut interim)).await?;
        let framing = match head.status {
            StatusCode::SWITCHING_PROTOCOLS => Framing::None,
            _ => framing::of_response(method, head.status, head.version, &head.headers).map_err(Fault::Malformed)?,
        };
        self.incoming = Decoder::new(framing);
        self.persistence = match framing {
            Framing::UntilClose => Persistence::Close,
            // Whoever frames content that cannot be there may send it as well, and it would answer the next request.
            _ if head.status == StatusCode::NO_CONTENT && announces_content(&head.headers) => Persistence::Close,
            _ => head::persistence(head.version, &head.headers),
        };
        let expected = match framing {
            Framing::None => Expected::Nothing,
            Framing::Length(length) => Expected::Length(length),
            Framing::Chunked | Framing::UntilClose => Expected::Unknown,
        };
        if head.status != StatusCode::SWITCHING_PROTOCOLS {
            self.arm();
            self.release_when_done();
        }
        Ok((head, expected))
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        left: &mut u32,
        interim: &mut impl FnMut(&mut Context<'_>, ResponseHead),
    ) -> Poll<Result<ResponseHead, Fault>> {
        loop {
            let sending = self.poll_outgoing(cx)?;
            let Some(connection) = &mut self.connection else {
                return Poll::Ready(Err(Fault::Closed));
            };
            if !connection.io.input().is_empty()
                && let Some(head) = head::parse_response(connection.io.input(), &BOUNDS).map_err(Fault::Malformed)?
            {
                if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
                    *left = left.checked_sub(1).ok_or(Fault::Malformed(Malformed::StartLine))?;
                    if head.status != StatusCode::CONTINUE {
                        interim(cx, head);
                    }
                    continue;
                }
                return Poll::Ready(Ok(head));
            }
            match connection.io.poll_read_head(cx) {
                Poll::Ready(Ok(Read::Data)) => {}
                Poll::Ready(Ok(Read::End)) => return Poll::Ready(Err(self.ended())),
                Poll::Ready(Err(error)) => {
                    let fault = self.ended();
                    return Poll::Ready(Err(if matches!(fault, Fault::Stale) {
                        fault
                    } else {
                        Fault::Io(error)
                    }));
                }
                Poll::Pending => {
                    let late = connection.deadline.poll_elapsed(cx).is_ready();
                    // While the body is being sent the client sets the pace, and has a timeout of its own.
                    if late && sending.is_ready() {
                        return Poll::Ready(Err(Fault::Timeout));
                    }
                    if late {
                        connection.deadline.set(self.idle);
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    /// What it means that the server closed the connection before a response.
    fn ended(&mut self) -> Fault {
        let silent = self
            .connection
            .as_mut()
            .is_none_or(|connection| connection.io.input().is_empty());
        if silent && self.origin == Origin::Kept {
            Fault::Stale
        } else {
            Fault::Closed
        }
    }

    /// Sends what is queued and what the client's body gives.
    fn poll_outgoing(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Fault> {
        loop {
            let Some(Connection { io, .. }) = &mut self.connection else {
                return Ok(Poll::Ready(()));
            };
            let (flush, then) = match &mut self.outgoing {
                Outgoing::Done => return Ok(Poll::Ready(())),
                Outgoing::Flush => (io.poll_flush(cx), Then::Done),
                Outgoing::Body { .. } if io.is_full() => (io.poll_flush(cx), Then::Go),
                Outgoing::Body { body, coding } => match body.poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => {
                        match frame.into_data() {
                            Ok(data) => encode::data(io, *coding, data),
                            Err(frame) => {
                                encode::end(io, *coding, frame.into_trailers().ok().as_ref());
                                self.outgoing = Outgoing::Flush;
                            }
                        }
                        continue;
                    }
                    Poll::Ready(Some(Err(fault))) => return Err(Fault::Client(fault)),
                    Poll::Ready(None) => {
                        encode::end(io, *coding, None);
                        self.outgoing = Outgoing::Flush;
                        continue;
                    }
                    Poll::Pending => (io.poll_flush(cx), Then::Wait),
                },
            };
            match (flush, then) {
                (Poll::Ready(Ok(())), Then::Done) => self.outgoing = Outgoing::Done,
                (Poll::Ready(Ok(())), Then::Go) => {}
                // A server that refuses early closes its reading side: the response may still be there to be read.
                (Poll::Ready(Err(_)), _) => self.abandon(),
                (Poll::Ready(Ok(())), Then::Wait) | (Poll::Pending, _) => return Ok(Poll::Pending),
            }
        }
    }

    /// Stops sending; the connection cannot be used again.
    fn abandon(&mut self) {
        self.outgoing = Outgoing::Done;
        self.persistence = Persistence::Close;
    }

    /// The next frame of the response's body; `None` when it is complete, and the connection back in its pool.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<bytes::Bytes>, Fault>>> {
        if !matches!(self.outgoing, Outgoing::Done) {
            // A fault on the client's side shows itself there; here it only ends the sending.
            if self.poll_outgoing(cx).is_err() {
                self.abandon();
            }
        }
        let Some(connection) = &mut self.connection else {
            return Poll::Ready(None);
        };
        match self.incoming.poll(&mut connection.io, cx) {
            Poll::Ready(Ok(Piece::Data(data))) => {
                self.arm();
                self.release_when_done();
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Poll::Ready(Ok(Piece::Trailers(trailers))) => {
                self.release_when_done();
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            Poll::Ready(Ok(Piece::End)) => {
                self.release_when_done();
                self.connection = None;
                Poll::Ready(None)
            }
            Poll::Ready(Err(error)) => {
                self.connection = None;
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Pending => {
                ready!(connection.deadline.poll_elapsed(cx));
                self.connection = None;
                Poll::Ready(Some(Err(Fault::Timeout)))
            }
        }
    }

    /// Whether the whole response has been read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.incoming.is_done()
    }

    fn arm(&self) {
        if let Some(connection) = &self.connection {
            connection.deadline.set(self.idle);
        }
    }

    /// The connection goes back as soon as both messages are complete and nothing was sent beyond them.
    fn release_when_done(&mut self) {
        if !self.incoming.is_done() || !matches!(self.outgoing, Outgoing::Done) {
            return;
        }
        if let Some(mut connection) = self.connection.take()
            && self.persistence == Persistence::KeepAlive
            && connection.io.input().is_empty()
        {
            self.pool.put(connection);
        }
    }

    /// The request body, where not a byte of it has been taken, so that another server can have it.
    #[must_use]
    pub fn into_untouched_body(self) -> Option<RequestBody> {
        match self.outgoing {
            Outgoing::Body { body, .. } if body.is_untouched() => Some(body),
            _ => None,
        }
    }

    /// The stream behind a 101, and what the server has sent on it.
    #[must_use]
    pub fn into_tunnel(mut self) -> Option<(Stream, BytesMut)> {
        self.connection.take().map(|connection| connection.io.into_parts())
    }
}

/// Whether a head frames content of at least one byte.
fn announces_content(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0")
}
