//! Bodies on their way through: what the client sends, and what it gets.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::Frame;

use super::budget::{Exhausted, Share};
use super::compress::{Encoded, Encoder};
use super::several::Several;
use super::slices::Sliced;
use crate::cache::{Broken, Lent, Reader, StoredHead};
use crate::config::{Coding, Compression};
use crate::connection::http1::ClientBody;
use crate::http1::buffer::FilePart;
use crate::http2;
use crate::upstream::call::Expected;
use crate::upstream::conversation::Conversation;
use crate::upstream::{ClientFault, Fault};

/// Bytes of a body at hand that are compressed in one go.
const AT_ONCE: usize = 64 << 10;

/// A request's body, bounded, from whichever protocol.
#[derive(Debug)]
pub struct RequestBody {
    source: Source,
    /// What was held for plugins, and comes first.
    held: Option<Bytes>,
    /// Counts what is held as long as it is.
    share: Option<Share>,
    received: Received,
    /// Bytes that whoever sends the body on has taken.
    taken: u64,
    limit: u64,
}

#[derive(Debug)]
enum Source {
    None,
    /// There was a body, and an upstream has had it.
    Spent,
    Http1(ClientBody),
    /// In a box, because requests without a body, which are most, are not to be as large.
    Http2(Box<http2::stream::Body>),
}

/// Bytes of a request body. A request without one shares nothing and allocates nothing.
#[derive(Debug, Clone, Default)]
pub struct Received(Option<Rc<Cell<u64>>>);

impl Received {
    fn counting() -> Self {
        Self(Some(Rc::default()))
    }

    fn add(&self, bytes: usize) {
        if let Some(count) = &self.0 {
            count.set(count.get() + bytes as u64);
        }
    }

    /// How many so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.as_ref().map_or(0, |count| count.get())
    }
}

/// A body that was held, as far as it was.
#[derive(Debug)]
pub struct Held {
    /// The body, or its start.
    pub data: Bytes,
    /// Whether this is all of it.
    pub complete: bool,
}

impl RequestBody {
    /// No body.
    #[must_use]
    pub fn none() -> Self {
        Self {
            source: Source::None,
            held: None,
            share: None,
            received: Received::default(),
            taken: 0,
            limit: 0,
        }
    }

    /// What is left of a body that an upstream has begun to take: nothing that could be sent again.
    #[must_use]
    pub fn spent() -> Self {
        Self {
            source: Source::Spent,
            held: None,
            share: None,
            received: Received::default(),
            taken: 0,
            limit: 0,
        }
    }

    /// A body that comes over HTTP/1.1.
    #[must_use]
    pub fn http1(body: ClientBody) -> Self {
        Self {
            source: Source::Http1(body),
            held: None,
            share: None,
            received: Received::counting(),
            taken: 0,
            limit: u64::MAX,
        }
    }

    /// A body that comes over HTTP/2.
    #[must_use]
    pub fn http2(body: http2::stream::Body) -> Self {
        Self {
            source: Source::Http2(Box::new(body)),
            held: None,
            share: None,
            received: Received::counting(),
            taken: 0,
            limit: u64::MAX,
        }
    }

    /// Refuses more than this many bytes from now on.
    pub fn limit(&mut self, bytes: u64) {
        self.limit = bytes;
    }

    /// The length that its framing tells; `None` where it tells none.
    #[must_use]
    pub fn told_length(&self) -> Option<u64> {
        match &self.source {
            Source::None | Source::Spent => Some(0),
            Source::Http1(body) => body.told_length(),
            Source::Http2(body) => body.told_length(),
        }
    }

    /// Whether there is no body at all.
    #[must_use]
    pub fn is_none(&self) -> bool {
        matches!(self.source, Source::None) && self.held.is_none()
    }

