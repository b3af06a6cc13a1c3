//! An HTTP/2 client over TLS, thin enough to see single streams.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsConnector;

use crate::message::{Headers, Response};
use crate::tls::Certificate;

/// One HTTP/2 connection.
pub struct Client {
    runtime: Runtime,
    send: SendRequest<Bytes>,
}

impl Client {
    /// Connects, and asserts that the proxy chose `h2`.
    pub fn connect(address: SocketAddr, certificate: &Certificate) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let send = runtime.block_on(async {
            let socket = TcpStream::connect(address).await.expect("connect");
            let connector = TlsConnector::from(certificate.client_config(&["h2", "http/1.1"]));
            let stream = connector
                .connect(certificate.server_name(), socket)
                .await
                .expect("a TLS handshake");
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]), "ALPN");
            let (send, connection) = h2::client::handshake(stream).await.expect("an HTTP/2 handshake");
            tokio::spawn(connection);
            send
        });
        Self { runtime, send }
    }

    /// Sends requests at once, each on a stream of its own, and reads the answers in the order of the requests.
    pub fn fetch_all(&self, requests: Vec<http::Request<Bytes>>) -> Vec<Response> {
        let running: Vec<_> = requests
            .into_iter()
            .map(|request| self.runtime.spawn(fetch(self.send.clone(), request)))
            .collect();
        running
            .into_iter()
            .map(|one| self.runtime.block_on(one).expect("no panic").expect("a response"))
            .collect()
    }

    /// Sends a request, waits for something to happen, and resets the stream.
    pub fn send_and_reset(&self, request: http::Request<Bytes>, happened: impl FnOnce()) {
        let mut stream = self.runtime.block_on(async {
            let mut send = self.send.clone().ready().await.expect("room for a stream");
            let (_response, stream) = send.send_request(request.map(drop), true).expect("a stream");
            // Lets the connection's task write the request.
            tokio::task::yield_now().await;
            stream
        });
        happened();
        stream.send_reset(h2::Reason::CANCEL);
    }

    /// Sends one request; an error when the stream or connection was reset.
    pub fn fetch(&self, request: http::Request<Bytes>) -> Result<Response, h2::Error> {
        self.runtime.block_on(fetch(self.send.clone(), request))
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

async fn fetch(send: SendRequest<Bytes>, request: http::Request<Bytes>) -> Result<Response, h2::Error> {
    let (head, body) = request.into_parts();
    let mut send = send.ready().await?;
    let (response, mut stream) = send.send_request(http::Request::from_parts(head, ()), body.is_empty())?;
    if !body.is_empty() {
        stream.send_data(body, true)?;
    }
    let (head, mut body) = response.await?.into_parts();
    let mut content = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        content.extend_from_slice(&data);
    }
    let headers = head.headers.iter().map(|(name, value)| {
        (
            name.as_str().to_owned(),
            value.as_bytes().iter().copied().map(char::from).collect(),
        )
    });
    Ok(Response {
        status: head.status.as_u16(),
        headers: Headers(headers.collect()),
        body: content.to_vec(),
    })
}
