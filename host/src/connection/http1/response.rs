//! A response on its way to the client: its head, and its body as it comes and as the client takes it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use http::{Method, Version};

use super::link::Link;
use crate::cache::StoredHead;
use crate::exchange::response::Response;
use crate::http1::buffer::COPY_LIMIT;
use crate::http1::encode::{self, ResponseLine, Told};
use crate::http1::framing::Framing;
use crate::http1::head::Persistence;
use crate::server::pace::Pace;
use crate::server::worker::Worker;

/// A response on its way to the client, its body as it comes.
pub(super) struct Sending {
    /// Until all of it is queued.
    response: Option<Response>,
    framing: Framing,
    writing: Writing,
    taking: Taking,
}

impl Sending {
    /// Queues the head.
    pub(super) fn begin(
        worker: &Worker,
        link: &RefCell<Link>,
        mut response: Response,
        method: &Method,
        version: Version,
        persistence: Persistence,
    ) -> Self {
        let head = response.head();
        let framing = match response.length() {
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
        let without_content = method == Method::HEAD || encode::has_no_content(head.status);
        let framing = if without_content { Framing::None } else { framing };
        let told = match response.told_length() {
            _ if !without_content => Told::Framing(framing),
            Some(length) => Told::Length(length),
            None => Told::Nothing,
        };
        let line = ResponseLine {
            status: head.status,
            told,
            persistence,
            version,
            date: &worker.timer.date(),
            lines: response.stored_head().map(StoredHead::lines).unwrap_or_default(),
        };
        encode::response_head(link.borrow_mut().io.out(), &line, &head.headers);
        response.forget_head();
        Self {
            response: Some(response),
            framing,
            writing: if without_content { Writing::End } else { Writing::Body },
            taking: Taking::default(),
        }
    }

    /// Writes everything. `Err` when the client is gone, too slow, or the body broke off.
    pub(super) async fn finish(&mut self, link: &RefCell<Link>) -> Result<(), Broken> {
        let written = poll_fn(|cx| self.poll(cx, link)).await;
        link.borrow().deadline.clear();
        written.map_err(|()| match self.framing {
            Framing::UntilClose => Broken::LooksWhole,
            _ => Broken::Shows,
        })
    }

    fn poll(&mut self, cx: &mut Context<'_>, link: &RefCell<Link>) -> Poll<Result<(), ()>> {
        let Self {
            response,
            framing,
            writing,
            taking,
        } = self;
        poll_write(cx, link, response, *framing, writing, taking)
    }
}

/// A response that was not written to its end, as its reader sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// Its length or its last chunk is missing.
    Shows,
    /// The connection's end is the body's (HTTP/1.0).
    LooksWhole,
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
    response: &mut Option<Response>,
    framing: Framing,
    state: &mut Writing,
    taking: &mut Taking,
) -> Poll<Result<(), ()>> {
    loop {
        let mut starved = false;
        let mut moved = false;
        while let Some(response) = response.as_mut()
            && *state == Writing::Body
            && !link.borrow().io.is_full()
        {
            if matches!(framing, Framing::Length(_))
                && let Some(data) = response.next_lent(COPY_LIMIT)
            {
                moved = true;
                link.borrow_mut().io.out().extend_from_slice(data.as_ref());
                continue;
            }
            if matches!(framing, Framing::Length(_))
                && link.borrow().io.takes_files()
                && let Some(part) = response.next_file()
            {
                moved = true;
                link.borrow_mut().io.queue_file(part);
                continue;
            }
            // The body may read from the client (a request that is still being sent), so the link is not borrowed here.
            match response.poll_next(cx) {
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
            // What the exchange has left to do is done while the processor has it in its caches.
            *response = None;
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
