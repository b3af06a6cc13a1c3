//! WebSocket on both ends of the proxy, by an implementation that neither end shares with it.

use std::io;
use std::net::{SocketAddr, TcpStream};

use tokio_tungstenite::tungstenite::{Message, WebSocket, accept, client};

use crate::PATIENCE;
use crate::origin::Origin;

/// An origin that accepts the upgrade and sends every message back.
pub fn echo_origin() -> Origin {
    Origin::scripted(|connection| {
        let mut websocket = accept(connection.socket()).map_err(io::Error::other)?;
        loop {
            let message = websocket.read().map_err(io::Error::other)?;
            if message.is_text() || message.is_binary() {
                websocket.send(message).map_err(io::Error::other)?;
            }
        }
    })
}

/// A WebSocket through the proxy.
#[derive(Debug)]
pub struct Client(WebSocket<TcpStream>);

impl Client {
    /// Upgrades a connection of its own.
    pub fn connect(address: SocketAddr, path: &str) -> Self {
        let socket = TcpStream::connect(address).expect("connect");
        socket.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
        let (websocket, _) = client(format!("ws://weir.test{path}"), socket).expect("an upgraded connection");
        Self(websocket)
    }

    /// Sends a text and reads the next message.
    pub fn exchange(&mut self, text: &str) -> String {
        self.0.send(Message::text(text)).expect("send a message");
        self.0
            .read()
            .expect("a message")
            .into_text()
            .expect("a text")
            .to_string()
    }

    /// Closes as RFC 6455 §7 asks, and waits for the other end's answer.
    pub fn close(mut self) {
        self.0.close(None).expect("send a close frame");
        while self.0.read().is_ok() {}
    }

    /// Reads until the proxy ends the connection.
    pub fn await_end(mut self) {
        while self.0.read().is_ok() {}
    }
}