    /// Whether it can be sent from its first byte.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.taken == 0 && !matches!(self.source, Source::Spent)
    }

    /// Counts the bytes that come from the client, also after the body has gone on to an upstream.
    #[must_use]
    pub fn received(&self) -> Received {
        self.received.clone()
    }

    /// The next frame, to be sent on.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ClientFault>>> {
        let frame = match self.held.take() {
            Some(held) => {
                self.share = None;
                Some(Ok(Frame::data(held)))
            }
            None => ready!(self.poll_source(cx)),
        };
        if let Some(Ok(frame)) = &frame {
            self.taken += frame.data_ref().map_or(1, |data| data.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ClientFault>>> {
        let frame = match &mut self.source {
            Source::None | Source::Spent => return Poll::Ready(None),
            Source::Http1(body) => ready!(body.poll_frame(cx)),
            Source::Http2(body) => ready!(body.poll_frame(cx)).map(|frame| frame.map_err(ClientFault::from)),
        };
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.received.add(data.len());
            if self.received.get() > self.limit {
                return Poll::Ready(Some(Err(ClientFault::TooLarge)));
            }
        }
        Poll::Ready(frame)
    }

    /// Reads up to `limit` bytes (and no more than one further frame) without giving them away: what was read is told, and
    /// comes again, first, to whoever polls the body afterwards.
    ///
    /// # Errors
    /// When the client breaks the message, is too slow, or sends more than it may.
    pub async fn hold(&mut self, limit: u64, mut share: Share) -> Result<Held, ClientFault> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut collected = Collected::default();
        if let Some(held) = self.held.take() {
            collected.push(held);
        }
        let mut complete = self.is_none();
        while !complete && collected.len() <= limit {
            match std::future::poll_fn(|cx| self.poll_source(cx)).await {
                None => complete = true,
                // Trailers end a body; those of a held request are not passed on.
                Some(frame) => match frame?.into_data() {
                    Ok(data) => {
                        share.grow(data.len()).map_err(|Exhausted| ClientFault::Memory)?;
                        collected.push(data);
                    }
                    Err(_) => complete = true,
                },
            }
        }
        let data = collected.into_bytes();
        if complete {
            self.source = Source::None;
        }
        self.held = (!data.is_empty()).then(|| data.clone());
        self.share = Some(share);
        let cut = data.len() > limit;
        Ok(Held {
            data: if cut { data.slice(..limit) } else { data },
            complete: complete && !cut,
        })
    }

    /// After [`RequestBody::hold`] saw the whole body: its length.
    #[must_use]
    pub fn held_length(&self) -> Option<u64> {
        match (&self.source, &self.held) {
            (Source::None, Some(held)) => Some(held.len() as u64),
            (Source::None, None) => Some(0),
            _ => self.told_length(),
        }
    }
}

/// Pieces of a body; one piece stays as it is.
#[derive(Debug, Default)]
struct Collected {
    first: Option<Bytes>,
    all: BytesMut,
}

impl Collected {
    fn len(&self) -> usize {
        self.first.as_ref().map_or(self.all.len(), Bytes::len)
    }

    fn push(&mut self, data: Bytes) {
        if let Some(first) = self.first.take() {
            self.all.extend_from_slice(&first);
            self.all.extend_from_slice(&data);
        } else if self.all.is_empty() {
            self.first = Some(data);
        } else {
            self.all.extend_from_slice(&data);
        }
    }

    fn into_bytes(self) -> Bytes {
        self.first.unwrap_or_else(|| self.all.freeze())
    }
}

/// A response's body on its way to the client.
#[derive(Debug)]
pub struct ResponseBody {
    content: Content,
    /// The head of a stored response, sent as it is instead of the exchange's fields.
    head: Option<StoredHead>,
    /// Whether the client gets to see content (not for HEAD and 304).
    told_length: Option<u64>,
    /// Counts what is held for plugins.
    share: Option<Share>,
    sent: u64,
    ended: bool,
}

/// Where a response's content comes from.
#[derive(Debug)]
pub enum Content {
    /// There is none.
    Empty,
    /// It is there.
    Ready(Bytes),
    /// It is there, and the cache's.
    Lent(Lent),
    /// The cache has it, or is getting it.
    Stored(Reader),
    /// The cache has slices of it, and gets the others.
    Sliced(Box<Sliced>),
    /// Several parts of what the cache has.
    Several(Box<Several>),
    /// It is compressed on its way.
    Encoded(Box<Encoded>),
    /// It comes from a server; what has been held of it comes first.
    Upstream {
        /// Held for plugins.
        held: Option<Bytes>,
        /// The rest.
        call: Box<Conversation>,
        /// How much, from the first byte.
        expected: Expected,
    },
}

