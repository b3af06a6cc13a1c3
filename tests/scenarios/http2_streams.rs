//! Long and large messages over HTTP/2, on both sides: bytes go on as they come, and memory stays where it is.
//!
//! `WEIR_LARGE_BODY` says how large the large ones are, in MiB (default 256).

use std::fs::File;
use std::thread;
use std::time::Duration;

use weir_tests::curl::shell;
use weir_tests::frames::{Client, GET, flag, headers, kind};
use weir_tests::message::chunk;
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, configure, in_front_of};
use weir_tests::sync::Gate;

fn size() -> u64 {
    let mebibytes = std::env::var("WEIR_LARGE_BODY").map_or(256, |size| size.parse().expect("a number"));
    mebibytes << 20
}

/// What a proxy may grow by while a body of any size passes.
const GROWTH: u64 = 48 << 20;

/// A Weir in front of another one, to which it speaks HTTP/2, in front of an origin.
fn chain(origin: &Origin) -> (Proxy, Proxy) {
    let limits = "[limits]\nbody = \"64GiB\"";
    let back = in_front_of(origin).tables(limits).start();
    let front = configure()
        .listener("http")
        .route("all", "app", "")
        .upstream("app", &[back.address()], "http2 = true")
        .tables(limits)
        .start();
    (front, back)
}

/// Runs a line with curl in it, and gives what it printed and what memory both proxies grew by meanwhile.
fn growth(line: String, proxies: &(Proxy, Proxy)) -> (String, u64) {
    let both = [&proxies.0, &proxies.1];
    // What a first request takes is not what is looked at.
    assert_eq!(proxies.0.get("/small").status, 200);
    let before = both.map(Proxy::memory);
    let curl = thread::spawn(move || shell(&line));
    let mut most = 0;
    while !curl.is_finished() {
        for (proxy, before) in both.iter().zip(before) {
            most = most.max(proxy.memory().saturating_sub(before));
        }
        thread::sleep(Duration::from_millis(10));
    }
    let output = curl.join().expect("curl");
    assert!(output.success, "{}", output.stderr);
    (output.stdout.trim().to_owned(), most)
}

/// Sends `size` bytes to a GET, and to anything else the size of its body.
fn origin(size: u64) -> Origin {
    Origin::scripted(move |connection| {
        while let Some(request) = connection.request_head()? {
            if request.target == "/small" {
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
                continue;
            }
            if request.method == "GET" {
                connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").as_bytes())?;
                for _ in 0..size >> 18 {
                    connection.send(&[b'x'; 1 << 18])?;
                }
                continue;
            }
            let mut left = size;
            while left > 0 {
                left = left.saturating_sub(connection.read(1 << 18)?.len() as u64);
            }
            connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{:5}", size >> 20).as_bytes())?;
        }
        Ok(())
    })
}

#[test]
fn a_large_download_takes_no_memory() {
    let size = size();
    let origin = origin(size);
    let proxies = chain(&origin);
    let address = proxies.0.address();
    let line = format!(
        "curl -sS --http2-prior-knowledge -o /dev/null -w '%{{http_version}} %{{http_code}} %{{size_download}}' http://{address}/"
    );
    let (told, most) = growth(line, &proxies);
    assert_eq!(told, format!("2 200 {size}"));
    assert!(most < GROWTH, "{most} bytes for {size}");
}

#[test]
fn a_large_upload_takes_no_memory() {
    let size = size();
    let origin = origin(size);
    let proxies = chain(&origin);
    let file = proxies.0.folder().join("large");
    // A hole: no byte of it is on the disk.
    File::create(&file)
        .and_then(|file| file.set_len(size))
        .expect("a large file");
    let (address, file) = (proxies.0.address(), file.display());
    let line =
        format!("curl -sS --http2-prior-knowledge -T {file} -w ' %{{http_version}} %{{http_code}}' http://{address}/");
    let (told, most) = growth(line, &proxies);
    assert_eq!(told, format!("{} 2 200", size >> 20));
    assert!(most < GROWTH, "{most} bytes for {size}");
}

/// Server-sent events: each is there when it is sent, and the stream stays open.
#[test]
fn events_are_passed_on_as_they_come() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::scripted(move |connection| {
        connection.request()?;
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        connection.send(&chunk(b"data: first\n\n"))?;
        held.pass();
        connection.send(&chunk(b"data: second\n\n"))?;
        connection.send(&chunk(b""))
    });
    let (front, _back) = chain(&origin);
    let mut client = Client::connect(front.address());
    client.send(headers(
        1,
        flag::WHOLE,
        &[&GET[..], &[("accept", "text/event-stream")]].concat(),
    ));
    let event = client.find(|frame| frame.kind == kind::DATA).expect("an event");
    assert_eq!((event.payload.as_slice(), event.flags), (&b"data: first\n\n"[..], 0));
    client.ping();
    gate.open();
    let event = client.find(|frame| frame.kind == kind::DATA).expect("an event");
    assert_eq!(event.payload, b"data: second\n\n");
    client.find(|frame| frame.ends_stream()).expect("the end");
}

/// The timeout of a tunnel is for both directions together: who only listens is not idle.
#[test]
fn a_websocket_on_a_stream_lives_while_one_side_talks() {
    const PIECES: u8 = 12;
    let origin = Origin::scripted(|connection| {
        connection.request()?;
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")?;
        for piece in 0..PIECES {
            thread::sleep(Duration::from_millis(250));
            connection.send(&[piece])?;
        }
        Ok(())
    });
    let proxy = in_front_of(&origin).tables("[timeouts]\ntunnel = \"2s\"").start();
    let mut client = Client::connect(proxy.address());
    let connect = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        GET[1],
        GET[2],
        GET[3],
    ];
    client.send(headers(1, flag::END_HEADERS, &connect));
    let frames = client.response(1);
    let pieces: Vec<u8> = frames[1..].iter().flat_map(|frame| frame.payload.clone()).collect();
    assert_eq!(pieces, (0..PIECES).collect::<Vec<_>>());
}
