//! HTTP/1.1 with a client: read a head, run the exchange, write the answer, and again (RFC 9112 §9.3).

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body::Frame;

use super::age::Age;
use super::{Client, http2, on_heap, tunnel};
use crate::config::Config;
use crate::exchange::body::{RequestBody, ResponseBody};
use crate::exchange::{self, Answer, Interim, Refusal};
use crate::http1::buffer::{Buffered, Read};
use crate::http1::decode::{Decoder, Piece};
use crate::http1::encode::{self, ResponseLine, Told};
use crate::http1::framing::{self, Framing};
use crate::http1::head::{self, Bounds, HeadScan, Malformed, Persistence, Progress, RequestHead};
use crate::http1::stream::Stream;
use crate::http2::frame::{Preface, preface};
use crate::server::pace::{Minimum, Pace};
use crate::server::timer::{Deadline, Elapsed};
use crate::server::worker::Worker;
use crate::upstream::ClientFault;
use crate::upstream::far::Far;

/// What a client may still send of a body that nobody reads, before the connection is closed instead.
const DRAIN: u64 = 256 * 1024;
/// How long a closing connection waits for the client to have read the answer.
const LINGER: Duration = Duration::from_secs(2);

/// The connection, shared by the loop below, which owns it, and the body of the request that is running.
#[derive(Debug)]
struct Link {
    io: Buffered,
    incoming: Decoder,
    expectation: Expectation,
    deadline: Deadline,
    waits: Rc<Waits>,
    /// How it sends the body of the request that is running.
    pace: Pace,
    receiving: Receiving,
}

/// How long a client is waited for, as the configuration says. Connections share it: most of them are idle, and none is to be
/// larger than it has to be.
#[derive(Debug)]
pub struct Waits {
    header: Duration,
    keep_alive: Duration,
    tunnel: Duration,
    /// What a client that sends a body or takes a response is held to.
    minimum: Minimum,
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
enum Receiving {
    Open,
    /// Its side has ended (FIN): it is gone, or has just nothing more to ask.
    Ended,
}

impl Link {
    /// Ready when nobody is left to answer. To be asked while there is nothing to write; it costs no system call while the
    /// client says nothing.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
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
enum Expectation {
    None,
    /// The client waits; it is told to go on when its body is first asked for.
    Continue,
}

/// How the conversation goes on after an exchange.
enum Next {
    Again,
    Close,
    /// Without a proper end, which the client would take for the end of its response.
    Reset,
    /// The server's end, and what it has sent on it.
    Tunnel(Box<(Far, BytesMut)>),
}

/// How HTTP/1.1 ended on a connection.
#[derive(Debug)]
pub enum Ended {
    /// The connection is over.
    Closed,
    /// The first bytes were those of HTTP/2.
    Http2,
    /// Both sides have switched protocols: the server's end, and what it has sent on it.
    Switched(Box<(Far, BytesMut)>),
}

/// Whether a client may speak HTTP/2 without having asked (RFC 9113 §3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PriorKnowledge {
    /// Its first bytes are looked at.
    Accepted,
    /// It may not.
    Refused,
}

/// Serves a client until either side closes, unless its first bytes are those of HTTP/2.
///
/// Most connections are idle most of the time, and what they hold then is this future: it is kept small. Whatever is only needed
/// while something happens has a box of its own, and nothing large is named here, because what a match takes apart keeps its
/// place for as long as the match waits.
pub async fn serve(conversation: &mut Conversation) -> Ended {
    loop {
        let next = match read_head(conversation).await {
            Head::Then(act) => act.await,
            Head::Gone => return Ended::Closed,
            Head::Http2 => return Ended::Http2,
        };
        match next {
            Next::Again if conversation.is_over() => break,
            Next::Again => {}
            Next::Close => break,
            Next::Reset => {
                conversation.link.borrow_mut().io.reset_on_close();
                return Ended::Closed;
            }
            Next::Tunnel(server) => return Ended::Switched(server),
        }
    }
    close(&conversation.link).await;
    Ended::Closed
}

/// A connection, as it is between two requests.
pub struct Conversation {
    worker: Rc<Worker>,
    client: Rc<Client>,
    link: Rc<RefCell<Link>>,
    age: Age,
    place: Place,
    prior: PriorKnowledge,
}

/// Something that happens on a connection.
pub type Act<T> = Pin<Box<dyn Future<Output = T>>>;

impl Conversation {
    /// With a client of whom nothing has been read.
    #[must_use]
    pub fn new(worker: Rc<Worker>, client: Rc<Client>, stream: Stream, prior: PriorKnowledge) -> Self {
        let (link, age) = begin(&worker, stream);
        Self {
            worker,
            client,
            link,
            age,
            place: Place::First,
            prior,
        }
    }

