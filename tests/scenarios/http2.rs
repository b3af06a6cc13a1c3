//! HTTP/2 by ALPN over TLS: the same exchanges, another dress.

use bytes::Bytes;
use weir_tests::curl::curl;
use weir_tests::h2::Client;
use weir_tests::message::Response;
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, configure};
use weir_tests::tls::Certificate;

fn behind_tls(origin: &Origin, tables: &str) -> (Certificate, Proxy) {
    let builder = configure()
        .tls_listener("https")
        .route("all", "app", "")
        .upstream("app", &[origin.address()], "");
    let certificate = Certificate::new(&["weir.test"]);
    certificate.write(builder.folder());
    (certificate, builder.tables(tables).start())
}

fn request(method: &str, path: &str, body: impl Into<Bytes>) -> http::Request<Bytes> {
    let uri = format!("https://weir.test{path}");
    http::Request::builder()
        .method(method)
        .uri(uri)
        .body(body.into())
        .expect("a valid request")
}

#[test]
fn curl_speaks_it() {
    let origin = Origin::text("hello over h2");
    let (_certificate, proxy) = behind_tls(&origin, "");
    let address = proxy.address();
    let output = curl(&[
        "--http2",
        "--cacert",
        &proxy.folder().join("cert.pem").to_string_lossy(),
        "--resolve",
        &format!("weir.test:{}:127.0.0.1", address.port()),
        "--write-out",
        "\n%{http_version} %{http_code}",
        &format!("https://weir.test:{}/path", address.port()),
    ]);
    assert!(output.success, "{}", output.stderr);
    assert_eq!(output.stdout, "hello over h2\n2 200");
    let seen = origin.only_request();
    assert_eq!(
        (seen.version.as_str(), seen.headers.get("x-forwarded-proto")),
        ("HTTP/1.1", Some("https"))
    );
    assert_eq!(seen.headers.all("host"), [format!("weir.test:{}", address.port())]);
    assert_eq!(
        seen.headers.all("via"),
        ["2 weir"],
        "RFC 9110 §7.6.3: the version that was received"
    );
}

#[test]
fn many_streams_share_a_connection() {
    let origin = Origin::start(|request| Response::text(request.target.clone()));
    let (certificate, proxy) = behind_tls(&origin, "");
    let client = Client::connect(proxy.address(), &certificate);
    let paths: Vec<_> = (0..50).map(|number| format!("/{number}")).collect();
    let responses = client.fetch_all(paths.iter().map(|path| request("GET", path, "")).collect());
    let answers: Vec<_> = responses.iter().map(Response::text_body).collect();
    assert_eq!(answers, paths);
}

#[test]
fn bodies_flow_both_ways() {
    let origin = Origin::start(|request| Response::text(request.body.clone()));
    let (certificate, proxy) = behind_tls(&origin, "");
    let client = Client::connect(proxy.address(), &certificate);
    let body = Bytes::from(vec![b'x'; 60_000]);
    let response = client.fetch(request("POST", "/", body.clone())).expect("a response");
    assert!(
        response.status == 200 && response.body == body,
        "{} with {} bytes",
        response.status,
        response.body.len()
    );
}

#[test]
fn an_errors_status_is_the_same() {
    let origin = Origin::silent();
    let (certificate, proxy) = behind_tls(
        &origin,
        "[timeouts]\nresponse = \"150ms\"\n[limits]\ntarget = \"1KiB\"\nbody = \"1KiB\"",
    );
    let client = Client::connect(proxy.address(), &certificate);
    let status =
        |method: &str, path: &str, body: Vec<u8>| client.fetch(request(method, path, body)).expect("a response").status;
    assert_eq!(status("GET", "/", Vec::new()), 504);
    assert_eq!(status("GET", &format!("/{}", "a".repeat(2000)), Vec::new()), 414);
    assert_eq!(status("POST", "/", vec![b'x'; 2000]), 413);
}

#[test]
fn a_stream_that_is_reset_ends_its_upstream_request_only() {
    let origin = Origin::scripted(|connection| {
        while let Some(request) = connection.request()? {
            if request.target == "/hang" {
                connection.drain();
                return Ok(());
            }
            connection.send(&Response::text("ok").to_bytes())?;
        }
        Ok(())
    });
    let (certificate, proxy) = behind_tls(&origin, "[timeouts]\nresponse = \"1h\"");
    let client = Client::connect(proxy.address(), &certificate);
    client.send_and_reset(request("GET", "/hang", ""), || origin.await_requests(1));
    assert_eq!(client.fetch(request("GET", "/", "")).expect("a response").status, 200);
    weir_tests::sync::eventually("the end of the abandoned request", || {
        (origin.open_connections() <= 1).then_some(())
    });
}

#[test]
fn http_1_1_is_spoken_where_it_is_asked_for() {
    let origin = Origin::text("ok");
    let (certificate, proxy) = behind_tls(&origin, "");
    let mut client = certificate.connect(proxy.address());
    assert_eq!(client.get("/").text_body(), "ok");
    assert_eq!(client.get("/").text_body(), "ok");
}
