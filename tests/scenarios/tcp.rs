//! Connections that are balanced as bytes: Redis through TLS, and TLS that is not Weir's to end.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use rustls::ClientConnection;
use weir_tests::curl::shell;
use weir_tests::message::Response;
use weir_tests::origin::{Origin, refusing};
use weir_tests::proxy::{Builder, configure};
use weir_tests::sync::eventually;
use weir_tests::tls::Certificate;

fn tcp_listener(name: &str) -> Builder {
    configure().listener(name).tables("protocol = \"tcp\"")
}

/// A server that sends back what it has read to the end, and only then.
fn echo() -> Origin {
    Origin::scripted(|connection| {
        let mut all = Vec::new();
        loop {
            let bytes = connection.read(4096)?;
            if bytes.is_empty() {
                break;
            }
            all.extend(bytes);
        }
        connection.send(&all)?;
        connection.socket().shutdown(Shutdown::Write)
    })
}

fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("connect");
    stream.set_read_timeout(Some(weir_tests::PATIENCE)).expect("a timeout");
    stream.write_all(bytes).expect("send");
    stream.shutdown(Shutdown::Write).expect("half-close");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    answer
}

struct Redis(Child);

impl Redis {
    /// On the socket `redis.sock` of a folder.
    fn start(folder: &std::path::Path) -> Self {
        let child = Command::new("redis-server")
            .args([
                "--port",
                "0",
                "--unixsocket",
                "redis.sock",
                "--save",
                "",
                "--daemonize",
                "no",
            ])
            .current_dir(folder)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server (.ci/run installs it)");
        let redis = Self(child);
        eventually("Redis", || {
            std::os::unix::net::UnixStream::connect(folder.join("redis.sock")).ok()
        });
        redis
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_real_redis_behind_tls() {
    let builder = configure()
        .tables("[[listener]]\nname = \"redis\"\naddress = \"127.0.0.1:0\"\nprotocol = \"tcp\"\n[listener.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"")
        .tables("[[tcp_route]]\nlistener = \"redis\"\nupstream = \"redis\"")
        .tables("[[upstream]]\nname = \"redis\"\nservers = [\"unix:redis.sock\"]\n[upstream.health]\nkind = \"tcp\"\ninterval = \"50ms\"");
    Certificate::new(&["weir.test"]).write(builder.folder());
    let _redis = Redis::start(builder.folder());
    let proxy = builder.start();
    let folder = proxy.folder().display();
    let port = proxy.address().port();
    let cli = format!("redis-cli -h 127.0.0.1 -p {port} --tls --cacert {folder}/cert.pem --sni weir.test");
    let run = |command: &str| shell(&format!("{cli} {command}"));
    assert_eq!(run("SET greeting hello").stdout.trim(), "OK");
    assert_eq!(run("GET greeting").stdout.trim(), "hello");
    // A pipeline of replies, larger than any buffer on the way.
    assert_eq!(
        run("EVAL \"return string.rep('x', 3000000)\" 0").stdout.trim().len(),
        3_000_000
    );
    let line = proxy.await_access("result=closed");
    assert!(
        line.contains("\"TCP weir.test\"") && line.contains("route=redis server=unix:redis.sock"),
        "{line}"
    );
    let labels = [("listener", "redis"), ("route", "redis")];
    proxy.await_metric_from("weir_tcp_connections_total", &labels, 3.0);
    let sent = proxy.metric("weir_tcp_bytes_total", &[("direction", "sent")]);
    assert!(sent > 3_000_000.0, "{sent}");
    proxy.await_metric_from(
        "weir_upstream_checks_total",
        &[("upstream", "redis"), ("result", "passed")],
        1.0,
    );
}

/// Two TLS servers that show certificates of their own, and one that takes what is left.
fn by_name(first: &Certificate, other: &Certificate) -> (Vec<Origin>, Builder) {
    let origins = vec![
        Origin::tls(first, |_| Response::text("first")),
        Origin::tls(other, |_| Response::text("other")),
        echo(),
    ];
    let builder = tcp_listener("tls")
        .tables("[[tcp_route]]\nlistener = \"tls\"\nupstream = \"first\"\nserver_names = [\"first.test\"]")
        .tables("[[tcp_route]]\nlistener = \"tls\"\nupstream = \"other\"\nserver_names = [\"*.other.test\"]")
        .tables("[[tcp_route]]\nlistener = \"tls\"\nupstream = \"rest\"")
        .upstream("first", &[origins[0].address()], "")
        .upstream("other", &[origins[1].address()], "")
        .upstream("rest", &[origins[2].address()], "");
    (origins, builder)
}

#[test]
fn the_name_in_the_handshake_decides_and_tls_goes_through_untouched() {
    let (first, other) = (Certificate::new(&["first.test"]), Certificate::new(&["a.other.test"]));
    let (_origins, builder) = by_name(&first, &other);
    let proxy = builder.start();
    assert_eq!(first.connect(proxy.address()).get("/").text_body(), "first");
    assert_eq!(other.connect(proxy.address()).get("/").text_body(), "other");
    let line = proxy.await_access("route=other");
    assert!(line.contains("\"TCP a.other.test\""), "{line}");
}

#[test]
fn a_handshake_in_many_pieces_is_put_together() {
    let (first, other) = (Certificate::new(&["first.test"]), Certificate::new(&["a.other.test"]));
    let (_origins, builder) = by_name(&first, &other);
    let proxy = builder.start();
    let mut connection = ClientConnection::new(first.client_config(&[]), first.server_name()).expect("a client");
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).expect("a handshake");
    let mut socket = TcpStream::connect(proxy.address()).expect("connect");
    socket.set_nodelay(true).expect("TCP_NODELAY");
    for piece in hello.chunks(7) {
        socket.write_all(piece).expect("send");
    }
    while connection.is_handshaking() {
        connection
            .complete_io(&mut socket)
            .expect("the certificate of first.test");
    }
}

#[test]
fn connections_without_a_name_and_without_tls_take_the_route_without_names() {
    let (first, other) = (Certificate::new(&["first.test"]), Certificate::new(&["a.other.test"]));
    let (origins, builder) = by_name(&first, &other);
    let proxy = builder.start();
    assert_eq!(exchange(proxy.address(), b"no TLS at all"), b"no TLS at all");
    // A client of an address asks for no name (RFC 6066 §3).
    let address = rustls::pki_types::ServerName::try_from("127.0.0.1").expect("an address");
    let mut connection = ClientConnection::new(first.client_config(&[]), address).expect("a client");
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).expect("a handshake");
    assert_eq!(exchange(proxy.address(), &hello), hello);
    assert_eq!(origins[2].connections(), 2);
}

#[test]
fn a_connection_that_no_route_takes_is_closed_and_counted() {
    let origin = echo();
    let proxy = tcp_listener("tls")
        .tables("[[tcp_route]]\nlistener = \"tls\"\nupstream = \"app\"\nserver_names = [\"first.test\"]")
        .upstream("app", &[origin.address()], "")
        .start();
    assert_eq!(exchange(proxy.address(), b"no TLS at all"), b"");
    proxy.await_access("result=no_route");
    proxy.await_metric("weir_tcp_connections_total", &[("result", "no_route")], 1.0);
    assert_eq!(origin.connections(), 0);
}

#[test]
fn a_side_that_has_ended_still_gets_its_answer() {
    let origin = echo();
    let proxy = tcp_listener("echo")
        .tables("[[tcp_route]]\nlistener = \"echo\"\nupstream = \"app\"")
        .upstream("app", &[origin.address()], "")
        .start();
    let sent: Vec<u8> = (0..500_000_u32).map(|number| number as u8).collect();
    assert!(
        exchange(proxy.address(), &sent) == sent,
        "what came back is something else"
    );
    let line = proxy.await_access("result=closed");
    assert!(line.contains("- 500000 \"-\" \"-\" received=500000"), "{line}");
}

#[test]
fn another_server_is_tried_when_one_cannot_be_connected_to() {
    let origin = echo();
    let proxy = tcp_listener("echo")
        .tables("[[tcp_route]]\nlistener = \"echo\"\nupstream = \"app\"")
        .upstream("app", &[refusing(), origin.address()], "")
        .start();
    for _ in 0..4 {
        assert_eq!(exchange(proxy.address(), b"hello"), b"hello");
    }
    proxy.await_metric_from("weir_upstream_retries_total", &[("upstream", "app")], 1.0);
}

#[test]
fn a_connection_without_a_byte_is_closed() {
    let origin = echo();
    let proxy = tcp_listener("echo")
        .tables("[[tcp_route]]\nlistener = \"echo\"\nupstream = \"app\"\nidle_timeout = \"50ms\"")
        .upstream("app", &[origin.address()], "")
        .start();
    let mut idle = TcpStream::connect(proxy.address()).expect("connect");
    idle.set_read_timeout(Some(weir_tests::PATIENCE)).expect("a timeout");
    assert_eq!(idle.read(&mut [0; 1]).expect("the end"), 0);
    proxy.await_access("result=idle");
}

#[test]
fn servers_that_speak_first_and_want_to_know_the_client() {
    let origin = Origin::scripted(|connection| {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.extend(connection.read_exact(1)?);
        }
        connection.send(&line)?;
        connection.socket().shutdown(Shutdown::Both)
    });
    let proxy = tcp_listener("smtp")
        .tables("[[tcp_route]]\nlistener = \"smtp\"\nupstream = \"app\"")
        .upstream("app", &[origin.address()], "proxy_protocol = \"v1\"")
        .start();
    let mut stream = TcpStream::connect(proxy.address()).expect("connect");
    let mut greeting = String::new();
    stream.read_to_string(&mut greeting).expect("a greeting");
    let (client, weir) = (stream.local_addr().expect("an address"), proxy.address());
    assert_eq!(
        greeting,
        format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\n", client.port(), weir.port())
    );
}