    /// The exchange that a request begins.
    fn exchange(&mut self, request: RequestHead) -> Act<Next> {
        let age = self.age.of_next(&self.worker.timer);
        let (worker, client, link) = (self.worker.clone(), self.client.clone(), self.link.clone());
        on_heap(|| exchange(worker, client, link, request, age))
    }

    /// The answer to what is no request.
    fn refuse(&self, refusal: Refusal) -> Act<Next> {
        let (worker, client, link) = (self.worker.clone(), self.client.clone(), self.link.clone());
        Box::pin(async move {
            refuse(&worker, &client, &link, refusal, || begun(&worker, &link)).await;
            Next::Close
        })
    }

    /// Whether a draining worker has nothing more to wait for.
    fn is_over(&self) -> bool {
        self.client.draining.get() && self.link.borrow_mut().io.input().is_empty()
    }

    /// What the connection is for after HTTP/1.1.
    #[must_use]
    pub fn afterwards(self, ended: Ended) -> Option<Act<()>> {
        let Self { worker, client, .. } = self;
        let link = Rc::into_inner(self.link)?.into_inner();
        match ended {
            Ended::Closed => None,
            Ended::Http2 => {
                let (stream, received) = link.io.into_parts();
                Some(Box::pin(http2::serve(worker, client, stream, received)))
            }
            Ended::Switched(server) => Some(Box::pin(async move {
                let idle = link.waits.tunnel;
                tunnel::run(&worker, link.io.into_parts(), *server, idle).await;
            })),
        }
    }
}

/// Everything that a connection has, as the configuration says at its start.
fn begin(worker: &Worker, stream: Stream) -> (Rc<RefCell<Link>>, Age) {
    let state = worker.state();
    let link = Link {
        io: Buffered::new(stream, BytesMut::new()),
        incoming: Decoder::new(Framing::None),
        expectation: Expectation::None,
        deadline: worker.timer.deadline(),
        waits: state.waits.clone(),
        pace: Pace::default(),
        receiving: Receiving::Open,
    };
    let age = Age::new(&worker.timer, &state.snapshot.config);
    (Rc::new(RefCell::new(link)), age)
}

/// What a client has said.
enum Head {
    /// Something that is to be acted on.
    Then(Act<Next>),
    /// Not HTTP/1.1, but the first bytes of HTTP/2.
    Http2,
    /// The client closed between requests, or said nothing for too long: nobody to answer.
    Gone,
}

/// Which request of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    First,
    Later,
}

