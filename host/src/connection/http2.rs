//! HTTP/2 with a client (RFC 9113), by hyper: every stream is an exchange of its own.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::Client;
use crate::exchange::body::{RequestBody, ResponseBody};
use crate::exchange::{self, Answer, Interim};
use crate::http1::stream::Stream;
use crate::server::worker::Worker;

/// Spawns hyper's tasks onto the worker's own thread.
#[derive(Debug, Clone, Copy)]
struct OnThisWorker;

impl<F> hyper::rt::Executor<F> for OnThisWorker
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// The connection is to be closed without an answer.
#[derive(Debug)]
struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed by policy")
    }
}

impl std::error::Error for Closed {}

/// Serves a client until either side closes.
pub async fn serve(worker: Rc<Worker>, client: Rc<Client>, stream: Stream) {
    let state = worker.state();
    let config = &state.snapshot.config;
    let service = {
        let (worker, client) = (worker.clone(), client.clone());
        service_fn(move |request: Request<Incoming>| {
            let (worker, client) = (worker.clone(), client.clone());
            async move {
                let (parts, body) = request.into_parts();
                let answer = exchange::run(&worker, &client, parts, RequestBody::http2(body), Interim::Nowhere).await;
                answered(answer)
            }
        })
    };
    let mut builder = http2::Builder::new(OnThisWorker);
    builder
        .max_concurrent_streams(config.limits.streams)
        .max_header_list_size(u32::try_from(config.limits.header_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .max_send_buf_size(256 * 1024);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);

    let keep_alive = config.timeouts.keep_alive;
    let deadline = worker.timer.deadline();
    deadline.set(keep_alive);
    let mut closing = false;
    poll_fn(|cx| {
        if let Poll::Ready(result) = connection.as_mut().poll(cx) {
            if let Err(error) = result {
                tracing::debug!(%error, peer = %client.peer, "an HTTP/2 connection ended");
            }
            return Poll::Ready(());
        }
        if client.is_busy() {
            deadline.set(keep_alive);
        }
        let late = deadline.poll_elapsed(cx).is_ready();
        if (late || client.draining.get()) && !closing {
            closing = true;
            connection.as_mut().graceful_shutdown();
            cx.waker().wake_by_ref();
        } else if late && !client.is_busy() {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

/// HTTP/2 has no 101 (RFC 9113 §8.6), so an answer is a response or the end.
fn answered(answer: Answer) -> Result<Response<ResponseBody>, Closed> {
    match answer {
        Answer::Response(mut response) | Answer::Last(mut response) => {
            for name in [
                http::header::CONNECTION,
                http::header::TRANSFER_ENCODING,
                http::header::UPGRADE,
            ] {
                response.headers_mut().remove(name);
            }
            Ok(response)
        }
        Answer::Tunnel { .. } | Answer::Close => Err(Closed),
    }
}
