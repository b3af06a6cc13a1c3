//! Origins that break the protocol: the client is told so (502), or sees its response cut; never a response that looks whole
//! and is not.

use weir_tests::message::Request;
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, in_front_of};

#[test]
fn heads_that_nobody_can_read() {
    let heads: &'static [(&str, &[u8])] = &[
        ("no HTTP at all", b"220 mail.test ESMTP\r\n\r\n"),
        ("a status that is no number", b"HTTP/1.1 abc OK\r\n\r\n"),
        ("a status below 100", b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"),
        ("a status of two digits", b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
        (
            "a version that Weir does not speak",
            b"HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "a header without a colon",
            b"HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "NUL in a value",
            b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "two different lengths",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        ),
        ("a negative length", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
        (
            "a length and a coding (RFC 9112 §6.3)",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "a coding that is not chunked",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
        ),
        ("a head that ends early", b"HTTP/1.1 200 OK\r\nContent-Le"),
        ("nothing at all", b""),
        (
            "a switch of protocols that nobody asked for",
            b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
        ),
    ];
    let (_origin, proxy) = one_response_a_path(heads);
    for (index, (name, _)) in heads.iter().enumerate() {
        assert_eq!(proxy.get(&format!("/{index}")).status, 502, "{name}");
    }
}

#[test]
fn contents_that_break_off_are_not_made_whole() {
    let responses: &'static [(&str, &[u8])] = &[
        (
            "shorter than its length",
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        ),
        (
            "no last chunk",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        ),
        (
            "a chunk that breaks off",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhello",
        ),
        (
            "a chunk that is none",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n",
        ),
    ];
    let (_origin, proxy) = one_response_a_path(responses);
    for (index, (name, _)) in responses.iter().enumerate() {
        let mut client = proxy.connect();
        client.send(Request::get(&format!("/{index}")).to_bytes());
        match client.try_response() {
            // Nothing had left for the client yet.
            Ok(response) => assert_eq!(response.status, 502, "{name}: {response:?}"),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{name}"),
        }
    }
}

/// What stands behind a response belongs to nobody, least of all to the next request.
#[test]
fn bytes_behind_a_response_do_not_answer_the_next_request() {
    let origin = Origin::scripted(|connection| {
        while connection.request()?.is_some() {
            connection.send(
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst\
                  HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
            )?;
        }
        Ok(())
    });
    let proxy = in_front_of(&origin).start();
    let mut client = proxy.connect();
    for _ in 0..4 {
        assert_eq!(client.get("/").text_body(), "first");
    }
}

#[test]
fn a_head_beyond_all_bounds() {
    let origin = Origin::scripted(|connection| {
        connection.request()?;
        connection.send(b"HTTP/1.1 200 OK\r\n")?;
        loop {
            connection.send(&[b"X-Filler: ".to_vec(), vec![b'x'; 1024], b"\r\n".to_vec()].concat())?;
        }
    });
    let proxy = in_front_of(&origin).start();
    assert_eq!(proxy.get("/").status, 502);
}

#[test]
fn a_reset_instead_of_a_response() {
    let origin = Origin::scripted(|connection| {
        connection.request()?;
        connection.reset();
        Ok(())
    });
    let proxy = in_front_of(&origin).start();
    // Not idempotent, and so not tried again.
    assert_eq!(proxy.fetch(&Request::post("/", "body")).status, 502);
    assert_eq!(origin.requests(), 1);
}

/// An origin that answers `/N` with the bytes of row N, then closes.
fn one_response_a_path(rows: &'static [(&str, &[u8])]) -> (Origin, Proxy) {
    let origin = Origin::scripted(move |connection| {
        let request = connection.request()?;
        let row = request.and_then(|request| request.target.trim_start_matches('/').parse::<usize>().ok());
        connection.send(row.and_then(|row| rows.get(row)).map_or(&b""[..], |row| row.1))
    });
    let proxy = in_front_of(&origin).start();
    (origin, proxy)
}
