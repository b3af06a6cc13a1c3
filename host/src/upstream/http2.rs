//! HTTP/2 to servers (RFC 9113): connections that many requests share, and one request on a stream of one.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Method, Version};
use http_body::Frame;

use super::call::Expected;
use super::far::{Far, OnStream};
use super::pool::Connection;
use super::{ClientFault, Fault};
use crate::config::Http2;
use crate::exchange::body::RequestBody;
use crate::http1::encode::has_no_content;
use crate::http1::framing::content_length;
use crate::http1::head::{Malformed, ResponseHead};
use crate::http2::frame::Reason;
use crate::http2::head::Bounds;
use crate::http2::link::{ConnectProtocol, Ended, Link, Role, Terms};
use crate::http2::stream::{Body, BodyEnd, By, RequestLine, Reset, Stream, Then};
use crate::server::pace::Minimum;
use crate::server::timer::{Deadline, Timer};

/// Bounds on what a server may send as a head: 64 KiB in 256 fields.
const BOUNDS: Bounds = Bounds {
    bytes: 64 * 1024,
    lines: 256,
};

/// A worker's connections to one server.
#[derive(Debug, Default)]
pub struct Links {
    links: RefCell<Vec<Link>>,
    /// Held while a connection is made: requests that come meanwhile share it.
    opening: tokio::sync::Mutex<()>,
}

impl Links {
    /// A stream for a request whose head is `head`, on a connection that is there, or on one that `connect` makes.
    ///
    /// # Errors
    /// What `connect` fails with.
    pub async fn open<F>(
        &self,
        head: &RequestHead,
        then: Then,
        timer: &Timer,
        idle: Duration,
        connect: impl FnOnce() -> F,
    ) -> Result<Stream, Fault>
    where
        F: Future<Output = Result<Connection, Fault>>,
    {
        if let Some(stream) = self.stream(head, then) {
            return Ok(stream);
        }
        let _opening = self.opening.lock().await;
        if let Some(stream) = self.stream(head, then) {
            return Ok(stream);
        }
        let link = start(connect().await?, timer, idle);
        self.links.borrow_mut().push(link.clone());
        head.send(&link, then).ok_or(Fault::Closed)
    }

    /// A stream for an extended CONNECT whose head is `head` (RFC 8441 §4), once the server has said that it takes any.
    ///
    /// # Errors
    /// What `connect` fails with, or [`Fault::ConnectTimeout`] when the server says nothing for `limit`.
    pub async fn open_websocket<F>(
        &self,
        head: &RequestHead,
        timer: &Timer,
        limit: Duration,
        idle: Duration,
        connect: impl Fn() -> F,
    ) -> Result<Websocket, Fault>
    where
        F: Future<Output = Result<Connection, Fault>>,
    {
        // The settings are a connection's, so that the first one that is there speaks for the server.
        let known = self.links.borrow().iter().find(|link| link.is_open()).cloned();
        if let Some(link) = known {
            match told(&link, timer, limit).await? {
                ConnectProtocol::Unknown if link.is_open() => return Ok(Websocket::Unknown),
                ConnectProtocol::Unknown => {}
                ConnectProtocol::Taken => {
                    if let Some(stream) = self.stream(head, Then::More) {
                        return Ok(Websocket::Stream(stream));
                    }
                }
            }
        }
        let link = start(connect().await?, timer, idle);
        self.links.borrow_mut().push(link.clone());
        match told(&link, timer, limit).await? {
            ConnectProtocol::Unknown if link.is_open() => Ok(Websocket::Unknown),
            ConnectProtocol::Unknown => Err(Fault::Closed),
            ConnectProtocol::Taken => head.send(&link, Then::More).map(Websocket::Stream).ok_or(Fault::Closed),
        }
    }

    fn stream(&self, head: &RequestHead, then: Then) -> Option<Stream> {
        let mut links = self.links.borrow_mut();
        links.retain(Link::is_open);
        links.iter().find_map(|link| head.send(link, then))
    }
}

/// What a server makes of an extended CONNECT.
#[derive(Debug)]
pub enum Websocket {
    /// It was sent one.
    Stream(Stream),
    /// It has not said that it takes any.
    Unknown,
}

