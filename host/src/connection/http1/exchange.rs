//! One exchange: from a request head to the last byte of its answer, and whether the connection goes on afterwards.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use http::{HeaderMap, Method, Version};

use super::Next;
use super::body::{self, ClientInterim};
use super::closing::{drain, may_drain};
use super::link::Link;
use super::response::{Broken, Sending};
use crate::connection::Client;
use crate::exchange::{self, Answer, Interim, Refusal};
use crate::http1::encode;
use crate::http1::framing;
use crate::http1::head::{Persistence, RequestHead};
use crate::server::worker::Worker;

/// Runs one exchange and writes its answer. (Inlined where it is made: only then is it made in its place.)
#[inline]
pub(super) async fn exchange(
    worker: Rc<Worker>,
    client: Rc<Client>,
    link: Rc<RefCell<Link>>,
    head: Box<RequestHead>,
    age: Persistence,
) -> Next {
    let (worker, client, link) = (&worker, &client, &link);
    let framing = match framing::of_request(&head) {
        Ok(framing) => framing,
        Err(fault) => {
            // In a box, as everything here that is rare and large: what an exchange takes is to be had the allocator's fast way.
            Box::pin(refuse(worker, client, link, Refusal::Malformed(fault), || {
                head.received
            }))
            .await;
            return Next::Close;
        }
    };
    let version = head.version;
    let method = head.method.clone();
    let persistence = match age {
        Persistence::KeepAlive => head.persistence(),
        Persistence::Close => Persistence::Close,
    };
    let body = body::prepare(link, framing, &head);
    let interim = if version >= Version::HTTP_11 {
        Interim::Http1(ClientInterim(link.clone()))
    } else {
        Interim::Nowhere
    };

    let answer = {
        let exchange = pin!(exchange::run(worker, client, head, body, interim));
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
                Persistence::KeepAlive if unread => Box::pin(drain(link)).await,
                Persistence::KeepAlive => Next::Again,
            }
        }
        Answer::Tunnel {
            response,
            stream,
            received,
        } => {
            switch_protocols(link, &response.head().headers).await;
            drop(response);
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
pub(super) async fn refuse(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::tests::size;

    /// What mimalloc gives without looking for a page.
    const SMALL: usize = 1024;

    #[test]
    fn an_exchange_is_had_the_allocators_fast_way() {
        type Given = (Rc<Worker>, Rc<Client>, Rc<RefCell<Link>>, Box<RequestHead>, Persistence);
        let whole = size(|(worker, client, link, head, age): Given| exchange(worker, client, link, head, age));
        assert!(whole <= SMALL, "{whole} bytes: is something large named there?");
    }
}