/// The next request head.
async fn read_head(conversation: &mut Conversation) -> Head {
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

/// Runs one exchange and writes its answer. (Inlined where it is made: only then is it made in its place.)
#[inline]
async fn exchange(
    worker: Rc<Worker>,
    client: Rc<Client>,
    link: Rc<RefCell<Link>>,
    head: RequestHead,
    age: Persistence,
) -> Next {
    let (worker, client, link) = (&worker, &client, &link);
    let framing = match framing::of_request(head.version, &head.headers) {
        Ok(framing) => framing,
        Err(fault) => {
            refuse(worker, client, link, Refusal::Malformed(fault), || head.received).await;
            return Next::Close;
        }
    };
    let version = head.version;
    let method = head.method.clone();
    let persistence = match age {
        Persistence::KeepAlive => head::persistence(version, &head.headers),
        Persistence::Close => Persistence::Close,
    };
    let body = prepare_body(link, framing, &head);
    let interim = if version >= Version::HTTP_11 {
        Interim::Http1(ClientInterim(link.clone()))
    } else {
        Interim::Nowhere
    };
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = head.method;
    parts.uri = head.uri;
    parts.version = version;
    parts.headers = head.headers;

    let answer = {
        let exchange = pin!(exchange::run(worker, client, parts, head.received, body, interim));
        unless_gone(link, exchange).await
    };
    let Some(answer) = answer else {
        return Next::Close;
    };
    let persistence = if matches!(answer, Answer::Last(_)) {
        Persistence::Close
    } else {
        persistence
    };
    match answer {
        Answer::Response(response) | Answer::Last(response) => {
            let unread = !link.borrow().incoming.is_done();
            let persistence = match persistence {
                Persistence::KeepAlive if !worker.retiring.get() && may_drain(&link.borrow()) => Persistence::KeepAlive,
                _ => Persistence::Close,
            };
            let mut sending = Sending::begin(worker, link, response, &method, version, persistence);
            let sent = sending.finish(link).await;
            // The exchange finishes here, and not once the rest of the request has been read.
            drop(sending);
            match sent {
                Ok(()) => {}
                Err(Broken::Shows) => return Next::Close,
                Err(Broken::LooksWhole) => return Next::Reset,
            }
            match persistence {
                Persistence::Close => Next::Close,
                Persistence::KeepAlive if unread => drain(link).await,
                Persistence::KeepAlive => Next::Again,
            }
        }
        Answer::Tunnel {
            response,
            stream,
            received,
        } => {
            let (parts, finish) = response.into_parts();
            switch_protocols(link, &parts.headers).await;
            drop(finish);
            Next::Tunnel(Box::new((stream, received)))
        }
        Answer::Close => Next::Close,
    }
}

/// The answer, or nothing once the client is gone: then the exchange is dropped, and its request to the upstream with it.
async fn unless_gone(link: &RefCell<Link>, mut exchange: Pin<&mut impl Future<Output = Answer>>) -> Option<Answer> {
    let answer = poll_fn(|cx| {
        if let Poll::Ready(answer) = exchange.as_mut().poll(cx) {
            return Poll::Ready(Some(answer));
        }
        link.borrow_mut().poll_gone(cx).map(|()| None)
    })
    .await;
    link.borrow().deadline.clear();
    answer
}

fn prepare_body(link: &Rc<RefCell<Link>>, framing: Framing, head: &RequestHead) -> RequestBody {
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
pub struct ClientInterim(Rc<RefCell<Link>>);

impl ClientInterim {
    /// Passes one on; a client that takes nothing at the moment gets it with the final response.
    pub fn send(&self, cx: &mut Context<'_>, status: StatusCode, headers: &HeaderMap) {
        let link = &mut *self.0.borrow_mut();
        encode::interim_head(link.io.out(), status, headers);
        // A client that is gone shows itself where it is read from.
        let _ = link.io.poll_flush(cx);
    }
}

/// A response that was not written to its end, as its reader sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    /// Its length or its last chunk is missing.
    Shows,
    /// The connection's end is the body's (HTTP/1.0).
    LooksWhole,
}

/// A response on its way to the client, its body as it comes.
struct Sending {
    body: ResponseBody,
    framing: Framing,
    writing: Writing,
    taking: Taking,
}

impl Sending {
    /// Queues the head.
    fn begin(
        worker: &Worker,
        link: &RefCell<Link>,
        response: Response<ResponseBody>,
        method: &Method,
        version: Version,
        persistence: Persistence,
    ) -> Self {
        let (parts, mut body) = response.into_parts();
        let framing = match body.length() {
            Some(0) => Framing::None,
            Some(length) => Framing::Length(length),
            None if version >= Version::HTTP_11 => Framing::Chunked,
            None => Framing::UntilClose,
        };
        let persistence = if framing == Framing::UntilClose {
            Persistence::Close
        } else {
            persistence
        };
        let without_content = method == Method::HEAD || encode::has_no_content(parts.status);
        let framing = if without_content { Framing::None } else { framing };
        let told = match body.told_length() {
            _ if !without_content => Told::Framing(framing),
            Some(length) => Told::Length(length),
            None => Told::Nothing,
        };
        let head = body.take_head();
        let line = ResponseLine {
            status: parts.status,
            told,
            persistence,
            version,
            date: &worker.timer.date(),
            lines: head.as_ref().map(|head| head.lines()).unwrap_or_default(),
        };
        encode::response_head(link.borrow_mut().io.out(), &line, &parts.headers);
        Self {
            body,
            framing,
            writing: if without_content { Writing::End } else { Writing::Body },
            taking: Taking::default(),
        }
    }

    /// Writes everything. `Err` when the client is gone, too slow, or the body broke off.
    async fn finish(&mut self, link: &RefCell<Link>) -> Result<(), Broken> {
        let written = poll_fn(|cx| self.poll(cx, link)).await;
        link.borrow().deadline.clear();
        written.map_err(|()| match self.framing {
            Framing::UntilClose => Broken::LooksWhole,
            _ => Broken::Shows,
        })
    }

    fn poll(&mut self, cx: &mut Context<'_>, link: &RefCell<Link>) -> Poll<Result<(), ()>> {
        let Self {
            body,
            framing,
            writing,
            taking,
        } = self;
        poll_write(cx, link, body, *framing, writing, taking)
    }
}

/// How the client takes a response.
#[derive(Default)]
struct Taking {
    pace: Pace,
    /// Bytes that had been written when Weir last had to wait.
    blocked_at: Option<u64>,
    turn: Turn,
}

/// A small answer is written after everything else that is ready has been looked at. Answers that leave together wake a client
/// on the same machine, or its network card's driver, once and not once each: with 64 clients that is a tenth of a hit's cost.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Turn {
    #[default]
    Coming,
    Come,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Writing {
    Body,
    End,
}

fn poll_write(
    cx: &mut Context<'_>,
    link: &RefCell<Link>,
    body: &mut ResponseBody,
    framing: Framing,
    state: &mut Writing,
    taking: &mut Taking,
) -> Poll<Result<(), ()>> {
    loop {
        let mut starved = false;
        let mut moved = false;
        while *state == Writing::Body && !link.borrow().io.is_full() {
            if matches!(framing, Framing::Length(_))
                && link.borrow().io.takes_files()
                && let Some(part) = body.next_file()
            {
                moved = true;
                link.borrow_mut().io.queue_file(part);
                continue;
            }
            // The body may read from the client (a request that is still being sent), so the link is not borrowed here.
            match body.poll_next(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    moved = true;
                    let io = &mut link.borrow_mut().io;
                    match frame.into_data() {
                        Ok(data) => encode::data(io, framing, data),
                        Err(frame) => {
                            encode::end(io, framing, frame.into_trailers().ok().as_ref());
                            *state = Writing::End;
                        }
                    }
                }
                // The head has been promised; all that is left is to break the message off so that it shows.
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(())),
                Poll::Ready(None) => {
                    encode::end(&mut link.borrow_mut().io, framing, None);
                    *state = Writing::End;
                }
                Poll::Pending => {
                    starved = true;
                    break;
                }
            }
        }
        if *state == Writing::End && taking.turn == Turn::Coming && !link.borrow().io.is_full() {
            taking.turn = Turn::Come;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let link = &mut *link.borrow_mut();
        match link.io.poll_flush(cx) {
            Poll::Ready(Ok(())) => {
                if let Some(before) = taking.blocked_at.take() {
                    taking
                        .pace
                        .passed(link.deadline.now(), link.io.written().saturating_sub(before));
                    link.deadline.clear();
                }
                if moved {
                    link.deadline.clear();
                }
                match state {
                    Writing::End => return Poll::Ready(Ok(())),
                    Writing::Body if starved => return link.poll_gone(cx).map(|()| Err(())),
                    // There is room again: ask the body for more.
                    Writing::Body => {}
                }
            }
            Poll::Ready(Err(_)) => return Poll::Ready(Err(())),
            Poll::Pending => {
                let written = link.io.written();
                if taking.blocked_at != Some(written) {
                    let before = taking.blocked_at.replace(written).unwrap_or(written);
                    taking.pace.passed(link.deadline.now(), written.saturating_sub(before));
                    taking.pace.wait(&link.deadline, &link.waits.minimum);
                }
                ready!(link.deadline.poll_elapsed(cx));
                return Poll::Ready(Err(()));
            }
        }
    }
}

