//! A body that is compressed while it passes.

use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;

use super::super::body::Content;
use super::Encoder;
use crate::upstream::Fault;

/// Content, and what compresses it.
#[derive(Debug)]
pub struct Encoded {
    content: Content,
    encoder: Encoder,
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
                Ok(data) => {
                    if let Some(data) = self.encoder.push(&data).transpose() {
                        return given(data);
                    }
                }
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
