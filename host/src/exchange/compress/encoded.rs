//! A body that is compressed while it passes.
//!
//! It is done on the worker that serves the request, as handing every piece to another thread and back would cost more than
//! compressing most of them. So that its neighbours do not wait for a large body, the others have their turn after every
//! [`STEP`] bytes of it, however fast it comes and its client takes it.

use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;

use super::super::body::Content;
use super::Encoder;
use crate::upstream::Fault;

/// Bytes of a body that are compressed before others have their turn: about a millisecond, with brotli at its default level.
const STEP: usize = 32 << 10;

/// Content, and what compresses it.
#[derive(Debug)]
pub struct Encoded {
    content: Content,
    encoder: Encoder,
    /// What has come and is not compressed yet.
    waiting: Bytes,
    /// Bytes compressed since others had their turn.
    spent: usize,
    pauses: Pauses,
    trailers: Option<Frame<Bytes>>,
    ended: bool,
}

/// What it means that nothing comes for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pauses {
    /// Nothing: the server says how long the body is, and sends it as fast as it can.
    Passing,
    /// What came so far may be an event for which the client waits.
    Meant,
}

impl Encoded {
    /// Compresses `content`, which is `told` bytes long, where that is known.
    #[must_use]
    pub fn new(content: Content, told: Option<u64>, encoder: Encoder) -> Self {
        Self {
            content,
            encoder,
            waiting: Bytes::new(),
            spent: 0,
            pauses: told.map_or(Pauses::Meant, |_| Pauses::Passing),
            trailers: None,
            ended: false,
        }
    }

    /// Whether everything was given.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.ended && self.trailers.is_none()
    }

    /// The next frame.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if self.ended {
            return Poll::Ready(self.trailers.take().map(Ok));
        }
        loop {
            if !self.waiting.is_empty() {
                if self.spent >= STEP {
                    self.spent = 0;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                let data = self.waiting.split_to(self.waiting.len().min(STEP - self.spent));
                self.spent += data.len();
                if let Some(data) = self.encoder.push(&data).transpose() {
                    return given(data);
                }
                continue;
            }
            let frame = match self.content.poll_next(cx) {
                Poll::Ready(Some(Err(fault))) => return Poll::Ready(Some(Err(fault))),
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(None) => return self.finish(),
                Poll::Pending if self.pauses == Pauses::Passing => return Poll::Pending,
                Poll::Pending => {
                    return match self.encoder.flush().transpose() {
                        None => Poll::Pending,
                        Some(data) => given(data),
                    };
                }
            };
            match frame.into_data() {
                Ok(data) => self.waiting = data,
                Err(trailers) => {
                    self.trailers = Some(trailers);
                    return self.finish();
                }
            }
        }
    }

    fn finish(&mut self) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        self.ended = true;
        given(self.encoder.finish())
    }
}

fn given(data: std::io::Result<Bytes>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
    Poll::Ready(Some(data.map(Frame::data).map_err(Fault::Io)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Read as _;
    use std::task::Waker;

    use super::*;
    use crate::config::{Coding, Compression};

    #[test]
    fn others_have_their_turn_while_a_large_body_is_compressed() {
        let plain = vec![b'x'; 40 * STEP];
        let encoder = Encoder::new(Coding::Gzip, &Compression::default()).unwrap();
        let content = Content::Ready(Bytes::from(plain.clone()));
        let mut encoded = Encoded::new(content, Some(plain.len() as u64), encoder);
        let mut context = Context::from_waker(Waker::noop());
        let (mut sent, mut turns) = (Vec::new(), 0);
        loop {
            match encoded.poll_next(&mut context) {
                Poll::Pending => turns += 1,
                Poll::Ready(Some(frame)) => sent.extend(frame.unwrap().into_data().unwrap()),
                Poll::Ready(None) => break,
            }
        }
        assert_eq!(turns, 39);
        let mut decoded = Vec::new();
        flate2::read::GzDecoder::new(&*sent).read_to_end(&mut decoded).unwrap();
        assert_eq!(decoded, plain);
    }
}
