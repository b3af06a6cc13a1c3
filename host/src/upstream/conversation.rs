//! One request and its response, over whichever protocol the server speaks.

use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Method;
use http_body::Frame;

use super::Fault;
use super::call::{Call, Expected};
use super::far::Far;
use super::http2;
use crate::exchange::body::RequestBody;
use crate::http1::head::ResponseHead;

/// A request under way.
#[derive(Debug)]
pub enum Conversation {
    /// On a connection of its own.
    Http1(Call),
    /// On a stream.
    Http2(http2::Call),
}

impl Conversation {
    /// The response head, within `limit`; see [`Call::response`].
    ///
    /// # Errors
    /// The fault; [`Fault::retry`] says whether another server may be tried.
    pub async fn response(
        &mut self,
        method: &Method,
        limit: Duration,
        interim: impl FnMut(&mut Context<'_>, ResponseHead),
    ) -> Result<(ResponseHead, Expected), Fault> {
        match self {
            Self::Http1(call) => call.response(method, limit, interim).await,
            Self::Http2(call) => call.response(method, limit, interim).await,
        }
    }

    /// The next frame of the response's body; `None` when it is complete.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match self {
            Self::Http1(call) => call.poll_frame(cx),
            Self::Http2(call) => call.poll_frame(cx),
        }
    }

    /// Whether the whole response has been read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match self {
            Self::Http1(call) => call.is_done(),
            Self::Http2(call) => call.is_done(),
        }
    }

    /// The request body, where not a byte of it has been taken, so that another server can have it.
    #[must_use]
    pub fn into_untouched_body(self) -> Option<RequestBody> {
        match self {
            Self::Http1(call) => call.into_untouched_body(),
            Self::Http2(call) => call.into_untouched_body(),
        }
    }

    /// The far end of the tunnel that the response opens, and what the server has sent on it.
    #[must_use]
    pub fn into_tunnel(self) -> Option<(Far, BytesMut)> {
        match self {
            Self::Http1(call) => call
                .into_tunnel()
                .map(|(stream, received)| (Far::Connection(stream), received)),
            Self::Http2(call) => Some((call.into_tunnel(), BytesMut::new())),
        }
    }
}
