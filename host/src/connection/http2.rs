//! HTTP/2 with a client (RFC 9113): every stream is an exchange of its own, in a task of its own.
//!
//! [`serve`] drives the connection: it reads, starts exchanges, and writes what they have queued. It also decides how the
//! connection ends: idle for too long, draining, or with GOAWAY where the client broke the protocol or did too much of
//! something ([`crate::http2::guard`]).

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Version};

use super::age::Age;
use super::websocket::{self, Translated};
use super::{Client, pinned};
use crate::cache::StoredHead;
use crate::config::Config;
use crate::exchange::body::RequestBody;
use crate::exchange::response::Response;
use crate::exchange::{self, Answer, Interim, Refusal};
use crate::http1::buffer::{Buffered, Read};
use crate::http1::encode::has_no_content;
use crate::http1::head::{self, Connect, Persistence};
use crate::http1::names::Names;
use crate::http1::stream::Stream as Socket;
use crate::http2::frame::Reason;
use crate::http2::guard::Abuse;
use crate::http2::head::{Bounds, RequestHead};
use crate::http2::link::{Content, Ended, Event, Link, Role, Terms};
use crate::http2::stream::{Blocked, By, ResponseLine, Stream, Then};
use crate::server::pace::{Minimum, Pace};
use crate::server::timer::Deadline;
use crate::server::worker::Worker;
use crate::telemetry::families;

/// How long a closing connection waits for the client to have read the last frames.
const LINGER: Duration = Duration::from_secs(2);
/// What a client may still send meanwhile.
const DRAIN: usize = 256 * 1024;
/// How long a client has to answer the announcement that the connection will end.
const ROUND_TRIP: Duration = Duration::from_secs(1);

/// Serves a client until either side closes. `received` is what was read from it already.
pub async fn serve(worker: Rc<Worker>, client: Rc<Client>, stream: Socket, received: BytesMut) {
    let link = {
        let state = worker.state();
        let config = &state.snapshot.config;
        let terms = Terms {
            streams: config.limits.streams,
            bounds: Bounds {
                bytes: config.limits.header_bytes,
                lines: config.limits.headers,
            },
            http2: config.http2.clone(),
        };
        Link::new(Role::Server, Buffered::new(stream, received), terms, &worker.timer)
    };
    let ended = drive(&worker, &client, &link).await;
    match &ended {
        Ended::Closed => {}
        Ended::Io(error) => tracing::debug!(%error, peer = %client.peer, "an HTTP/2 connection broke"),
        Ended::Error(reason, what) => {
            tracing::debug!(%reason, what, peer = %client.peer, "an HTTP/2 connection broke the protocol");
            worker
                .control()
                .metrics()
                .shared_counter(&families::HTTP2_ERRORS, &[&client.listener])
                .increment();
        }
        Ended::Abuse(abuse) => report(&worker, &client, *abuse),
    }
    link.end(ended.reason());
    if !matches!(ended, Ended::Io(_)) {
        close(&worker, &link).await;
    }
}

fn report(worker: &Worker, client: &Client, abuse: Abuse) {
    tracing::warn!(
        reason = abuse.as_str(), peer = %client.peer, listener = %client.listener, "ended an abusive HTTP/2 connection",
    );
    worker
        .control()
        .metrics()
        .shared_counter(&families::HTTP2_ABUSE, &[abuse.as_str()])
        .increment();
}

/// The deadlines of a connection, beside those of its exchanges.
struct Patience {
    header: Duration,
    keep_alive: Duration,
    /// How slowly the client may take what it is sent, all streams together.
    minimum: Minimum,
    /// For what the client is to send.
    incoming: Deadline,
    waiting: Waiting,
    /// For what the client is to take.
    outgoing: Deadline,
    taking: Pace,
    written: u64,
}

/// What the client is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// Nothing: exchanges are running, and have deadlines of their own.
    Nothing,
    /// Settings, or the rest of a header block.
    Head,
    /// A request.
    Request,
    /// An answer to the announcement that the connection will end.
    RoundTrip,
}

/// What a client is held to that takes a response on one stream.
fn taking(config: &Config) -> Minimum {
    Minimum {
        timeout: config.http2.stall,
        ..minimum(config)
    }
}

/// What a client is held to that sends a body or takes what the connection sends.
fn minimum(config: &Config) -> Minimum {
    Minimum {
        rate: config.limits.body_rate,
        ..Minimum::timeout(config.timeouts.body)
    }
}

