//! An HTTP/1.1 client that sends exactly the bytes that it is given, in clear or through TLS.

use std::fmt::Debug;
use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::PATIENCE;
use crate::message::{Request, Response};

/// Sends one request on a connection of its own and reads the answer.
pub fn fetch(address: SocketAddr, request: &Request) -> Response {
    Client::connect(address).fetch(request)
}

/// A GET on a connection of its own.
pub fn get(address: SocketAddr, target: &str) -> Response {
    fetch(address, &Request::get(target))
}

/// What bytes travel over: a socket, or TLS on one.
pub trait Transport: Read + Write + Send + Debug {
    /// The socket below.
    fn socket(&self) -> &TcpStream;
}

impl Transport for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

/// One connection to the proxy.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<Box<dyn Transport>>,
}

impl Client {
    /// Connects in clear.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("connect to {address}: {error}"));
        Self::over(Box::new(stream))
    }

    /// Takes a connection that exists.
    pub fn over(transport: Box<dyn Transport>) -> Self {
        let socket = transport.socket();
        socket.set_nodelay(true).expect("TCP_NODELAY");
        socket.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
        socket.set_write_timeout(Some(PATIENCE)).expect("a write timeout");
        Self {
            stream: BufReader::new(transport),
        }
    }

    /// Sends a request and reads the answer.
    pub fn fetch(&mut self, request: &Request) -> Response {
        self.send(request.to_bytes());
        self.response_to(&request.method)
    }

    /// A GET.
    pub fn get(&mut self, target: &str) -> Response {
        self.fetch(&Request::get(target))
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("send to the proxy");
    }

    /// Sends bytes to a proxy that may have closed already.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())?;
        self.stream.get_mut().flush()
    }

    /// Says that nothing more will be sent.
    pub fn finish_sending(&self) {
        self.stream
            .get_ref()
            .socket()
            .shutdown(std::net::Shutdown::Write)
            .expect("half-close");
    }

    /// Reads the answer to a GET.
    pub fn response(&mut self) -> Response {
        self.response_to("GET")
    }

    /// Reads the answer to a request of this method.
    pub fn response_to(&mut self, method: &str) -> Response {
        Response::read(&mut self.stream, method).unwrap_or_else(|error| panic!("no whole response: {error}"))
    }

    /// Reads an answer whose content may be cut short.
    pub fn try_response(&mut self) -> std::io::Result<Response> {
        Response::read(&mut self.stream, "GET")
    }

    /// Reads the head of an answer.
    pub fn response_head(&mut self) -> Response {
        Response::read_head(&mut self.stream).unwrap_or_else(|error| panic!("no response head: {error}"))
    }

    /// Reads exactly this many bytes.
    pub fn read_exact(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.stream
            .read_exact(&mut bytes)
            .unwrap_or_else(|error| panic!("read {length} bytes: {error}"));
        bytes
    }

    /// Reads everything until the proxy closes; a reset counts as the end.
    pub fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!(
                "the proxy did not close: {error}, after {:?}",
                String::from_utf8_lossy(&bytes)
            ),
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Asserts that the proxy closes without another byte.
    pub fn assert_closed(&mut self) {
        assert_eq!(self.rest(), "", "the proxy was expected to close");
    }

    /// The socket itself, for protocols that follow an upgrade. Nothing may have been read ahead.
    pub fn socket(&self) -> TcpStream {
        assert!(self.stream.buffer().is_empty(), "bytes came before they were expected");
        self.stream
            .get_ref()
            .socket()
            .try_clone()
            .expect("a second handle of the socket")
    }
}
