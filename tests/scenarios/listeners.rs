//! Where clients connect: several addresses, Unix sockets, IPv6, sockets that systemd passes.

use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use weir_tests::client::{self, Client};
use weir_tests::message::{Request, Response};
use weir_tests::origin::Origin;
use weir_tests::proxy::{Builder, configure};
use weir_tests::sync::eventually;

fn behind(listener: &str, origin: &Origin) -> Builder {
    configure()
        .tables(&format!("[[listener]]\nname = \"web\"\n{listener}"))
        .route("all", "app", "")
        .upstream("app", &[origin.address()], "")
}

fn get_over_unix(path: &Path) -> Response {
    let mut stream = UnixStream::connect(path).expect("connect to the socket");
    stream.write_all(&Request::get("/").to_bytes()).expect("send");
    Response::read(&mut BufReader::new(stream), "GET").expect("a response")
}

#[test]
fn one_listener_on_several_addresses() {
    let origin = Origin::text("ok");
    let proxy = behind("address = [\"127.0.0.1:0\", \"[::1]:0\", \"unix:weir.sock\"]", &origin).start();
    let listeners = proxy.status()["listeners"].as_array().expect("listeners").clone();
    assert_eq!(listeners.len(), 3, "{listeners:?}");
    for listener in &listeners {
        assert_eq!(listener["name"], "web");
        let address = listener["address"].as_str().expect("an address");
        let response = match address.strip_prefix("unix:") {
            Some(path) => get_over_unix(&proxy.folder().join(path)),
            None => client::get(address.parse().expect("a socket address"), "/"),
        };
        assert_eq!(
            (response.status, response.text_body().as_str()),
            (200, "ok"),
            "{address}"
        );
    }
    proxy.await_metric("weir_connections_accepted_total", &[("listener", "web")], 3.0);
}

#[test]
fn a_unix_socket_has_the_permissions_that_it_is_given_and_survives_a_restart() {
    let origin = Origin::text("ok");
    let proxy = behind(
        "address = [\"127.0.0.1:0\", \"unix:weir.sock\"]\nunix_mode = \"0600\"",
        &origin,
    )
    .start();
    let path = proxy.folder().join("weir.sock");
    let mode = std::fs::metadata(&path).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(get_over_unix(&path).status, 200);
    let line = proxy.await_access("listener=web");
    assert!(line.starts_with("127.0.0.1 "), "{line}");
    let proxy = proxy.restart();
    assert_eq!(get_over_unix(&proxy.folder().join("weir.sock")).status, 200);
}

#[test]
fn a_server_behind_a_unix_socket() {
    let builder = configure()
        .listener("http")
        .route("all", "app", "host_header = \"server\"");
    let listener = UnixListener::bind(builder.folder().join("app.sock")).expect("a socket");
    let served = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        let mut reader = BufReader::new(stream);
        let request = Request::read(&mut reader).expect("a request").expect("a request");
        let answer = Response::text("over unix").to_bytes();
        reader.get_mut().write_all(&answer).expect("answer");
        request
    });
    let proxy = builder
        .tables("[[upstream]]\nname = \"app\"\nservers = [\"unix:app.sock\"]")
        .start();
    assert_eq!(proxy.get("/").text_body(), "over unix");
    let request = served.join().expect("the server");
    assert_eq!(request.headers.get("host"), Some("localhost"));
}

#[test]
fn systemd_passes_a_socket_in_which_clients_wait_already() {
    let origin = Origin::text("ok");
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("its address");
    // Connected before there is anybody to accept: the kernel keeps it.
    let mut early = Client::over(Box::new(TcpStream::connect(address).expect("connect")));
    let proxy = behind("address = \"systemd:web\"", &origin)
        .socket("web", socket)
        .start();
    assert_eq!(proxy.address(), address);
    assert_eq!(early.get("/").text_body(), "ok");
    assert_eq!(proxy.get("/").text_body(), "ok");
}

/// With systemd's own program, which listens, and becomes Weir once there is a client.
#[test]
fn systemd_starts_weir_for_its_first_client() {
    let origin = Origin::text("ok");
    let address = weir_tests::origin::refusing();
    let first = std::thread::spawn(move || {
        let socket = eventually("systemd's socket", || TcpStream::connect(address).ok());
        let mut client = Client::over(Box::new(socket));
        client.get("/").text_body()
    });
    let proxy = behind("address = \"systemd:web\"", &origin)
        .by_systemd("web", address)
        .start();
    assert_eq!(first.join().expect("the first client"), "ok");
    assert_eq!(proxy.listener("web"), address);
    assert_eq!(proxy.get("/").text_body(), "ok");
}

#[test]
fn a_name_that_systemd_did_not_pass_is_an_error_at_the_start() {
    let origin = Origin::text("ok");
    let builder = behind("address = \"systemd:web\"", &origin);
    let output = builder.fails_to_start();
    assert!(
        output.stderr.contains("systemd has passed no socket of this name"),
        "{}",
        output.stderr
    );
}

#[test]
fn settings_of_a_listener_change_and_its_port_stays() {
    let origin = Origin::text("ok");
    let certificate = weir_tests::tls::Certificate::new(&["weir.test"]);
    let builder = behind("address = \"127.0.0.1:0\"", &origin);
    certificate.write(builder.folder());
    let proxy = builder.start();
    let mut kept = proxy.connect();
    assert_eq!(kept.get("/").status, 200);
    let tls = "[listener.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n\n[[route]]";
    proxy.edit_config(|text| text.replace("[[route]]", tls));
    let output = proxy.weir(&["reload"]);
    assert!(output.success, "{}", output.stderr);
    let mut secure = weir_tests::sync::eventually("TLS", || certificate.try_connect(proxy.address()).ok());
    assert_eq!(secure.get("/").status, 200);
    assert_eq!(kept.get("/").status, 200, "a connection made before");
}

#[test]
fn ipv6_takes_ipv4_too_where_it_is_told_to() {
    let origin = Origin::text("ok");
    let proxy = behind("address = \"[::]:0\"\nv6_only = false", &origin).start();
    let port = proxy.address().port();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("IPv4");
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: weir.test\r\nConnection: close\r\n\r\n")
        .expect("send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let forwarded = origin.only_request();
    assert_eq!(
        forwarded.headers.get("x-forwarded-for"),
        Some("127.0.0.1"),
        "without the mapping"
    );
}