impl Content {
    /// The next frame.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::Ready(data) => {
                let data = std::mem::take(data);
                *self = Self::Empty;
                Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))))
            }
            Self::Lent(_) => match std::mem::replace(self, Self::Empty) {
                Self::Lent(data) if !data.as_ref().is_empty() => Poll::Ready(Some(Ok(Frame::data(data.into())))),
                _ => Poll::Ready(None),
            },
            Self::Stored(reader) => reader
                .poll_next(cx)
                .map(|frame| frame.map(|frame| frame.map_err(Fault::from))),
            Self::Sliced(sliced) => sliced.poll_next(cx),
            Self::Several(several) => several.poll_next(cx),
            Self::Encoded(encoded) => encoded.poll_next(cx),
            Self::Upstream { held, call, .. } => match held.take() {
                Some(held) => Poll::Ready(Some(Ok(Frame::data(held)))),
                None => call.poll_frame(cx),
            },
        }
    }

    /// Whether the origin has nothing more to say, as far as is known without asking it.
    pub(super) fn is_done(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Ready(data) => data.is_empty(),
            Self::Lent(data) => data.as_ref().is_empty(),
            Self::Stored(reader) => reader.is_done(),
            Self::Sliced(sliced) => sliced.left() == 0,
            Self::Several(several) => several.is_done(),
            Self::Encoded(encoded) => encoded.is_done(),
            Self::Upstream { held, call, .. } => held.is_none() && call.is_done(),
        }
    }

    /// Bytes that are still to come; `None` where nobody knows.
    pub(super) fn left(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Ready(data) => Some(data.len() as u64),
            Self::Lent(data) => Some(data.as_ref().len() as u64),
            Self::Stored(reader) => reader.left(),
            Self::Sliced(sliced) => Some(sliced.left()),
            Self::Several(several) => several.left(),
            Self::Encoded(_) => None,
            Self::Upstream { expected, .. } => match expected {
                Expected::Nothing => Some(0),
                Expected::Length(length) => Some(*length),
                Expected::Unknown => None,
            },
        }
    }

    /// The next part of a stored body, where it can go from its file to a socket as it is.
    pub(super) fn next_file(&mut self) -> Option<FilePart> {
        match self {
            Self::Stored(reader) => reader.next_file(),
            Self::Sliced(sliced) => sliced.next_file(),
            Self::Several(several) => several.next_file(),
            Self::Empty | Self::Ready(_) | Self::Lent(_) | Self::Encoded(_) | Self::Upstream { .. } => None,
        }
    }

    /// The slices that it is put together of.
    pub(super) fn sliced_mut(&mut self) -> Option<&mut Sliced> {
        match self {
            Self::Sliced(sliced) => Some(sliced),
            Self::Several(several) => several.sliced_mut(),
            _ => None,
        }
    }
}

impl ResponseBody {
    /// A body that is not tied to an exchange yet.
    #[must_use]
    pub fn new(content: Content) -> Self {
        Self {
            content,
            head: None,
            told_length: None,
            share: None,
            sent: 0,
            ended: false,
        }
    }

    /// Only the length is told, and no content sent (a response to HEAD).
    pub fn headless(&mut self, length: Option<u64>) {
        self.content = Content::Empty;
        self.told_length = length;
    }

    /// Takes the content out, to be read by somebody else.
    pub(super) fn take_content(&mut self) -> Content {
        std::mem::replace(&mut self.content, Content::Empty)
    }

    /// The content, to be changed.
    pub(super) fn content_mut(&mut self) -> &mut Content {
        &mut self.content
    }

    /// Has the client get this instead.
    pub(super) fn replace_content(&mut self, content: Content) {
        self.content = content;
    }