async fn told(link: &Link, timer: &Timer, limit: Duration) -> Result<ConnectProtocol, Fault> {
    let told = poll_fn(|cx| link.poll_connect_protocol(cx));
    let told = timer.deadline().within(limit, told).await;
    told.map_err(|_| Fault::ConnectTimeout)
}

/// Starts to speak HTTP/2 on a connection, driven by a task of its own.
fn start(connection: Connection, timer: &Timer, idle: Duration) -> Link {
    // Limits on abuse are for clients; a server that means harm has easier ways.
    let unlimited = u32::MAX;
    let terms = Terms {
        streams: 0,
        bounds: BOUNDS,
        http2: Http2 {
            resets: unlimited,
            stream_errors: unlimited,
            pings: unlimited,
            settings: unlimited,
            window_updates: unlimited,
            priorities: unlimited,
            empty_frames: unlimited,
            ..Http2::default()
        },
    };
    let Connection { io, deadline } = connection;
    let link = Link::new(Role::Client, io, terms, timer);
    tokio::task::spawn_local(drive(link.clone(), deadline, idle));
    link
}

async fn drive(link: Link, deadline: Deadline, idle: Duration) {
    deadline.clear();
    let ended = poll_fn(|cx| {
        loop {
            match link.poll(cx) {
                // Servers open no streams.
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(ended)) => return Poll::Ready(ended),
                Poll::Pending => break,
            }
        }
        if link.held() > 0 {
            deadline.clear();
            return Poll::Pending;
        }
        if !link.is_open() {
            return Poll::Ready(Ended::Closed);
        }
        if !deadline.is_set() {
            deadline.set(idle);
        }
        deadline.poll_elapsed(cx).map(|_| Ended::Closed)
    })
    .await;
    if let Ended::Error(reason, what) = &ended {
        tracing::debug!(%reason, what, "a server broke HTTP/2");
    }
    link.end(ended.reason());
    link.last_words();
}

/// A request head as lines of HTTP/1.1, as it is written for every server; on the stream its lines become fields.
#[derive(Debug)]
pub struct RequestHead {
    lines: BytesMut,
    /// `https` or `http`.
    scheme: &'static str,
    trailers: AcceptsTrailers,
    asks: Asks,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// A response.
    Response,
    /// A WebSocket, by an extended CONNECT (RFC 8441 §5).
    Websocket,
}

/// Whether the client takes trailers, which it has to say to a server itself (RFC 9110 §10.1.4; gRPC asks for it).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcceptsTrailers {
    /// `TE: trailers`.
    Yes,
    /// It did not say.
    Unsaid,
}

impl RequestHead {
    /// A head of lines that Weir has written.
    #[must_use]
    pub fn new(lines: BytesMut, scheme: &'static str, trailers: AcceptsTrailers, asks: Asks) -> Self {
        Self {
            lines,
            scheme,
            trailers,
            asks,
        }
    }

    fn send(&self, link: &Link, then: Then) -> Option<Stream> {
        let mut lines = Lines(&self.lines);
        let (method, path) = lines.request_line()?;
        let host = self
            .fields()
            .find(|(name, _)| name == b"host")
            .map_or(&b""[..], |(_, value)| value);
        let (method, protocol) = match self.asks {
            Asks::Response => (method, None),
            Asks::Websocket => (&b"CONNECT"[..], Some(&b"websocket"[..])),
        };
        let line = RequestLine {
            method,
            scheme: self.scheme,
            authority: host,
            path,
            protocol,
        };
        // The key and its answer are left out (RFC 8441 §5.1).
        let of_upgrade = |name: &[u8]| self.asks == Asks::Websocket && name == b"sec-websocket-key";
        let fields = self
            .fields()
            .filter(|(name, _)| !is_of_http1(name) && !of_upgrade(name));
        let te = (self.trailers == AcceptsTrailers::Yes).then_some((&b"te"[..], &b"trailers"[..]));
        link.request(&line, fields.chain(te), then)
    }

    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut lines = Lines(&self.lines);
        let _ = lines.request_line();
        lines
    }
}

