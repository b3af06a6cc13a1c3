//! The body of a response that is to be stored, taken as it comes: for the store, and for everybody who waits for it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderMap;
use tokio::time::Sleep;

use super::super::arrival::{Arrival, Broken, Follower};
use super::super::body::Reader;
use super::super::policy::Refused;
use super::content::{Content, Withdrawn};
use super::written::Written;

/// A disk that has not taken a byte for this long is not waited for.
const STALLED: Duration = Duration::from_secs(2);

/// When the last client that reads a body goes away, the rest is fetched all the same where it is at most this much.
const WORTH_FETCHING: u64 = 1024 * 1024;

/// Takes a response's body as it comes, for the store and for everybody who waits for it. Dropped before
/// [`Writer::finish`], it stores nothing, and whoever follows sees the body break off.
#[derive(Debug)]
pub struct Writer {
    arrival: Arc<Arrival>,
    /// Gone once it is clear that nothing will be stored.
    content: Option<Box<Content>>,
    /// The place of whoever fetches, until it is [shared](Writer::share).
    first: Option<Follower>,
    /// Until when the disk may take to take more.
    stalled: Option<Pin<Box<Sleep>>>,
    why: Broken,
}

/// Whether a [`Writer`] still stores what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Go on.
    Writing,
    /// The body is too large, longer than it said, or there is no room, or the disk fails: nothing will be stored. Whoever
    /// follows still gets it.
    GivenUp,
}

impl Writer {
    pub(super) fn new(content: Content) -> Self {
        let arrival = Arrival::new(content.expected);
        Self {
            first: Some(arrival.join()),
            arrival,
            content: Some(Box::new(content)),
            stalled: None,
            why: Broken::Closed,
        }
    }

    /// Seconds for which the response is fresh at `now`.
    #[must_use]
    pub fn ttl(&self, now: SystemTime) -> i64 {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        self.content.as_ref().map_or(0, |content| {
            let freshness = &content.policy.freshness;
            seconds(freshness.lifetime()) - seconds(freshness.age(now))
        })
    }

    /// The next bytes of the body. They are copied: as they are, they would keep a whole read buffer alive.
    pub fn push(&mut self, data: &Bytes) -> Progress {
        let data = Bytes::copy_from_slice(data);
        let length = self.arrival.arrived() + data.len() as u64;
        let arrival = &self.arrival;
        let reserved = self.content.as_mut().map(|content| content.reserve(length, arrival));
        if reserved == Some(Progress::GivenUp) {
            self.give_up();
        }
        if let Some(file) = self.content.as_ref().and_then(|content| content.spilled.as_ref()) {
            file.append(data.clone());
        }
        self.arrival.push(data);
        if self.content.is_some() {
            Progress::Writing
        } else {
            Progress::GivenUp
        }
    }

    /// Has everybody who waits follow the body from now on, and gives a reader of it to whoever fetches.
    pub fn share(&mut self) -> Reader {
        if let Some(content) = &mut self.content
            && content.arriving.is_none()
        {
            content.announce(&self.arrival);
        }
        self.follow()
    }

    /// Gives a reader of the body to whoever fetches. The others wait until it is complete.
    pub fn follow(&mut self) -> Reader {
        Reader::following(self.first.take().unwrap_or_else(|| self.arrival.join()))
    }

    /// Ready when more of the body may be read: what is only passed on waits for its slowest reader, and what goes to the disk
    /// for that, but not for one that hangs.
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.arrival.poll_room(cx).is_ready() {
            self.stalled = None;
            return Poll::Ready(());
        }
        if self.content.is_none() {
            return Poll::Pending;
        }
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(STALLED)));
        ready!(stalled.as_mut().poll(cx));
        self.give_up();
        self.arrival.poll_room(cx)
    }

    /// Ready when nobody reads the body and what is left of it is not worth fetching for those who may come.
    pub fn poll_unwanted(&self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.arrival.poll_deserted(cx));
        let left = |content: &Content| content.expected.map(|expected| expected - self.arrival.arrived());
        match self.content.as_ref().map(|content| left(content)) {
            Some(Some(left)) if left <= WORTH_FETCHING => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }

    /// The body is complete: stores it, unless it is shorter than its Content-Length said. Trailers go to those who follow and
    /// are not stored (RFC 9110 §6.5.2 lets a recipient discard them). What it returns is the body, where all of it is kept.
    pub fn finish(self, trailers: Option<HeaderMap>) -> Bytes {
        self.end(Bytes::new(), trailers)
    }

    /// The same, with the last bytes of the body, which nobody gets before the disk has all of them: a client that has a whole
    /// response may rely on its being stored. A disk that takes longer than [`COMMIT`](super::written::COMMIT) is not waited for.
    pub async fn commit(mut self, last: Bytes, trailers: Option<HeaderMap>) -> Bytes {
        let Some((body, written)) = self.store(&last) else {
            return self.finish_unstored(&last, trailers);
        };
        if let Some(written) = written {
            written.wait().await;
        }
        self.finish_stored(last, body, trailers)
    }

    fn end(mut self, last: Bytes, trailers: Option<HeaderMap>) -> Bytes {
        match self.store(&last) {
            Some((body, _)) => self.finish_stored(last, body, trailers),
            None => self.finish_unstored(&last, trailers),
        }
    }

    /// Stores the body with these last bytes; nothing where it is not to be stored. Gives all of it, where it is in memory.
    fn store(&mut self, last: &Bytes) -> Option<(Option<Bytes>, Option<Written>)> {
        let length = self.arrival.arrived() + last.len() as u64;
        let content = self.content.as_mut()?;
        if content.reserve(length, &self.arrival) == Progress::GivenUp {
            self.give_up();
            return None;
        }
        let complete = content.expected.is_none_or(|expected| expected == length);
        let content = self.content.take_if(|_| complete)?;
        if content.spilled.is_some() {
            return Some((None, content.finish_file(last, &self.arrival)));
        }
        let body = self.arrival.joined(last);
        let written = content.store(&body);
        Some((Some(body), written))
    }

    fn finish_stored(self, last: Bytes, body: Option<Bytes>, trailers: Option<HeaderMap>) -> Bytes {
        if body.is_none() {
            self.arrival.push(last);
        }
        self.arrival.finish(body.clone(), trailers);
        body.unwrap_or_default()
    }

    /// A body that is not stored has ended, one way or the other.
    fn finish_unstored(&mut self, last: &Bytes, trailers: Option<HeaderMap>) -> Bytes {
        self.arrival.push(last.clone());
        // Shorter than it said: dropping the writer breaks it off.
        if self.content.is_none() {
            self.arrival.finish(None, trailers);
        }
        Bytes::new()
    }

    /// The body broke off.
    pub fn break_off(mut self, why: Broken) {
        self.why = why;
    }

    fn give_up(&mut self) {
        if let Some(mut content) = self.content.take() {
            content.withdraw(Withdrawn::Outgrown);
            let _ = content.fetch.not_storable(Some(Refused::Useless), SystemTime::now());
        }
        self.arrival.only_pass_on();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.arrival.break_off(self.why);
        if let Some(mut content) = self.content.take() {
            content.withdraw(Withdrawn::Broken);
        }
    }
}
