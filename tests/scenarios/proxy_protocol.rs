//! The PROXY protocol from a proxy in front, and to servers, HAProxy among them.

use weir_tests::client::Client;
use weir_tests::haproxy::Haproxy;
use weir_tests::message::{Request, Response};
use weir_tests::origin::Origin;
use weir_tests::proxy::{Builder, configure};
use weir_tests::tls::Certificate;

/// Version 2 for a client at 203.0.113.7:4711.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\xc6\x33\x64\x01\x12\x67\0\x50";
const V1: &str = "PROXY TCP4 203.0.113.7 198.51.100.1 4711 80\r\n";

fn expecting(networks: &str, origin: &Origin) -> Builder {
    configure()
        .listener("http")
        .tables(&format!("proxy_protocol = [{networks}]"))
        .route("all", "app", "")
        .upstream("app", &[origin.address()], "")
}

#[test]
fn the_header_says_who_the_client_is() {
    let origin = Origin::text("ok");
    let proxy = expecting("\"127.0.0.0/8\"", &origin).start();
    for header in [V1.as_bytes(), V2] {
        let mut client = proxy.connect();
        // Byte by byte, as no network is obliged to keep a header in one piece.
        for byte in header {
            client.send([*byte]);
        }
        assert_eq!(client.get("/one").status, 200);
        assert_eq!(client.get("/two").status, 200, "one header a connection");
    }
    for request in origin.seen() {
        assert_eq!(request.headers.all("x-forwarded-for"), ["203.0.113.7"]);
    }
    assert!(proxy.await_access("/two").starts_with("203.0.113.7 "));
    let mut local = proxy.connect();
    local.send(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
    assert_eq!(local.get("/local").status, 200);
    assert_eq!(
        origin.seen().last().unwrap().headers.all("x-forwarded-for"),
        ["127.0.0.1"]
    );
}

#[test]
fn a_connection_without_a_header_is_closed_unanswered() {
    let origin = Origin::text("ok");
    let proxy = expecting("\"127.0.0.1\"", &origin).start();
    let long = format!("PROXY {}", "x".repeat(200));
    for wrong in [
        "GET / HTTP/1.1\r\nHost: weir.test\r\n\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        &long,
    ] {
        let mut client = proxy.connect();
        let _ = client.try_send(wrong);
        client.assert_closed();
    }
    assert_eq!(origin.requests(), 0);
    proxy.await_metric("weir_connections_refused_total", &[("reason", "proxy_header")], 3.0);
}

#[test]
fn a_header_that_does_not_come_is_not_waited_for_beyond_the_timeout() {
    let origin = Origin::text("ok");
    let proxy = expecting("\"127.0.0.1\"", &origin)
        .tables("[timeouts]\nhandshake = \"50ms\"")
        .start();
    let mut client = proxy.connect();
    client.send("PROXY TCP4 ");
    client.assert_closed();
}

#[test]
fn a_header_from_anybody_else_is_no_header() {
    let origin = Origin::text("ok");
    let proxy = expecting("\"192.0.2.1\"", &origin).start();
    let mut client = proxy.connect();
    client.send(format!("{V1}GET / HTTP/1.1\r\nHost: weir.test\r\n\r\n"));
    assert_eq!(client.response().status, 400);
    assert_eq!(proxy.get("/").status, 200, "a client of its own");
    assert_eq!(origin.only_request().headers.all("x-forwarded-for"), ["127.0.0.1"]);
}

#[test]
fn servers_are_told_of_the_client_on_a_connection_that_is_nobody_elses() {
    for version in ["v1", "v2"] {
        let origin = Origin::scripted(move |connection| {
            let header = if version == "v1" {
                let mut line = Vec::new();
                while !line.ends_with(b"\r\n") {
                    line.extend(connection.read_exact(1)?);
                }
                String::from_utf8(line).unwrap()
            } else {
                let header = connection.read_exact(28)?;
                assert_eq!(header[..16], V2[..16]);
                format!(
                    "{}.{}.{}.{} {:?}",
                    header[16],
                    header[17],
                    header[18],
                    header[19],
                    &header[20..24]
                )
            };
            while connection.request()?.is_some() {
                connection.send(&Response::text(header.clone()).to_bytes())?;
            }
            Ok(())
        });
        let proxy = configure()
            .listener("http")
            .tables("proxy_protocol = [\"127.0.0.1\"]")
            .route("all", "app", "")
            .upstream("app", &[origin.address()], &format!("proxy_protocol = \"{version}\""))
            .start();
        for client in ["203.0.113.7", "203.0.113.8"] {
            let mut connection = proxy.connect();
            connection.send(V1.replace("203.0.113.7", client));
            let told = connection.get("/").text_body();
            let expected = match version {
                "v1" => format!("PROXY TCP4 {client} 198.51.100.1 4711 80\r\n"),
                _ => format!("{client} {:?}", [198, 51, 100, 1]),
            };
            assert_eq!(told, expected);
        }
        assert_eq!(origin.connections(), 2);
    }
}

#[test]
fn haproxy_in_front_and_behind() {
    let behind = Haproxy::start(
        "frontend f\n bind fd@0 accept-proxy\n http-request return status 200 content-type text/plain lf-string \"%[src] to %[dst]\"",
    );
    let certificate = Certificate::new(&["weir.test"]);
    let builder = configure()
        .tls_listener("https")
        .tables("[[listener]]\nname = \"clear\"\naddress = \"127.0.0.1:0\"\nproxy_protocol = [\"127.0.0.1\"]")
        .route("all", "app", "")
        .upstream("app", &[behind.address()], "proxy_protocol = \"v2\"");
    certificate.write(builder.folder());
    let proxy = builder.start();
    let weir = proxy.listener("clear");
    let front = Haproxy::start(&format!(
        "listen l\n bind fd@0\n source 127.0.0.1\n server weir {weir} send-proxy-v2 proxy-v2-options crc32c,unique-id"
    ));
    let mut client = Client::connect(front.address());
    let answer = client.fetch(&Request::get("/"));
    assert_eq!(answer.text_body(), "127.0.0.1 to 127.0.0.1", "{answer:?}");
    let mut direct = certificate.connect(proxy.listener("https"));
    assert_eq!(direct.get("/").text_body(), "127.0.0.1 to 127.0.0.1");
}
