//! From an accepted socket to a served connection.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::listeners::Socket;
use super::worker::Worker;
use crate::connection::{Client, http1, http2};
use crate::exchange::subject::Scheme;
use crate::http1::stream::Stream;
use crate::telemetry::{Counter, Gauge, families};

/// How long a worker waits when the system gives no more descriptors.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// One worker's side of a listener.
struct Acceptor {
    worker: Rc<Worker>,
    name: Arc<str>,
    slot: usize,
    tls: Option<TlsAcceptor>,
    accepted: Counter,
    refused: Counter,
    failed_handshakes: Counter,
    active: Gauge,
    requests: Rc<Gauge>,
}

/// Which protocol the client speaks.
enum Protocol {
    Http1,
    Http2,
}

/// Accepts until told to stop, and then what waits already.
pub async fn run(worker: Rc<Worker>, socket: Socket, stop: tokio::sync::oneshot::Receiver<()>) {
    let listener = match TcpListener::from_std(socket.socket) {
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
        tls: socket.tls.map(|tls| TlsAcceptor::from(tls.config.clone())),
        accepted: metrics.counter(&families::CONNECTIONS_ACCEPTED, &[&name]),
        refused: refused("limit"),
        failed_handshakes: refused("handshake"),
        active: metrics.gauge(&families::CONNECTIONS_ACTIVE, &[&name]),
        requests: Rc::new(metrics.gauge(&families::REQUESTS_ACTIVE, &[&name])),
        name: name.clone(),
        worker: worker.clone(),
    });
    let mut stop = stop;
    loop {
        tokio::select! {
            biased;
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => acceptor.clone().admit(stream),
                Err(error) => {
                    // Out of descriptors, most likely: connections that end give some back.
                    tracing::warn!(%error, listener = %acceptor.name, "cannot accept a connection");
                    tokio::time::sleep(EXHAUSTED).await;
                }
            },
            _ = &mut stop => break,
        }
    }
    // What the kernel has completed for this socket would be reset with it.
    let waker = std::task::Waker::noop();
    let mut context = std::task::Context::from_waker(waker);
    while let std::task::Poll::Ready(Ok((stream, _))) = listener.poll_accept(&mut context) {
        acceptor.clone().admit(stream);
    }
}

impl Acceptor {
    fn admit(self: Rc<Self>, stream: TcpStream) {
        self.accepted.increment();
        let limit = self.worker.state().snapshot.config.limits.connections;
        if self.worker.connections.get() >= limit {
            // The newest is the cheapest to refuse: closed without a byte.
            self.refused.increment();
            return;
        }
        let Ok(peer) = stream.peer_addr() else { return };
        let open = Open::new(&self);
        tokio::task::spawn_local(async move {
            let _open = open;
            let client = Rc::new(Client {
                peer,
                listener: self.name.clone(),
                slot: self.slot,
                scheme: if self.tls.is_some() {
                    Scheme::Https
                } else {
                    Scheme::Http
                },
                draining: self.worker.draining.clone(),
                running: Cell::new(0),
                active: self.requests.clone(),
            });
            // Small answers leave at once; a socket that cannot be told so still works.
            let _ = stream.set_nodelay(true);
            let Some((stream, protocol)) = self.handshake(stream).await else {
                return;
            };
            match protocol {
                Protocol::Http1 => http1::serve(self.worker.clone(), client, stream).await,
                Protocol::Http2 => http2::serve(self.worker.clone(), client, stream).await,
            }
        });
    }

    async fn handshake(&self, stream: TcpStream) -> Option<(Stream, Protocol)> {
        let Some(tls) = &self.tls else {
            return Some((Stream::Tcp(stream), Protocol::Http1));
        };
        let deadline = self.worker.timer.deadline();
        let limit = self.worker.state().snapshot.config.timeouts.handshake;
        match deadline.within(limit, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let protocol = match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => Protocol::Http2,
                    _ => Protocol::Http1,
                };
                Some((Stream::TlsServer(Box::new(stream)), protocol))
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, listener = %self.name, "a TLS handshake failed");
                self.failed_handshakes.increment();
                None
            }
            Err(_) => {
                self.failed_handshakes.increment();
                None
            }
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
