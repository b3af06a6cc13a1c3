//! From an accepted socket to a served connection.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::{TcpListener, UnixListener};

use super::clients::{Admitted, Overload};
use super::handshake::{self, Failed};
use super::inherited::Listening;
use super::listeners;
use super::tls::ListenerTls;
use super::worker::Worker;
use crate::config;
use crate::connection::http1::{Act, Conversation, Ended, PriorKnowledge};
use crate::connection::{Client, Policy, http1, http2, tcp};
use crate::exchange::subject::Scheme;
use crate::http1::stream::{Socket, Stream};
use crate::telemetry::{Counter, Gauge, families};

/// How long a worker waits when the system gives no more descriptors.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// One worker's side of a listener.
struct Acceptor {
    worker: Rc<Worker>,
    listener: Arc<config::Listener>,
    slot: usize,
    policy: Rc<Policy>,
    tls: Option<Arc<ListenerTls>>,
    /// Whether HTTP/2 may be spoken where no TLS is.
    in_clear: PriorKnowledge,
    accepted: Counter,
    refused: [Counter; Overload::ALL.len()],
    failed_handshakes: Counter,
    failed_proxy_headers: Counter,
    active: Gauge,
    requests: Rc<Gauge>,
}

/// Which protocol the client speaks.
enum Protocol {
    Tcp,
    Http1(PriorKnowledge),
    Http2,
}

/// A connection whose client is known.
enum Begun {
    /// Without a box: most connections that are idle speak HTTP/1.1.
    Http1(Conversation),
    Other(Act<()>),
}

impl Begun {
    /// What the connection is for after HTTP/1.1.
    fn afterwards(self, ended: Ended) -> Option<Act<()>> {
        match self {
            Self::Http1(conversation) => conversation.afterwards(ended),
            Self::Other(_) => None,
        }
    }
}

/// Accepts until told to stop, and then what waits already.
pub async fn run(worker: Rc<Worker>, socket: listeners::Socket, stop: tokio::sync::oneshot::Receiver<()>) {
    let listener = match Listener::new(socket.socket) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, listener = %socket.listener.name, "cannot accept connections");
            return;
        }
    };
    let name = socket.listener.name.clone();
    let metrics = worker.control().metrics();
    let refused = |reason| metrics.counter(&families::CONNECTIONS_REFUSED, &[&name, reason]);
    let acceptor = Rc::new(Acceptor {
        slot: worker.slot(&name),
        tls: socket.tls,
        in_clear: if socket.listener.http2 {
            PriorKnowledge::Accepted
        } else {
            PriorKnowledge::Refused
        },
        accepted: metrics.counter(&families::CONNECTIONS_ACCEPTED, &[&name]),
        refused: Overload::ALL.map(|overload| refused(overload.as_str())),
        failed_handshakes: refused("handshake"),
        failed_proxy_headers: refused("proxy_header"),
        active: metrics.gauge(&families::CONNECTIONS_ACTIVE, &[&name]),
        requests: Rc::new(metrics.gauge(&families::REQUESTS_ACTIVE, &[&name])),
        policy: Rc::new(Policy::of(&socket.listener)),
        listener: socket.listener,
        worker: worker.clone(),
    });
    let mut stop = stop;
    loop {
        tokio::select! {
            biased;
            accepted = poll_fn(|cx| listener.poll_accept(cx)) => match accepted {
                Ok((stream, peer)) => acceptor.clone().admit(stream, peer),
                Err(error) => {
                    // Out of descriptors, most likely: connections that end give some back.
                    tracing::warn!(%error, listener = %acceptor.listener.name, "cannot accept a connection");
                    tokio::time::sleep(EXHAUSTED).await;
                }
            },
            _ = &mut stop => break,
        }
    }
    // What the kernel has completed for this socket would be reset with it.
    let waker = std::task::Waker::noop();
    let mut context = Context::from_waker(waker);
    while let Poll::Ready(Ok((stream, peer))) = listener.poll_accept(&mut context) {
        acceptor.clone().admit(stream, peer);
    }
}

