//! Speaking to the admin API of a Weir that runs: which one, and a small blocking HTTP/1.1 client.

use std::fs::File;
use std::io::{self, Read, Seek as _, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::ConfigFile;
use crate::config;

/// Which Weir.
#[derive(Debug, Args)]
pub(super) struct Target {
    #[command(flatten)]
    file: ConfigFile,
    /// The admin API's HOST:PORT [default: WEIR_ADMIN, or `admin.address` of the configuration file]
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// The admin API's bearer token [default: WEIR_ADMIN_TOKEN, or `admin.token` of the configuration file]
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
}

impl Target {
    /// Works out the address and the token.
    ///
    /// # Errors
    /// When there is no address, in words for the operator.
    pub(super) fn client(&self) -> Result<Client, String> {
        let environment = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let file = self.file.path();
        let configured = config::admin(&file);
        let address = match self.admin.clone().or_else(|| environment("WEIR_ADMIN")) {
            Some(address) => address,
            None => match configured.address {
                None => {
                    return Err(format!(
                        "the admin API is off in {}: name another one with --admin",
                        file.display()
                    ));
                }
                Some(address) if address.port() == 0 => {
                    return Err(format!(
                        "admin.address in {} leaves the port open: name it with --admin",
                        file.display()
                    ));
                }
                Some(address) => reachable(address).to_string(),
            },
        };
        let token = self
            .token
            .clone()
            .or_else(|| environment("WEIR_ADMIN_TOKEN"))
            .or(configured.token);
        if token
            .as_ref()
            .is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            return Err("the token holds characters that cannot stand in a header".to_owned());
        }
        if address.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
            return Err("the admin address is written HOST:PORT".to_owned());
        }
        Ok(Client { address, token })
    }
}

/// An address that is listened on everywhere is reached on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// A client of one admin API. Every request has a connection of its own.
#[derive(Debug)]
pub(super) struct Client {
    address: String,
    token: Option<String>,
}