    /// Has the client get it compressed; what is at hand and no more than 64 KiB at once, everything else as it comes.
    ///
    /// # Errors
    /// When there is no memory for it; nothing has changed.
    pub fn encode(&mut self, coding: Coding, config: &Compression) -> io::Result<()> {
        if let Content::Ready(data) = &self.content
            && data.len() <= AT_ONCE
        {
            self.content = Content::Ready(Encoder::whole(coding, config, data)?);
            return Ok(());
        }
        let encoder = Encoder::new(coding, config)?;
        let told = self.length();
        self.content = Content::Encoded(Box::new(Encoded::new(self.take_content(), told, encoder)));
        Ok(())
    }

    /// Has the client get this head before the exchange's fields.
    pub(super) fn set_head(&mut self, head: Option<StoredHead>) {
        self.head = head;
    }

    /// The stored head, where the response has one.
    pub(super) fn head_mut(&mut self) -> Option<&mut StoredHead> {
        self.head.as_mut()
    }

    /// The same, for whoever sends it.
    pub(super) fn stored_head(&self) -> Option<&StoredHead> {
        self.head.as_ref()
    }

    /// Bytes that were sent of it.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether nothing more comes of it. A body whose last frame was taken may be dropped before anyone has asked for the end.
    pub(super) fn is_over(&self) -> bool {
        self.ended || self.content.is_done()
    }

    /// The length of the content that is sent; `None` where nobody knows.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.content.left()
    }

    /// The length that is told although no content follows.
    #[must_use]
    pub fn told_length(&self) -> Option<u64> {
        self.told_length
    }

    /// The next frame for the client.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = ready!(self.content.poll_next(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.sent += data.len() as u64;
                }
            }
            Some(Err(_)) | None => self.ended = true,
        }
        Poll::Ready(frame)
    }

    /// All of the content, where the cache lends it and it is small enough to be copied; else it comes as a frame.
    pub fn next_lent(&mut self, most: usize) -> Option<Lent> {
        match &self.content {
            Content::Lent(data) if data.as_ref().len() <= most => {}
            _ => return None,
        }
        let Content::Lent(data) = self.take_content() else {
            return None;
        };
        self.sent += data.as_ref().len() as u64;
        Some(data)
    }

    /// The next part of a stored body, where it can go from its file to a socket as it is; else it comes as a frame.
    pub fn next_file(&mut self) -> Option<FilePart> {
        let part = self.content.next_file()?;
        self.sent += part.length as u64;
        Some(part)
    }

    /// Reads up to `limit` bytes of the content without giving them away, as [`RequestBody::hold`] does.
    ///
    /// # Errors
    /// The server's fault.
    pub async fn hold(&mut self, limit: u64, mut share: Share) -> Result<Held, Fault> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let (held, call) = match &mut self.content {
            Content::Empty => {
                return Ok(Held {
                    data: Bytes::new(),
                    complete: true,
                });
            }
            Content::Ready(data) => {
                let complete = data.len() <= limit;
                let data = data.slice(..data.len().min(limit));
                return Ok(Held { data, complete });
            }
            // Plugins have seen what is stored or compressed before it was.
            Content::Lent(_) | Content::Stored(_) | Content::Sliced(_) | Content::Several(_) | Content::Encoded(_) => {
                return Ok(Held {
                    data: Bytes::new(),
                    complete: false,
                });
            }
            Content::Upstream { held, call, .. } => (held, call),
        };
        let mut collected = Collected::default();
        if let Some(held) = held.take() {
            collected.push(held);
        }
        let mut complete = call.is_done();
        while !complete && collected.len() <= limit {
            match std::future::poll_fn(|cx| call.poll_frame(cx)).await {
                None => complete = true,
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        share.grow(data.len()).map_err(|Exhausted| Fault::Memory)?;
                        collected.push(data);
                    }
                }
            }
        }
        let data = collected.into_bytes();
        self.share = Some(share);
        let cut = data.len() > limit;
        let seen = if cut { data.slice(..limit) } else { data.clone() };
        if complete {
            self.content = Content::Ready(data);
        } else {
            *held = (!data.is_empty()).then_some(data);
        }
        Ok(Held {
            data: seen,
            complete: complete && !cut,
        })
    }
}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Closed => Self::Closed,
            Broken::Timeout => Self::Timeout,
        }
    }
}
