//! `store`: the body of a response that the cache takes is read at the origin's pace, and not at that of the client which
//! happened to ask first. Others read along ([`crate::cache`]), so neither its slowness nor its end may be theirs.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;

use super::body::{Content, ResponseBody};
use crate::cache::{Broken, Writer};
use crate::upstream::Fault;
use crate::upstream::balance::Running;

/// Gives the body to the cache, and the client what the cache has of it. What has come already is taken at once; the rest, where
/// there is one, by a task of its own.
pub(super) async fn store(body: &mut ResponseBody, writer: Writer, running: Option<Running>) {
    let mut fill = Fill {
        content: body.take_content(),
        writer,
        last: Bytes::new(),
        trailers: None,
        _running: running,
    };
    let at_once = poll_fn(|cx| Poll::Ready(fill.poll(cx))).await;
    body.replace_content(match at_once {
        Poll::Ready(end) => {
            let reader = fill.writer.follow();
            fill.end(end).await;
            Content::Stored(reader)
        }
        Poll::Pending => {
            let reader = fill.writer.share();
            tokio::task::spawn_local(async move {
                let end = poll_fn(|cx| fill.poll(cx)).await;
                fill.end(end).await;
            });
            Content::Stored(reader)
        }
    });
}

struct Fill {
    content: Content,
    writer: Writer,
    /// The end of the body, which nobody gets before all of it is stored.
    last: Bytes,
    trailers: Option<HeaderMap>,
    /// The server is busy with this until the last byte.
    _running: Option<Running>,
}

impl Fill {
    /// Reads on until the body has ended one way or the other.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        while !self.content.is_done() {
            ready!(self.writer.poll_room(cx));
            match self.content.poll_next(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if self.content.is_done() => self.last = data,
                    Ok(data) => {
                        self.writer.push(&data);
                    }
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                },
                Poll::Ready(Some(Err(Fault::Timeout))) => return Poll::Ready(Err(Broken::Timeout)),
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Broken::Closed)),
                Poll::Ready(None) => break,
                Poll::Pending => {
                    return self.writer.poll_unwanted(cx).map(|()| Err(Broken::Closed));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    async fn end(self, end: Result<(), Broken>) {
        match end {
            Ok(()) => {
                self.writer.commit(self.last, self.trailers).await;
            }
            Err(why) => self.writer.break_off(why),
        }
    }
}