async fn switch_protocols(link: &RefCell<Link>, headers: &HeaderMap) {
    {
        let mut link = link.borrow_mut();
        let out = link.io.out();
        out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        for (name, value) in headers {
            encode::header(out, name.as_str(), value.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
    let _ = poll_fn(|cx| link.borrow_mut().io.poll_flush(cx)).await;
}

/// Answers a request that never became an exchange.
async fn refuse(
    worker: &Rc<Worker>,
    client: &Rc<Client>,
    link: &RefCell<Link>,
    refusal: Refusal,
    received: impl FnOnce() -> Bytes,
) {
    let response = exchange::refused::refuse(worker, client, &refusal, received).await;
    let (method, version) = (Method::GET, Version::HTTP_11);
    let mut sending = Sending::begin(worker, link, response, &method, version, Persistence::Close);
    let _ = sending.finish(link).await;
}

/// The head that could not be read, and what came behind it: no more than a head may be.
fn begun(worker: &Worker, link: &RefCell<Link>) -> Bytes {
    let most = worker.state().snapshot.config.limits.header_bytes;
    let mut link = link.borrow_mut();
    let input = link.io.input();
    Bytes::copy_from_slice(input.get(..most).unwrap_or(input))
}

/// Whether what is left of the request body is worth reading to keep the connection. A client that still waits for its
/// 100 will not send it, and one cannot know whether it does.
fn may_drain(link: &Link) -> bool {
    link.incoming.is_done()
        || (link.expectation == Expectation::None && link.incoming.remaining().is_none_or(|left| left <= DRAIN))
}

/// Reads over the rest of a request body.
async fn drain(link: &RefCell<Link>) -> Next {
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
async fn close(link: &RefCell<Link>) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::tests::size;

    #[test]
    fn an_idle_connection_holds_little() {
        let serving = size(|conversation: &'static mut Conversation| serve(conversation));
        let held = serving + size_of::<Conversation>() + size_of::<Link>() + size_of::<Client>();
        assert!(
            held <= 704,
            "{held} bytes, {serving} to serve: is something large named there?"
        );
    }
}
