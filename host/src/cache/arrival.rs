//! A body on its way from the origin, read by everybody who waits for it while it comes.
//!
//! One producer (the task that reads the origin's response) appends, any number of readers on any worker follow at their own
//! pace. As long as the body is going to be stored, all of it is kept, so that whoever comes late begins at its first byte.
//! What is too large for memory is written to the disk on its way ([`Arrival::spill`]): only the latest bytes are kept here, and
//! whoever is further behind reads the file. Once it has turned out too large to be stored at all it is only passed on: nobody may
//! begin any more, what all readers have had is let go, and the producer waits for the slowest of them.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Frame;
use parking_lot::Mutex;
use slab::Slab;
use tokio::sync::oneshot;

use super::disk::{Damaged, Progress, Written};

/// How far the slowest reader of a body that is only passed on may be behind the origin, in bytes.
const WINDOW: u64 = 256 * 1024;

/// How far the disk may be behind the origin, in bytes. Then the origin waits for it.
const UNWRITTEN: u64 = 2 * 1024 * 1024;

/// Bytes that are kept for readers in step although they are in the file.
const IN_STEP: u64 = 512 * 1024;

/// Memory that a body takes which goes to the disk while it arrives, in bytes: a piece of it may be as long as a read buffer.
pub(super) const SPILLING: u64 = UNWRITTEN + IN_STEP + 64 * 1024;

/// A body that is arriving, or has.
#[derive(Debug)]
pub(super) struct Arrival {
    /// What `Content-Length` said.
    expected: Option<u64>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pieces: VecDeque<Piece>,
    arrived: u64,
    end: Option<End>,
    keeping: Keeping,
    /// The file that the body goes to, and how much of it is there.
    file: Option<(Written, u64)>,
    readers: Slab<Seat>,
    producer: Option<Waker>,
}

#[derive(Debug)]
struct Piece {
    start: u64,
    data: Bytes,
}

/// What is kept of a body for readers to come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Keeping {
    #[default]
    All,
    /// What is not in the file, and a little more.
    Tail,
    /// The same, but the disk has failed: nothing more gets into the file.
    Unwritable,
    /// Only what the present readers have not had.
    Window,
}

#[derive(Debug, Clone)]
enum End {
    /// Everything is there.
    Complete(Option<HeaderMap>),
    Broken(Broken),
}

/// Why the rest of a body is not going to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// The origin ended or broke its response.
    Closed,
    /// It was too slow.
    Timeout,
}

/// One reader's place.
#[derive(Debug)]
struct Seat {
    position: u64,
    waker: Option<Waker>,
}

impl Arrival {
    /// A body of which nothing is there yet.
    pub(super) fn new(expected: Option<u64>) -> Arc<Self> {
        Arc::new(Self {
            expected,
            state: Mutex::default(),
        })
    }

    /// The length of the whole body, as soon as it is known.
    pub(super) fn length(&self) -> Option<u64> {
        let ended = || {
            let state = self.state.lock();
            matches!(state.end, Some(End::Complete(_))).then_some(state.arrived)
        };
        self.expected.or_else(ended)
    }

    /// Bytes that are there.
    pub(super) fn arrived(&self) -> u64 {
        self.state.lock().arrived
    }

    /// The whole body, once [`Arrival::finish`] has been given all of it.
    pub(super) fn complete(&self) -> Option<Bytes> {
        let state = self.state.lock();
        let whole = matches!(state.end, Some(End::Complete(_))) && state.keeping == Keeping::All;
        match state.pieces.front() {
            _ if !whole => None,
            Some(piece) => (piece.data.len() as u64 == state.arrived).then(|| piece.data.clone()),
            None => Some(Bytes::new()),
        }
    }

    /// The next bytes.
    pub(super) fn push(&self, data: Bytes) {
        if data.is_empty() {
            return;
        }
        self.change(|state| {
            let start = state.arrived;
            state.arrived += data.len() as u64;
            state.pieces.push_back(Piece { start, data });
        });
    }