/// Lines of HTTP/1.1 that have no place in HTTP/2.
fn is_of_http1(name: &[u8]) -> bool {
    matches!(name, b"host" | b"connection" | b"upgrade" | b"transfer-encoding")
}

/// What is left of a head's lines: `name: value`, each ended by CR and LF.
struct Lines<'a>(&'a [u8]);

impl<'a> Lines<'a> {
    fn line(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr(b'\r', self.0)?;
        let line = self.0.get(..end)?;
        self.0 = self.0.get(end + 2..)?;
        Some(line)
    }

    fn request_line(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let line = self.line()?;
        let mut words = line.split(|&byte| byte == b' ');
        Some((words.next()?, words.next()?))
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.line().filter(|line| !line.is_empty())?;
        let colon = memchr::memchr(b':', line)?;
        Some((line.get(..colon)?, line.get(colon + 2..)?))
    }
}

/// A request under way.
#[derive(Debug)]
pub struct Call {
    stream: Stream,
    response: Option<Body>,
    outgoing: Outgoing,
    deadline: Deadline,
    /// Between two reads of the response body.
    idle: Duration,
    /// What is left of the length that the response told.
    left: Option<u64>,
    done: bool,
}

#[derive(Debug)]
enum Outgoing {
    Body { body: RequestBody, data: Bytes, then: Then },
    Done,
}

impl Call {
    /// A request whose head was sent on `stream`; `then` is what was said with it.
    #[must_use]
    pub fn start(stream: Stream, then: Then, body: RequestBody, idle: Duration) -> Self {
        let outgoing = match then {
            Then::End => Outgoing::Done,
            Then::More => Outgoing::Body {
                body,
                data: Bytes::new(),
                then: Then::More,
            },
        };
        Self {
            deadline: stream.deadline(),
            stream,
            response: None,
            outgoing,
            idle,
            left: None,
            done: false,
        }
    }

    /// An extended CONNECT whose head was sent on `stream`: what follows is for [`Call::into_tunnel`].
    #[must_use]
    pub fn connect(stream: Stream, idle: Duration) -> Self {
        Self::start(stream, Then::End, RequestBody::none(), idle)
    }

