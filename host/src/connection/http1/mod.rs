//! HTTP/1.1 with a client: read a head, run the exchange, write the answer, and again (RFC 9112 §9.3).
//!
//! [`serve`] is the loop. It asks [`head`] for the next request, [`exchange`] answers that, with [`body`] as what the exchange has of
//! the client and [`response`] as what the client gets; [`closing`] ends it. All of them work on one [`link`].

mod body;
mod closing;
mod exchange;
mod head;
mod link;
mod response;

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};

pub use self::body::{ClientBody, ClientInterim};
pub use self::link::Waits;

use self::closing::close;
use self::exchange::{exchange, refuse};
use self::head::{Head, read_head};
use self::link::{Expectation, Link, Receiving};
use super::age::Age;
use super::{Client, http2, pinned, tunnel};
use crate::exchange::Refusal;
use crate::http1::buffer::Buffered;
use crate::http1::decode::Decoder;
use crate::http1::framing::Framing;
use crate::http1::head::RequestHead;
use crate::http1::stream::Stream;
use crate::server::pace::Pace;
use crate::server::worker::Worker;
use crate::upstream::far::Far;

/// How HTTP/1.1 ended on a connection.
#[derive(Debug)]
pub enum Ended {
    /// The connection is over.
    Closed,
    /// The first bytes were those of HTTP/2.
    Http2,
    /// Both sides have switched protocols: the server's end, and what it has sent on it.
    Switched(Box<(Far, BytesMut)>),
}

/// Whether a client may speak HTTP/2 without having asked (RFC 9113 §3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PriorKnowledge {
    /// Its first bytes are looked at.
    Accepted,
    /// It may not.
    Refused,
}

/// Serves a client until either side closes, unless its first bytes are those of HTTP/2.
///
/// Most connections are idle most of the time, and what they hold then is this future: it is kept small. Whatever is only needed
/// while something happens has a box of its own, and nothing large is named here, because what a match takes apart keeps its
/// place for as long as the match waits.
pub async fn serve(conversation: &mut Conversation) -> Ended {
    loop {
        let next = match read_head(conversation).await {
            Head::Then(act) => act.await,
            Head::Gone => return Ended::Closed,
            Head::Http2 => return Ended::Http2,
        };
        match next {
            Next::Again if conversation.is_over() => break,
            Next::Again => {}
            Next::Close => break,
            Next::Reset => {
                conversation.link.borrow_mut().io.reset_on_close();
                return Ended::Closed;
            }
            Next::Tunnel(server) => return Ended::Switched(server),
        }
    }
    close(&conversation.link).await;
    Ended::Closed
}

/// How the conversation goes on after an exchange.
enum Next {
    Again,
    Close,
    /// Without a proper end, which the client would take for the end of its response.
    Reset,
    /// The server's end, and what it has sent on it.
    Tunnel(Box<(Far, BytesMut)>),
}

/// A connection, as it is between two requests.
pub struct Conversation {
    worker: Rc<Worker>,
    client: Rc<Client>,
    link: Rc<RefCell<Link>>,
    age: Age,
    place: Place,
    prior: PriorKnowledge,
}

/// Something that happens on a connection.
pub type Act<T> = Pin<Box<dyn Future<Output = T>>>;

impl Conversation {
    /// With a client of whom nothing has been read.
    #[must_use]
    pub fn new(worker: Rc<Worker>, client: Rc<Client>, stream: Stream, prior: PriorKnowledge) -> Self {
        let (link, age) = begin(&worker, stream);
        Self {
            worker,
            client,
            link,
            age,
            place: Place::First,
            prior,
        }
    }

    /// The exchange that a request begins.
    fn exchange(&mut self, request: Box<RequestHead>) -> Act<Next> {
        let age = self.age.of_next(&self.worker.timer);
        let (worker, client, link) = (self.worker.clone(), self.client.clone(), self.link.clone());
        pinned(|| exchange(worker, client, link, request, age))
    }

    /// The answer to what is no request.
    fn refuse(&self, refusal: Refusal) -> Act<Next> {
        let (worker, client, link) = (self.worker.clone(), self.client.clone(), self.link.clone());
        Box::pin(async move {
            refuse(&worker, &client, &link, refusal, || begun(&worker, &link)).await;
            Next::Close
        })
    }

    /// Whether a draining worker has nothing more to wait for.
    fn is_over(&self) -> bool {
        self.client.draining.get() && self.link.borrow_mut().io.input().is_empty()
    }

    /// What the connection is for after HTTP/1.1.
    #[must_use]
    pub fn afterwards(self, ended: Ended) -> Option<Act<()>> {
        let Self { worker, client, .. } = self;
        let link = Rc::into_inner(self.link)?.into_inner();
        match ended {
            Ended::Closed => None,
            Ended::Http2 => {
                let (stream, received) = link.io.into_parts();
                Some(Box::pin(http2::serve(worker, client, stream, received)))
            }
            Ended::Switched(server) => Some(Box::pin(async move {
                let idle = link.waits.tunnel;
                tunnel::run(&worker, link.io.into_parts(), *server, idle).await;
            })),
        }
    }
}

/// Which request of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    First,
    Later,
}

/// Everything that a connection has, as the configuration says at its start.
fn begin(worker: &Worker, stream: Stream) -> (Rc<RefCell<Link>>, Age) {
    let state = worker.state();
    let link = Link {
        io: Buffered::new(stream, BytesMut::new()),
        incoming: Decoder::new(Framing::None),
        expectation: Expectation::None,
        deadline: worker.timer.deadline(),
        waits: state.waits.clone(),
        pace: Pace::default(),
        receiving: Receiving::Open,
    };
    let age = Age::new(&worker.timer, &state.snapshot.config);
    (Rc::new(RefCell::new(link)), age)
}

/// The head that could not be read, and what came behind it: no more than a head may be.
fn begun(worker: &Worker, link: &RefCell<Link>) -> Bytes {
    let most = worker.state().snapshot.config.limits.header_bytes;
    let mut link = link.borrow_mut();
    let input = link.io.input();
    Bytes::copy_from_slice(input.get(..most).unwrap_or(input))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::tests::size;

    #[test]
    fn an_idle_connection_holds_little() {
        let serving = size(|conversation: &'static mut Conversation| serve(conversation));
        let held = serving + size_of::<Conversation>() + size_of::<Link>() + size_of::<Client>();
        assert!(
            held <= 704,
            "{held} bytes, {serving} to serve: is something large named there?"
        );
    }
}