    /// What has come and these last bytes, which nobody else has yet, in one piece. For bodies of which all is kept.
    pub(super) fn joined(&self, last: &[u8]) -> Bytes {
        let state = self.state.lock();
        match (state.pieces.front(), state.pieces.len()) {
            (None, _) => Bytes::copy_from_slice(last),
            (Some(piece), 1) if last.is_empty() => piece.data.clone(),
            _ => {
                let length = usize::try_from(state.arrived).unwrap_or(0) + last.len();
                let mut joined = BytesMut::with_capacity(length);
                for piece in &state.pieces {
                    joined.extend_from_slice(&piece.data);
                }
                joined.extend_from_slice(last);
                joined.freeze()
            }
        }
    }

    /// Everything has come. A body in one piece takes the place of the pieces that it came in.
    pub(super) fn finish(&self, whole: Option<Bytes>, trailers: Option<HeaderMap>) {
        self.change(|state| {
            state.end = Some(End::Complete(trailers));
            if let Some(data) = whole {
                state.arrived = data.len() as u64;
                state.pieces.clear();
                state
                    .pieces
                    .extend((!data.is_empty()).then_some(Piece { start: 0, data }));
            }
        });
    }

    /// No more will come.
    pub(super) fn break_off(&self, why: Broken) {
        self.change(|state| {
            if state.end.is_none() {
                state.end = Some(End::Broken(why));
            }
        });
    }

    /// From now on the body goes to a file. Gives what has come so far, which is to be written first.
    pub(super) fn spill(&self, file: Written) -> Vec<Bytes> {
        let mut state = self.state.lock();
        state.keeping = Keeping::Tail;
        state.file = Some((file, 0));
        state.pieces.iter().map(|piece| piece.data.clone()).collect()
    }

    /// How far the file has got.
    pub(super) fn written(&self, progress: Progress) {
        let mut state = self.state.lock();
        match progress {
            Progress::Written(length) => {
                if let Some((_, written)) = &mut state.file {
                    *written = length;
                }
            }
            Progress::Failed if state.keeping == Keeping::Tail => state.keeping = Keeping::Unwritable,
            Progress::Failed => {}
        }
        if state.keeping == Keeping::Tail {
            state.let_go();
        }
        let producer = state.producer.take();
        drop(state);
        wake(producer);
    }

    /// Whether the body goes to a file that takes no more.
    pub(super) fn is_unwritable(&self) -> bool {
        self.state.lock().keeping == Keeping::Unwritable
    }

    /// It will not be stored.
    pub(super) fn only_pass_on(&self) {
        self.change(|state| {
            state.keeping = Keeping::Window;
            state.let_go();
        });
    }

