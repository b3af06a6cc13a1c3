//! A server that speaks HTTP/2, in clear with prior knowledge or through TLS.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::tls::Certificate;

/// A request as the origin saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The head.
    pub head: Arc<http::request::Parts>,
    /// The body.
    pub body: Bytes,
    /// What followed it.
    pub trailers: HeaderMap,
}

/// What the origin does with a request.
#[derive(Debug)]
pub enum Reply {
    /// A response, its body, and perhaps trailers.
    Response(http::Response<()>, Bytes, Option<HeaderMap>),
    /// An interim response before a final one.
    Interim(http::Response<()>, http::Response<()>, Bytes),
    /// RST_STREAM.
    Reset(h2::Reason),
    /// A response, and GOAWAY.
    LastResponse(http::Response<()>, Bytes),
}

/// The server, until it is dropped.
pub struct Http2Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// The origin's thread ends when this is dropped.
    _stop: oneshot::Sender<()>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
}

impl Http2Origin {
    /// In clear.
    pub fn start(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::over(None, handler)
    }

    /// Through TLS, offering these protocols by ALPN.
    pub fn tls(
        certificate: &Certificate,
        protocols: &[&str],
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let mut config = (*certificate.server_config()).clone();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Self::over(Some(TlsAcceptor::from(Arc::new(config))), handler)
    }

    fn over(tls: Option<TlsAcceptor>, handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared::default());
        let handler: Arc<Handler> = Arc::new(handler);
        let (stop, stopped) = oneshot::channel::<()>();
        let accepted = shared.clone();
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, tls, accepted, handler) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            shared,
            _stop: stop,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl std::fmt::Debug for Http2Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http2Origin").finish_non_exhaustive()
    }
}

type Handler = dyn Fn(&Seen) -> Reply + Send + Sync;

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>, handler: Arc<Handler>) {
    while let Ok((socket, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let (tls, shared, handler) = (tls.clone(), shared.clone(), handler.clone());
        tokio::spawn(async move {
            match tls {
                None => serve(socket, shared, handler).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(socket).await {
                        serve(stream, shared, handler).await;
                    }
                }
            }
        });
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, shared: Arc<Shared>, handler: Arc<Handler>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    let (leave, mut leaving) = tokio::sync::mpsc::unbounded_channel::<()>();
    loop {
        tokio::select! {
            request = connection.accept() => {
                let Some(Ok((request, respond))) = request else { return };
                tokio::spawn(answer(request, respond, shared.clone(), handler.clone(), leave.clone()));
            }
            Some(()) = leaving.recv() => connection.graceful_shutdown(),
        }
    }
}

async fn answer(
    request: http::Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    shared: Arc<Shared>,
    handler: Arc<Handler>,
    leave: tokio::sync::mpsc::UnboundedSender<()>,
) {
    let (head, mut stream) = request.into_parts();
    let mut body = BytesMut::new();
    while let Some(Ok(data)) = stream.data().await {
        let _ = stream.flow_control().release_capacity(data.len());
        body.extend_from_slice(&data);
    }
    let trailers = stream.trailers().await.ok().flatten().unwrap_or_default();
    let seen = Seen {
        head: Arc::new(head),
        body: body.freeze(),
        trailers,
    };
    shared.seen.lock().unwrap().push(seen.clone());
    let (response, body, trailers) = match handler(&seen) {
        Reply::Response(response, body, trailers) => (response, body, trailers),
        Reply::Interim(interim, response, body) => {
            let _ = respond.send_informational(interim);
            (response, body, None)
        }
        Reply::Reset(reason) => return respond.send_reset(reason),
        Reply::LastResponse(response, body) => {
            let _ = leave.send(());
            (response, body, None)
        }
    };
    let Ok(mut send) = respond.send_response(response, false) else {
        return;
    };
    let _ = send.send_data(body, trailers.is_none());
    if let Some(trailers) = trailers {
        let _ = send.send_trailers(trailers);
    }
}