    /// The response head, within `limit` from the moment the request is sent. `interim` is given the interim responses that come
    /// before it.
    ///
    /// # Errors
    /// The fault; [`Fault::retry`] says whether another server may be tried.
    pub async fn response(
        &mut self,
        method: &Method,
        limit: Duration,
        mut interim: impl FnMut(&mut Context<'_>, ResponseHead),
    ) -> Result<(ResponseHead, Expected), Fault> {
        self.deadline.set(limit);
        let head = poll_fn(|cx| self.poll_head(cx, &mut interim)).await?;
        self.deadline.clear();
        let length = content_length(&head.headers).map_err(Fault::Malformed)?;
        let body = self.body(length, self.idle);
        let without_content = *method == Method::HEAD || has_no_content(head.status);
        self.done = body.is_done();
        let expected = match length {
            _ if self.done => Expected::Nothing,
            _ if without_content => Expected::Nothing,
            Some(length) => {
                self.left = Some(length);
                Expected::Length(length)
            }
            None => Expected::Unknown,
        };
        // Ended, and shorter than it says.
        if self.done && !without_content && length.is_some_and(|length| length > 0) {
            return Err(Fault::Malformed(Malformed::ContentLength));
        }
        self.response = Some(body);
        Ok((head, expected))
    }

    fn body(&self, length: Option<u64>, idle: Duration) -> Body {
        self.stream.body(length, Minimum::timeout(idle), &HeaderMap::new())
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        interim: &mut impl FnMut(&mut Context<'_>, ResponseHead),
    ) -> Poll<Result<ResponseHead, Fault>> {
        let sending = self.poll_outgoing(cx)?;
        while let Poll::Ready(head) = self.stream.poll_response(cx) {
            let head = head.map_err(Fault::from)?;
            let head = ResponseHead {
                status: head.status,
                version: Version::HTTP_2,
                headers: head.headers,
            };
            if !head.status.is_informational() {
                return Poll::Ready(Ok(head));
            }
            interim(cx, head);
        }
        let late = self.deadline.poll_elapsed(cx).is_ready();
        // While the body is being sent the client sets the pace, and has a timeout of its own.
        if late && sending.is_ready() {
            return Poll::Ready(Err(Fault::Timeout));
        }
        if late {
            self.deadline.set(self.idle);
        }
        Poll::Pending
    }

    /// Sends what the client's body gives, as the server takes it.
    fn poll_outgoing(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Fault> {
        loop {
            let Outgoing::Body { body, data, then } = &mut self.outgoing else {
                return Ok(Poll::Ready(()));
            };
            if !data.is_empty() || *then == Then::End {
                match self.stream.poll_send(cx, data, *then) {
                    Poll::Pending => return Ok(Poll::Pending),
                    // A server may answer early and reset the rest: the response tells.
                    Poll::Ready(Err(_)) => *then = Then::End,
                    Poll::Ready(Ok(())) => {}
                }
                if *then == Then::End {
                    self.outgoing = Outgoing::Done;
                }
                continue;
            }
            match body.poll_frame(cx) {
                Poll::Ready(None) => *then = Then::End,
                Poll::Ready(Some(Err(fault))) => {
                    self.stream.reset(Reason::CANCEL);
                    return Err(Fault::Client(fault));
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(piece) => *data = piece,
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            self.stream.send_trailers(&trailers);
                        }
                        self.outgoing = Outgoing::Done;
                    }
                },
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
    }

    /// The next frame of the response's body; `None` when it is complete.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if self.done {
            return Poll::Ready(None);
        }
        // A fault on the client's side shows itself there; here it only ends the sending.
        if self.poll_outgoing(cx).is_err() {
            self.outgoing = Outgoing::Done;
        }
        let Some(body) = &mut self.response else {
            return Poll::Ready(None);
        };
        let frame = ready!(body.poll_frame(cx));
        let told = match (&frame, &mut self.left) {
            (Some(Ok(frame)), Some(left)) => {
                let length = frame.data_ref().map_or(0, Buf::remaining) as u64;
                left.checked_sub(length).map(|rest| *left = rest).is_some()
            }
            (None, Some(left)) => *left == 0,
            _ => true,
        };
        if !told {
            self.done = true;
            return Poll::Ready(Some(Err(Fault::Malformed(Malformed::ContentLength))));
        }
        // A body that ended before its length did is not done: the next poll says so.
        let short = self.left.is_some_and(|left| left > 0);
        self.done = (body.is_done() && !short) || !matches!(frame, Some(Ok(_)));
        Poll::Ready(frame.map(|frame| {
            frame.map_err(|end| match end {
                BodyEnd::Late => Fault::Timeout,
                BodyEnd::Reset(_) => Fault::Closed,
            })
        }))
    }

    /// Whether the whole response has been read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The stream behind a 2xx to an extended CONNECT. The tunnel has a timeout of its own.
    #[must_use]
    pub fn into_tunnel(self) -> Far {
        let received = self.body(None, Duration::MAX);
        Far::Stream(Box::new(OnStream::new(self.stream, received)))
    }

    /// The request body, where not a byte of it has been taken, so that another server can have it.
    #[must_use]
    pub fn into_untouched_body(self) -> Option<RequestBody> {
        match self.outgoing {
            Outgoing::Body { body, .. } if body.is_untouched() => Some(body),
            _ => None,
        }
    }
}

impl From<Reset> for Fault {
    fn from(reset: Reset) -> Self {
        match (reset.by, reset.reason) {
            (By::Peer, Reason::REFUSED_STREAM) => Self::Refused,
            (By::Us, Reason::PROTOCOL_ERROR) => Self::Malformed(Malformed::Header),
            _ => Self::Closed,
        }
    }
}

impl From<BodyEnd> for ClientFault {
    fn from(end: BodyEnd) -> Self {
        match end {
            // A body that differs from its length, for one: whoever forwards it must not take it for a whole one.
            BodyEnd::Reset(_) => Self::Gone,
            BodyEnd::Late => Self::Timeout,
        }
    }
}

/// Shared by the workers' groups, so that a reload keeps connections.
pub type SharedLinks = Rc<Links>;