    /// Ready when the origin may be asked for more.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        let room = match state.keeping {
            Keeping::All | Keeping::Unwritable => true,
            Keeping::Tail => state.arrived - state.in_file() < UNWRITTEN,
            Keeping::Window => state.arrived - state.slowest() < WINDOW,
        };
        if room {
            return Poll::Ready(());
        }
        state.producer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Ready when nobody reads it; the producer decides what that means.
    pub(super) fn poll_deserted(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.readers.is_empty() {
            return Poll::Ready(());
        }
        state.producer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Follows it from its first byte.
    pub(super) fn join(self: &Arc<Self>) -> Follower {
        let seat = self.state.lock().readers.insert(Seat {
            position: 0,
            waker: None,
        });
        Follower {
            arrival: Arc::clone(self),
            seat,
            position: 0,
            reading: None,
            ended: false,
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        // Woken outside the lock, which is the first thing that each of them takes.
        let wakers: Vec<_> = state
            .readers
            .iter_mut()
            .filter_map(|(_, seat)| seat.waker.take())
            .collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl State {
    /// Where the slowest reader is; at the end, where there is none.
    fn slowest(&self) -> u64 {
        self.readers
            .iter()
            .map(|(_, seat)| seat.position)
            .min()
            .unwrap_or(self.arrived)
    }

    /// Bytes that can be read from the file.
    fn in_file(&self) -> u64 {
        // The last bytes are in the file before anybody is to have them.
        let written = self.file.as_ref().map_or(0, |(_, written)| *written);
        written.min(self.arrived)
    }

    /// Lets go of what need not be kept.
    fn let_go(&mut self) {
        let until = match self.keeping {
            Keeping::All => 0,
            Keeping::Tail | Keeping::Unwritable => self.in_file().min(self.arrived.saturating_sub(IN_STEP)),
            Keeping::Window => self.slowest(),
        };
        while self
            .pieces
            .front()
            .is_some_and(|piece| piece.start + piece.data.len() as u64 <= until)
        {
            self.pieces.pop_front();
        }
    }

    /// What is there from a position on; `None` where nothing is.
    fn at(&self, position: u64) -> Option<Bytes> {
        let index = self.pieces.partition_point(|piece| piece.start <= position);
        let piece = self.pieces.get(index.checked_sub(1)?)?;
        let skip = usize::try_from(position - piece.start).ok()?;
        (skip < piece.data.len()).then(|| piece.data.slice(skip..))
    }

    /// After a reader has moved on or left.
    fn moved(&mut self) -> Option<Waker> {
        if self.keeping == Keeping::Window {
            self.let_go();
            return self.producer.take();
        }
        self.producer.take_if(|_| self.readers.is_empty())
    }
}

/// Reads a body while it arrives.
#[derive(Debug)]
pub(super) struct Follower {
    arrival: Arc<Arrival>,
    seat: usize,
    position: u64,
    /// What comes from the file.
    reading: Option<oneshot::Receiver<Result<Bytes, Damaged>>>,
    ended: bool,
}

/// What a reader gets next.
enum Next {
    Is(Option<Result<Frame<Bytes>, Broken>>),
    InFile(oneshot::Receiver<Result<Bytes, Damaged>>),
}

impl Follower {
    /// The next piece, trailers at last where the origin sent some.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if self.reading.is_none() {
            match ready!(self.poll_memory(cx)) {
                Next::Is(frame) => return Poll::Ready(frame),
                Next::InFile(reading) => self.reading = Some(reading),
            }
        }
        let Some(reading) = &mut self.reading else {
            return Poll::Pending;
        };
        let read = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        match read {
            Ok(Ok(data)) => {
                let mut state = self.arrival.state.lock();
                let producer = Self::move_on(&mut state, self.seat, &mut self.position, data.len());
                drop(state);
                wake(producer);
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            _ => {
                self.ended = true;
                Poll::Ready(Some(Err(Broken::Closed)))
            }
        }
    }

    fn poll_memory(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        let mut state = self.arrival.state.lock();
        if let Some(data) = state.at(self.position) {
            let producer = Self::move_on(&mut state, self.seat, &mut self.position, data.len());
            drop(state);
            wake(producer);
            return Poll::Ready(Next::Is(Some(Ok(Frame::data(data)))));
        }
        let in_file = state.in_file();
        if let Some((file, _)) = &state.file
            && self.position < in_file
        {
            return Poll::Ready(Next::InFile(file.read(self.position, in_file)));
        }
        // Whoever began too late finds the beginning gone.
        let gone = self.position < state.arrived;
        let end = if gone {
            Some(End::Broken(Broken::Closed))
        } else {
            state.end.clone()
        };
        let Some(end) = end else {
            if let Some(seat) = state.readers.get_mut(self.seat) {
                seat.waker = Some(cx.waker().clone());
            }
            return Poll::Pending;
        };
        self.ended = true;
        Poll::Ready(Next::Is(match end {
            End::Complete(trailers) => trailers.map(|trailers| Ok(Frame::trailers(trailers))),
            End::Broken(why) => Some(Err(why)),
        }))
    }

    /// Gives whoever is to be woken, outside the lock.
    fn move_on(state: &mut State, seat: usize, position: &mut u64, by: usize) -> Option<Waker> {
        *position += by as u64;
        if let Some(seat) = state.readers.get_mut(seat) {
            seat.position = *position;
        }
        match state.keeping {
            Keeping::Window => state.moved(),
            Keeping::All | Keeping::Tail | Keeping::Unwritable => None,
        }
    }

    /// Whether everything was given.
    pub(super) fn is_done(&self) -> bool {
        self.ended || self.left() == Some(0)
    }

    /// Bytes that are still to be given, as far as it is known.
    pub(super) fn left(&self) -> Option<u64> {
        self.arrival.length().map(|length| length.saturating_sub(self.position))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let producer = {
            let mut state = self.arrival.state.lock();
            state.readers.try_remove(self.seat);
            state.moved()
        };
        wake(producer);
    }
}

/// Where the lock is not held any more.
fn wake(producer: Option<Waker>) {
    if let Some(producer) = producer {
        producer.wake();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn next(follower: &mut Follower) -> Poll<Option<Result<Bytes, Broken>>> {
        let mut context = Context::from_waker(Waker::noop());
        follower
            .poll_next(&mut context)
            .map(|frame| frame.map(|frame| frame.map(|frame| frame.into_data().unwrap())))
    }

    fn bytes(text: &'static str) -> Poll<Option<Result<Bytes, Broken>>> {
        Poll::Ready(Some(Ok(Bytes::from_static(text.as_bytes()))))
    }

    #[test]
    fn readers_follow_at_their_own_pace_and_begin_at_the_first_byte() {
        let arrival = Arrival::new(None);
        let mut early = arrival.join();
        assert_eq!(next(&mut early), Poll::Pending);
        arrival.push(Bytes::from_static(b"one "));
        assert_eq!(next(&mut early), bytes("one "));
        arrival.push(Bytes::from_static(b"two"));
        let mut late = arrival.join();
        assert_eq!(next(&mut late), bytes("one "));
        assert_eq!((arrival.complete(), arrival.length()), (None, None));
        assert_eq!(arrival.joined(b"!"), "one two!");
        arrival.finish(Some(arrival.joined(b"")), None);
        assert_eq!(
            next(&mut late),
            bytes("two"),
            "the place survives the joining of the pieces"
        );
        assert_eq!(next(&mut early), bytes("two"));
        assert_eq!(next(&mut early), Poll::Ready(None));
        assert_eq!(arrival.complete().unwrap(), "one two");
        assert!(early.is_done());
    }

    #[test]
    fn what_breaks_off_breaks_off_for_all() {
        let arrival = Arrival::new(Some(10));
        let mut reader = arrival.join();
        arrival.push(Bytes::from_static(b"half"));
        arrival.break_off(Broken::Timeout);
        assert_eq!(next(&mut reader), bytes("half"));
        assert_eq!(next(&mut reader), Poll::Ready(Some(Err(Broken::Timeout))));
        assert_eq!(next(&mut reader), Poll::Ready(None));
    }

    #[test]
    fn what_is_only_passed_on_is_let_go_and_waits_for_the_slowest() {
        let mut context = Context::from_waker(Waker::noop());
        let arrival = Arrival::new(None);
        let (mut fast, mut slow) = (arrival.join(), arrival.join());
        let half = Bytes::from(vec![0; 200_000]);
        arrival.push(half.clone());
        arrival.only_pass_on();
        assert!(next(&mut fast).is_ready());
        assert!(arrival.poll_room(&mut context).is_ready());
        arrival.push(half);
        assert!(next(&mut fast).is_ready());
        assert!(
            arrival.poll_room(&mut context).is_pending(),
            "the slow one has had nothing"
        );
        assert!(next(&mut slow).is_ready());
        assert!(arrival.poll_room(&mut context).is_ready());
        let mut late = arrival.join();
        assert_eq!(next(&mut late), Poll::Ready(Some(Err(Broken::Closed))));
        drop((fast, slow, late));
        assert!(arrival.poll_deserted(&mut context).is_ready());
        assert!(arrival.state.lock().pieces.is_empty());
    }
}