/// What a request carries.
pub(super) enum Body<'a> {
    /// Nothing.
    Empty,
    /// JSON.
    Json(&'a Value),
    /// A file, from its start.
    Tar(&'a mut File),
}

impl Client {
    /// Asks, and returns the JSON of a successful answer.
    ///
    /// # Errors
    /// What went wrong, in words for the operator: nobody listens, or the error that was answered.
    pub(super) fn ask(&self, method: &str, path: &str, body: Body<'_>) -> Result<Value, String> {
        let lost = |error: io::Error| format!("the connection to {} broke: {error}", self.address);
        let mut stream = self.connect()?;
        // An answer may come before all of a large body is sent, and says why it was not wanted.
        let sent = self.send(&mut stream, method, path, body);
        let mut bytes = Vec::new();
        let received = stream.take(LARGEST_ANSWER).read_to_end(&mut bytes);
        if bytes.is_empty() {
            sent.map_err(lost)?;
            received.map_err(lost)?;
        }
        let (status, body) =
            parse(&bytes).ok_or_else(|| format!("what listens on {} is not Weir's admin API", self.address))?;
        let json: Option<Value> = serde_json::from_slice(body).ok();
        if (200..300).contains(&status) {
            return Ok(json.unwrap_or(Value::Null));
        }
        match json.as_ref().and_then(|json| json.get("error")).and_then(Value::as_str) {
            Some(error) => Err(error.to_owned()),
            None => Err(format!(
                "{} answered {method} {path} with status {status}",
                self.address
            )),
        }
    }

    fn connect(&self) -> Result<TcpStream, String> {
        let addresses = self.address.to_socket_addrs().map_err(|error| {
            format!(
                "`{}` is no admin address: {error}; it is written HOST:PORT",
                self.address
            )
        })?;
        let mut failure = None;
        for address in addresses {
            match TcpStream::connect_timeout(&address, CONNECT) {
                Ok(stream) => {
                    let prepared = stream
                        .set_read_timeout(Some(ANSWER))
                        .and_then(|()| stream.set_write_timeout(Some(SEND)))
                        .and_then(|()| stream.set_nodelay(true));
                    return prepared.map(|()| stream).map_err(|error| error.to_string());
                }
                Err(error) => failure = Some(error),
            }
        }
        Err(match failure {
            Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => format!(
                "nothing listens on {}: is Weir running? (its admin address is --admin, WEIR_ADMIN, or [admin] in the \
                 configuration)",
                self.address
            ),
            Some(error) => format!("{} cannot be reached: {error}", self.address),
            None => format!("`{}` has no address", self.address),
        })
    }

    fn send(&self, stream: &mut TcpStream, method: &str, path: &str, body: Body<'_>) -> io::Result<()> {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
            self.address
        );
        if let Some(token) = &self.token {
            head.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        let mut part = |content_type: &str, length: u64| {
            head.push_str(&format!(
                "Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
            ));
            stream.write_all(head.as_bytes())
        };
        match body {
            Body::Empty => {
                head.push_str("Content-Length: 0\r\n\r\n");
                stream.write_all(head.as_bytes())
            }
            Body::Json(json) => {
                let json = json.to_string();
                part("application/json", json.len() as u64)?;
                stream.write_all(json.as_bytes())
            }
            Body::Tar(file) => {
                let length = file.seek(io::SeekFrom::End(0))?;
                file.rewind()?;
                part("application/x-tar", length)?;
                io::copy(&mut file.take(length), stream).map(drop)
            }
        }
    }
}

/// For a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Between two writes that the other side accepts.
const SEND: Duration = Duration::from_secs(30);
/// For the answer: a deployment compiles plugins first.
const ANSWER: Duration = Duration::from_secs(600);
/// Bytes of an answer.
const LARGEST_ANSWER: u64 = 64 << 20;

/// The status and the content of a whole HTTP/1.1 answer.
fn parse(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(start) = head.parse(bytes).ok()? else {
        return None;
    };
    let status = head.code?;
    let body = bytes.get(start..)?;
    let length = head
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"));
    match length {
        Some(length) => {
            let length: usize = std::str::from_utf8(length.value).ok()?.trim().parse().ok()?;
            Some((status, body.get(..length)?))
        }
        None => Some((status, body)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    use serde_json::json;

    use super::*;

    /// Answers one connection with these bytes and returns what it was sent.
    fn answering(answer: &'static str) -> (Client, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let thread = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut received = Vec::new();
            let mut byte = [0; 512];
            while !received.ends_with(b"end") {
                match stream.read(&mut byte).unwrap() {
                    0 => break,
                    length => received.extend_from_slice(&byte[..length]),
                }
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(received).unwrap()
        });
        (
            Client {
                address,
                token: Some("secret".to_owned()),
            },
            thread,
        )
    }

    #[test]
    fn a_request_carries_length_and_token() {
        let (client, server) = answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"done\":1}");
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"bytes to the end").unwrap();
        assert_eq!(
            client.ask("POST", "/v1/deploy", Body::Tar(&mut file)),
            Ok(json!({ "done": 1 }))
        );
        let request = server.join().unwrap();
        assert!(request.starts_with("POST /v1/deploy HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("\r\nAuthorization: Bearer secret\r\n"), "{request}");
        assert!(
            request.ends_with("Content-Length: 16\r\n\r\nbytes to the end"),
            "{request}"
        );
    }

    #[test]
    fn an_error_is_told_in_its_own_words() {
        let (client, server) =
            answering("HTTP/1.1 422 Unprocessable Entity\r\nContent-Length: 25\r\n\r\n{\"error\":\"no such thing\"}");
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"end").unwrap();
        let answer = client.ask("POST", "/v1/deploy", Body::Tar(&mut file));
        assert_eq!(answer, Err("no such thing".to_owned()));
        server.join().unwrap();
    }

    #[test]
    fn nobody_listens() {
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .to_string();
        let error = Client {
            address: address.clone(),
            token: None,
        }
        .ask("GET", "/", Body::Empty)
        .unwrap_err();
        assert!(
            error.contains(&format!("nothing listens on {address}: is Weir running?")),
            "{error}"
        );
    }

    #[test]
    fn whoever_answers_something_else_is_not_weir() {
        assert_eq!(parse(b"SSH-2.0-x\r\n"), None);
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"), None);
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\n\r\nwhole"), Some((200, &b"whole"[..])));
    }

    #[test]
    fn everywhere_is_reached_on_loopback() {
        assert_eq!(reachable("0.0.0.0:1".parse().unwrap()).to_string(), "127.0.0.1:1");
        assert_eq!(reachable("[::]:1".parse().unwrap()).to_string(), "[::1]:1");
        assert_eq!(reachable("10.0.0.1:1".parse().unwrap()).to_string(), "10.0.0.1:1");
    }
}