impl Acceptor {
    fn admit(self: Rc<Self>, stream: Socket, peer: SocketAddr) {
        self.accepted.increment();
        let clients = self.worker.control().clients();
        let descriptor = stream.as_fd().as_raw_fd();
        let state = self.worker.state();
        let config = &state.snapshot.config;
        // Behind a proxy that names its clients there are many of them: each counts once it is named.
        let admitted = if handshake::expects_header(&self.listener, peer) {
            clients.enter(descriptor, config)
        } else {
            clients.admit(peer.ip(), descriptor, config)
        };
        // The newest is the cheapest to refuse: closed without a byte.
        let place = match admitted {
            Ok(place) => place,
            Err(overload) => return self.refuse(overload),
        };
        let open = Open::new(&self);
        // Small answers leave at once.
        stream.set_nodelay();
        // An idle connection is not to be as large as a handshake, so that has a box of its own.
        let introduced = Box::pin(self.clone().introduce(stream, peer, place));
        tokio::task::spawn_local(async move {
            let _open = open;
            let Some(mut begun) = introduced.await else { return };
            let ended = match &mut begun {
                Begun::Http1(conversation) => http1::serve(conversation).await,
                Begun::Other(served) => {
                    served.await;
                    return;
                }
            };
            if let Some(served) = begun.afterwards(ended) {
                served.await;
            }
        });
    }

    /// The client, once it is known and what comes before its first request is over.
    async fn introduce(self: Rc<Self>, socket: Socket, peer: SocketAddr, mut place: Admitted) -> Option<Begun> {
        let opened = match handshake::open(&self.worker, &self.listener, self.tls.as_ref(), socket, peer).await {
            Ok(opened) => opened,
            Err(failed) => {
                tracing::debug!(%failed, %peer, listener = %self.listener.name, "a connection was given up");
                match failed {
                    Failed::ProxyHeader(_) => self.failed_proxy_headers.increment(),
                    Failed::Tls(_) | Failed::Late => self.failed_handshakes.increment(),
                }
                return None;
            }
        };
        if opened.named
            && let Err(overload) = place.belong(opened.peer.ip(), &self.worker.state().snapshot.config)
        {
            self.refuse(overload);
            return None;
        }
        let client = Client {
            peer: opened.peer,
            place,
            destination: opened.destination,
            identity: opened.identity,
            listener: self.listener.name.clone(),
            slot: self.slot,
            scheme: if self.tls.is_some() {
                Scheme::Https
            } else {
                Scheme::Http
            },
            policy: self.policy.clone(),
            draining: self.worker.draining.clone(),
            running: Cell::new(0),
            active: self.requests.clone(),
        };
        Some(self.begin(Rc::new(client), opened.stream))
    }

    /// Begins to speak what the two sides have agreed on.
    fn begin(&self, client: Rc<Client>, stream: Stream) -> Begun {
        let worker = self.worker.clone();
        match self.protocol(&stream) {
            Protocol::Tcp => Begun::Other(Box::pin(tcp::serve(worker, client, stream))),
            Protocol::Http1(prior) => Begun::Http1(Conversation::new(worker, client, stream, prior)),
            Protocol::Http2 => Begun::Other(Box::pin(http2::serve(worker, client, stream, BytesMut::new()))),
        }
    }

    fn refuse(&self, overload: Overload) {
        let at = Overload::ALL.iter().position(|known| *known == overload);
        if let Some(refused) = at.and_then(|at| self.refused.get(at)) {
            refused.increment();
        }
    }

    /// What the two sides have agreed on by ALPN.
    fn protocol(&self, stream: &Stream) -> Protocol {
        match stream {
            _ if self.listener.carries == config::Carries::Tcp => Protocol::Tcp,
            Stream::TlsServer(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => Protocol::Http2,
            // Through TLS the protocol is negotiated (RFC 9113 §3.2).
            Stream::TlsServer(_) => Protocol::Http1(PriorKnowledge::Refused),
            _ => Protocol::Http1(self.in_clear),
        }
    }
}

/// A socket on which connections arrive, in the worker's event loop.
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn new(socket: Listening) -> io::Result<Self> {
        match socket {
            Listening::Tcp(socket) => TcpListener::from_std(socket).map(Self::Tcp),
            Listening::Unix(socket) => UnixListener::from_std(socket).map(Self::Unix),
        }
    }

    /// A connection and the address at its other end, for which the loopback stands in where it is a Unix socket's.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Socket, SocketAddr)>> {
        match self {
            Self::Tcp(listener) => listener
                .poll_accept(cx)
                .map_ok(|(stream, peer)| (Socket::Tcp(stream), peer)),
            Self::Unix(listener) => listener
                .poll_accept(cx)
                .map_ok(|(stream, _)| (Socket::Unix(stream), (Ipv4Addr::LOCALHOST, 0).into())),
        }
    }
}

/// Counts a connection while it is open.
struct Open(Rc<Acceptor>);

impl Open {
    fn new(acceptor: &Rc<Acceptor>) -> Self {
        let connections = &acceptor.worker.connections;
        connections.set(connections.get() + 1);
        acceptor.active.increment();
        Self(acceptor.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let connections = &self.0.worker.connections;
        connections.set(connections.get().saturating_sub(1));
        self.0.active.decrement();
    }
}