async fn drive(worker: &Rc<Worker>, client: &Rc<Client>, link: &Link) -> Ended {
    let (mut patience, mut age) = {
        let state = worker.state();
        let config = &state.snapshot.config;
        let patience = Patience {
            header: config.timeouts.header,
            keep_alive: config.timeouts.keep_alive,
            minimum: minimum(config),
            incoming: worker.timer.deadline(),
            waiting: Waiting::Nothing,
            outgoing: worker.timer.deadline(),
            taking: Pace::default(),
            written: 0,
        };
        (patience, Age::new(&worker.timer, config))
    };
    poll_fn(|cx| {
        if client.draining.get() {
            link.leave();
        }
        loop {
            match link.poll(cx) {
                Poll::Ready(Ok(event)) => {
                    if matches!(event, Event::Request { .. }) && age.of_next(&worker.timer) == Persistence::Close {
                        link.leave();
                    }
                    act(worker, client, link, event);
                }
                Poll::Ready(Err(ended)) => return Poll::Ready(ended),
                Poll::Pending => break,
            }
        }
        patience.poll(cx, link)
    })
    .await
}

impl Patience {
    fn poll(&mut self, cx: &mut Context<'_>, link: &Link) -> Poll<Ended> {
        let state = link.state();
        if state.left && link.held() == 0 && !state.unsent {
            return Poll::Ready(Ended::Closed);
        }
        let waiting = match (state.amid_head, state.leaving, state.left, link.held()) {
            (true, ..) => Waiting::Head,
            (_, true, false, _) => Waiting::RoundTrip,
            (_, _, _, 0) => Waiting::Request,
            _ => Waiting::Nothing,
        };
        if waiting != self.waiting {
            self.waiting = waiting;
            match waiting {
                Waiting::Nothing => self.incoming.clear(),
                Waiting::Head => self.incoming.set(self.header),
                Waiting::Request => self.incoming.set(self.keep_alive),
                Waiting::RoundTrip => self.incoming.set(ROUND_TRIP),
            }
        }
        if self.incoming.poll_elapsed(cx).is_ready() {
            match waiting {
                Waiting::RoundTrip => link.left(),
                // Nobody is to believe that a request sent now was looked at.
                Waiting::Request if !state.leaving => link.leave(),
                _ => return Poll::Ready(Ended::Closed),
            }
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if !state.unsent {
            self.outgoing.clear();
            self.taking = Pace::default();
        } else if self.written != state.written || !self.outgoing.is_set() {
            let taken = state.written.saturating_sub(self.written);
            self.taking.passed(self.outgoing.now(), taken);
            self.taking.wait(&self.outgoing, &self.minimum);
        }
        self.written = state.written;
        self.outgoing
            .poll_elapsed(cx)
            .map(|_| Ended::Io(std::io::ErrorKind::TimedOut.into()))
    }
}

fn act(worker: &Rc<Worker>, client: &Rc<Client>, link: &Link, event: Event) {
    match event {
        Event::Request { stream, head, content } => {
            let (worker, client, link) = (worker.clone(), client.clone(), link.clone());
            // A task is moved when it is made and overwritten when it ends, and an exchange is thousands of bytes.
            tokio::task::spawn_local(pinned(|| exchange(worker, client, link, stream, head, content)));
        }
        Event::TooLarge(stream, fault) => {
            let response = exchange::refuse(worker, client, &Refusal::Malformed(fault));
            tokio::task::spawn_local(refuse(worker.clone(), stream, response));
        }
        // The log and the counters know it as any other refusal; the client has had its RST_STREAM.
        Event::Malformed(fault) => drop(exchange::refuse(worker, client, &Refusal::Malformed(fault))),
    }
}

async fn refuse(worker: Rc<Worker>, stream: Stream, response: Response) {
    let taking = taking(&worker.state().snapshot.config);
    let _ = respond(&worker, &stream, response, &Method::GET, taking).await;
}

/// Runs one exchange and writes its answer. (Inlined where it is made: only then is it made in its place.)
#[inline]
async fn exchange(
    worker: Rc<Worker>,
    client: Rc<Client>,
    link: Link,
    stream: Stream,
    head: Box<RequestHead>,
    content: Content,
) {
    let (sending, taking, tunnel_timeout) = {
        let state = worker.state();
        let config = &state.snapshot.config;
        (minimum(config), taking(config), config.timeouts.tunnel)
    };
    let mut head = head;
    let connect = match websocket::translate(&mut head) {
        Translated::No => None,
        // What the client sends is for the tunnel, and none of the request's; the tunnel has a timeout for both directions.
        Translated::WebSocket => Some(stream.body(None, Minimum::timeout(Duration::MAX), &HeaderMap::new())),
        Translated::Unknown => {
            let response = exchange::refuse(&worker, &client, &Refusal::NotImplemented);
            return refuse(worker, stream, response).await;
        }
    };
    let body = match content {
        Content::Follows if connect.is_none() => RequestBody::http2(stream.body(head.length, sending, &head.headers)),
        _ => RequestBody::none(),
    };
    let method = head.method.clone();
    let request = Box::new(head::RequestHead {
        method: head.method,
        uri: head.uri,
        version: Version::HTTP_2,
        names: Names::of(&head.headers),
        headers: head.headers,
        received: Bytes::new(),
        connect: connect.as_ref().map_or(Connect::No, |_| Connect::Extended),
    });

    let answer = {
        let exchange = pin!(exchange::run(
            &worker,
            &client,
            request,
            body,
            Interim::Http2(stream.interim())
        ));
        unless_reset(&stream, exchange).await
    };
    match answer {
        Some(Answer::Response(response) | Answer::Last(response)) => {
            match respond(&worker, &stream, response, &method, taking).await {
                Ok(()) => {}
                Err(Unsent::Broken) => stream.reset(Reason::INTERNAL_ERROR),
                Err(Unsent::Reset) => {}
                Err(Unsent::Slow | Unsent::Stalled(Progress::Elsewhere)) => stream.reset(Reason::ENHANCE_YOUR_CALM),
                Err(Unsent::Stalled(Progress::Nowhere)) => link.abuse(Abuse::ZeroWindow),
            }
        }
        Some(Answer::Tunnel {
            response,
            stream: server,
            received,
        }) => match connect {
            Some(sent) => {
                websocket::accept(&worker, &stream, &response.head().headers);
                drop(response);
                websocket::carry(&worker, &stream, sent, (server, received), tunnel_timeout).await;
            }
            // HTTP/2 has no 101 (RFC 9113 §8.6).
            None => stream.reset(Reason::INTERNAL_ERROR),
        },
        Some(Answer::Close) => stream.reset(Reason::CANCEL),
        None => {}
    }
}

/// The answer, or nothing once the stream is reset: then the exchange is dropped, and its request to the upstream with it.
async fn unless_reset(stream: &Stream, mut exchange: Pin<&mut impl Future<Output = Answer>>) -> Option<Answer> {
    poll_fn(|cx| {
        if stream.poll_reset(cx).is_ready() {
            return Poll::Ready(None);
        }
        exchange.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Why a response was not sent to its end.
enum Unsent {
    /// Its body broke off.
    Broken,
    /// The stream was reset.
    Reset,
    /// The client gave less window than it has to.
    Slow,
    /// The client gave no window for too long.
    Stalled(Progress),
}

/// Whether a client that takes nothing on one stream takes something on another.
enum Progress {
    Elsewhere,
    Nowhere,
}

/// Queues a response, its body as it comes and as the client takes it.
async fn respond(
    worker: &Worker,
    stream: &Stream,
    mut response: Response,
    method: &Method,
    minimum: Minimum,
) -> Result<(), Unsent> {
    let head = response.head();
    let length = response.length();
    let without_content = method == Method::HEAD || has_no_content(head.status);
    let line = ResponseLine {
        status: head.status,
        length: if without_content {
            response.told_length()
        } else {
            length
        },
        date: &worker.timer.date(),
        lines: response.stored_head().map(StoredHead::lines).unwrap_or_default(),
    };
    let then = if without_content || length == Some(0) {
        Then::End
    } else {
        Then::More
    };
    stream.respond(&line, &head.headers, then);
    response.forget_head();
    if then == Then::End {
        return Ok(());
    }
    let mut sending = Sending {
        data: Bytes::new(),
        then: Then::More,
        trailers: None,
        left: length,
        minimum,
        pace: Pace::default(),
        deadline: None,
        blocked: Mark::default(),
    };
    poll_fn(|cx| sending.poll(cx, stream, &mut response)).await
}

/// A response's body under way.
struct Sending {
    data: Bytes,
    then: Then,
    trailers: Option<HeaderMap>,
    /// Of the length that was told, so that the last piece can be the end.
    left: Option<u64>,
    /// How slowly the client may give window.
    minimum: Minimum,
    pace: Pace,
    deadline: Option<Deadline>,
    /// Where the stream has come to wait for its window.
    blocked: Mark,
}

/// A moment of a connection.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    /// In milliseconds of the worker's timer.
    at: u64,
    /// Content that the connection had sent.
    sent: u64,
}

impl Sending {
    fn poll(&mut self, cx: &mut Context<'_>, stream: &Stream, response: &mut Response) -> Poll<Result<(), Unsent>> {
        loop {
            if !self.data.is_empty() || self.then == Then::End {
                if let Some(trailers) = &self.trailers {
                    stream.send_trailers(trailers);
                    return Poll::Ready(Ok(()));
                }
                ready!(self.poll_send(cx, stream))?;
                if self.then == Then::End {
                    return Poll::Ready(Ok(()));
                }
            }
            if stream.poll_reset(cx).is_ready() {
                return Poll::Ready(Err(Unsent::Reset));
            }
            match ready!(response.poll_next(cx)) {
                None => self.then = Then::End,
                Some(Err(_)) => return Poll::Ready(Err(Unsent::Broken)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        self.data = data;
                        if let Some(left) = &mut self.left {
                            *left = left.saturating_sub(self.data.len() as u64);
                            // Trailers need a body of unknown length, so nothing follows.
                            if *left == 0 {
                                self.then = Then::End;
                            }
                        }
                    }
                    Err(frame) => {
                        self.trailers = frame.into_trailers().ok();
                        self.then = Then::End;
                    }
                },
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, stream: &Stream) -> Poll<Result<(), Unsent>> {
        let before = self.data.len();
        let sent = stream.poll_send(cx, &mut self.data, self.then);
        let moved = before - self.data.len();
        // A client that does not read at all is the connection's concern.
        if sent.is_ready() || stream.blocked() == Blocked::Buffer {
            self.pace.passed(stream.now(), moved as u64);
            if let Some(deadline) = &self.deadline {
                deadline.clear();
            }
            return sent.map_err(|reset| match reset.by {
                By::Peer | By::Us => Unsent::Reset,
            });
        }
        let deadline = self.deadline.get_or_insert_with(|| stream.deadline());
        if !deadline.is_set() || moved > 0 {
            self.pace.passed(deadline.now(), moved as u64);
            self.pace.wait(deadline, &self.minimum);
            self.blocked = Mark {
                at: deadline.now(),
                sent: stream.connection_sent(),
            };
        }
        ready!(deadline.poll_elapsed(cx));
        let waited = Duration::from_millis(deadline.now().saturating_sub(self.blocked.at));
        Poll::Ready(Err(if waited < self.minimum.timeout {
            Unsent::Slow
        } else if stream.connection_sent() == self.blocked.sent {
            Unsent::Stalled(Progress::Nowhere)
        } else {
            Unsent::Stalled(Progress::Elsewhere)
        }))
    }
}

/// Closes without losing the last frames: a socket closed with unread input is reset, and the reset may overtake them. So:
/// stop sending, read what still comes for a moment, then close.
async fn close(worker: &Worker, link: &Link) {
    let deadline = worker.timer.deadline();
    deadline.set(LINGER);
    let mut left = DRAIN;
    let mut sent = Sent::Nothing;
    poll_fn(|cx| {
        let late = deadline.poll_elapsed(cx).is_ready();
        link.with_io(|io| {
            if late {
                return Poll::Ready(());
            }
            if sent == Sent::Nothing {
                match io.poll_flush(cx) {
                    Poll::Ready(Ok(())) => sent = Sent::Frames,
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => {}
                }
            }
            if sent == Sent::Frames {
                match io.poll_shutdown(cx) {
                    Poll::Ready(Ok(())) => sent = Sent::End,
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => {}
                }
            }
            loop {
                io.input().clear();
                match io.poll_read_head(cx) {
                    Poll::Ready(Ok(Read::Data)) => match left.checked_sub(io.input().len()) {
                        Some(rest) => left = rest,
                        None => return Poll::Ready(()),
                    },
                    Poll::Ready(_) if sent == Sent::End => return Poll::Ready(()),
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    // The client has closed its side; what is left to send still goes.
                    Poll::Ready(Ok(Read::End)) | Poll::Pending => return Poll::Pending,
                }
            }
        })
    })
    .await;
}

/// How far the end of a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Nothing,
    Frames,
    End,
}
