//! The servers behind the proxy: threads of the test's own process.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::PATIENCE;
use crate::client::Transport;
use crate::message::{Request, Response};
use crate::sync::eventually;
use crate::tls::Certificate;

/// A server on a loopback port of its own, until it is dropped.
#[derive(Debug)]
pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    connections: AtomicUsize,
    open: AtomicUsize,
    seen: Mutex<Vec<Request>>,
}

impl Origin {
    /// Answers every request with what the closure makes of it, on kept-alive connections.
    pub fn start(handler: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        Self::scripted(move |connection| connection.answer(&handler))
    }

    /// As [`Self::start`], through TLS with this certificate.
    pub fn tls(certificate: &Certificate, handler: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        Self::tls_with(certificate.server_config(), handler)
    }

    /// As [`Self::tls`], with any configuration.
    pub fn tls_with(
        config: Arc<rustls::ServerConfig>,
        handler: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> Self {
        Self::over(
            move |socket| Box::new(Certificate::accept(&config, socket)),
            move |connection| connection.answer(&handler),
        )
    }

    /// Answers every request with 200 and this text.
    pub fn text(body: &str) -> Self {
        let body = body.to_owned();
        Self::start(move |_| Response::text(body.clone()))
    }

    /// Answers its n-th request with `answer n` and these headers.
    pub fn counting(headers: &'static [(&str, &str)]) -> Self {
        let count = AtomicUsize::new(0);
        Self::start(move |_| {
            let body = format!("answer {}", count.fetch_add(1, Ordering::SeqCst) + 1);
            headers.iter().fold(Response::text(body), |response, (name, value)| {
                response.header(name, value)
            })
        })
    }

    /// Answers the first request on each connection with these bytes, then closes.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::scripted(move |connection| {
            connection.request()?;
            connection.send(&bytes)
        })
    }

    /// Accepts, reads and never says a word.
    pub fn silent() -> Self {
        Self::scripted(|connection| {
            connection.drain();
            Ok(())
        })
    }

    /// Runs a script on each connection. Errors end the connection quietly: the peer is under test, not the script.
    pub fn scripted(script: impl Fn(&mut Connection) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::over(|socket| Box::new(socket), script)
    }

    fn over(
        dress: impl Fn(TcpStream) -> Box<dyn Transport> + Send + 'static,
        script: impl Fn(&mut Connection) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared::default());
        let script = Arc::new(script);
        let accepted = shared.clone();
        thread::spawn(move || accept(&listener, &accepted, &dress, &script));
        Self { address, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All requests so far whose heads were read by the scripts, in the order of their arrival.
    pub fn seen(&self) -> Vec<Request> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// How many requests came so far.
    pub fn requests(&self) -> usize {
        self.shared.seen.lock().unwrap().len()
    }

    /// The only request so far.
    pub fn only_request(&self) -> Request {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "one request was expected at the origin: {seen:#?}");
        seen.into_iter().next().unwrap()
    }

    /// Waits until so many requests have come.
    pub fn await_requests(&self, count: usize) {
        eventually(&format!("request {count} at the origin"), || {
            (self.requests() >= count).then_some(())
        });
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many connections are open now.
    pub fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then sees that it is over.
        drop(TcpStream::connect(self.address));
    }
}

fn accept(
    listener: &TcpListener,
    shared: &Arc<Shared>,
    dress: &impl Fn(TcpStream) -> Box<dyn Transport>,
    script: &Arc<impl Fn(&mut Connection) -> io::Result<()> + Send + Sync + 'static>,
) {
    for stream in listener.incoming() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        shared.connections.fetch_add(1, Ordering::SeqCst);
        shared.open.fetch_add(1, Ordering::SeqCst);
        let mut connection = Connection::new(dress(stream), shared.clone());
        let script = script.clone();
        thread::spawn(move || script(&mut connection));
    }
}

/// One connection from the proxy, as a script sees it.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<Box<dyn Transport>>,
    shared: Arc<Shared>,
}

impl Connection {
    fn new(stream: Box<dyn Transport>, shared: Arc<Shared>) -> Self {
        let socket = stream.socket();
        socket.set_nodelay(true).expect("TCP_NODELAY");
        socket.set_write_timeout(Some(PATIENCE)).expect("a write timeout");
        Self {
            stream: BufReader::new(stream),
            shared,
        }
    }

    /// Answers every request with what the closure makes of it, until the proxy closes.
    fn answer(&mut self, handler: &impl Fn(&Request) -> Response) -> io::Result<()> {
        while let Some(request) = self.request()? {
            let mut response = handler(&request);
            if request.method == "HEAD" {
                let length = response.body.len().to_string();
                response = response.header("Content-Length", &length).body("");
            }
            self.send(&response.to_bytes())?;
        }
        Ok(())
    }

    /// The next request with its body; nothing when the proxy closed.
    pub fn request(&mut self) -> io::Result<Option<Request>> {
        let request = Request::read(&mut self.stream)?;
        self.shared.seen.lock().unwrap().extend(request.clone());
        Ok(request)
    }

    /// The next request's head; its body is left to [`Self::read`].
    pub fn request_head(&mut self) -> io::Result<Option<Request>> {
        let request = Request::read_head(&mut self.stream)?;
        self.shared.seen.lock().unwrap().extend(request.clone());
        Ok(request)
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(bytes)?;
        stream.flush()
    }

    /// Reads at most this many bytes; an empty answer is the end.
    pub fn read(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; most];
        let length = self.stream.read(&mut bytes)?;
        bytes.truncate(length);
        Ok(bytes)
    }

    /// Reads exactly this many bytes.
    pub fn read_exact(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads until the proxy closes or resets the connection.
    pub fn drain(&mut self) {
        let _ = io::copy(&mut self.stream, &mut io::sink());
    }

    /// The socket itself, for protocols that follow an upgrade.
    pub fn socket(&self) -> TcpStream {
        let socket = self.stream.get_ref().socket();
        socket.try_clone().expect("a second handle of the socket")
    }

    /// Closes with a reset instead of a FIN.
    pub fn reset(&mut self) {
        let socket = socket2::SockRef::from(self.stream.get_ref().socket());
        socket.set_linger(Some(std::time::Duration::ZERO)).expect("SO_LINGER");
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A loopback address where nobody listens: connecting is refused.
pub fn refusing() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a loopback port")
}

/// A listener whose queue is full: connecting neither succeeds nor fails.
#[derive(Debug)]
pub struct BlackHole {
    listener: socket2::Socket,
    _queued: Vec<TcpStream>,
}

impl BlackHole {
    /// Fills the queue of a listener that never accepts.
    pub fn open() -> Self {
        let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        listener
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .expect("a loopback port");
        listener.listen(0).expect("listen");
        let address = listener
            .local_addr()
            .ok()
            .and_then(|address| address.as_socket())
            .expect("an address");
        // Linux keeps one connection more than the backlog; what comes then is dropped, which connecting sees as silence.
        let timeout = std::time::Duration::from_millis(100);
        let queued = std::iter::from_fn(|| TcpStream::connect_timeout(&address, timeout).ok())
            .take(16)
            .collect();
        Self {
            listener,
            _queued: queued,
        }
    }

    /// Where connecting hangs.
    pub fn address(&self) -> SocketAddr {
        self.listener
            .local_addr()
            .ok()
            .and_then(|address| address.as_socket())
            .expect("an address")
    }
}
