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
            "an empty line before the status line",
            b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "a bare LF behind the status line",
            b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
        ),
        (
            "a head that ends in a bare LF",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n",
        ),
        (
            "obsolete folding",
            b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "a blank before the colon",
            b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
        ),
        (
            "the same length twice",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "a length of 2^64",
            b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n",
        ),
        (
            "chunked twice",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "a coding in HTTP/1.0",
            b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
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

/// A 204 ends with its head, whatever its head says (RFC 9112 §6.3); what follows must not answer another request.
#[test]
fn content_of_a_204_does_not_answer_the_next_request() {
    for framing in ["Content-Length: 44", "Transfer-Encoding: chunked"] {
        let origin = Origin::scripted(move |connection| {
            while connection.request()?.is_some() {
                connection.send(format!("HTTP/1.1 204 No Content\r\n{framing}\r\n\r\n").as_bytes())?;
                // Late enough that the proxy has long been done with the response.
                std::thread::sleep(std::time::Duration::from_millis(50));
                let _ = connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
            }
            Ok(())
        });
        let proxy = in_front_of(&origin).top("workers = 1").start();
        let mut client = proxy.connect();
        for _ in 0..3 {
            assert_eq!(client.get("/").status, 204, "{framing}");
        }
        assert_eq!(origin.connections(), 3, "{framing}: no connection is used twice");
    }
}

/// RFC 9110 §15.2: interim responses are passed on, but for 100 and to HTTP/1.0.
#[test]
fn early_hints_reach_the_client() {
    let origin = Origin::scripted(|connection| {
        while connection.request()?.is_some() {
            connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n")?;
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")?;
        }
        Ok(())
    });
    let proxy = in_front_of(&origin).start();
    let mut client = proxy.connect();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let hints = client.response_head();
    assert_eq!(hints.status, 103);
    assert_eq!(hints.headers.get("link"), Some("</a.css>"));
    assert_eq!(
        (hints.headers.get("connection"), hints.headers.get("x-hop")),
        (None, None)
    );
    assert_eq!(client.response_head().status, 200);
    assert_eq!(client.read_exact(2), b"hi");

    client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(client.response_head().status, 200, "HTTP/1.0 knows none");
}

#[test]
fn interim_responses_without_end() {
    let origin = Origin::scripted(|connection| {
        connection.request()?;
        loop {
            connection.send(b"HTTP/1.1 102 Processing\r\n\r\n")?;
        }
    });
    let proxy = in_front_of(&origin).start();
    let mut client = proxy.connect();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut statuses = std::iter::repeat_with(|| client.response_head().status);
    assert_eq!(statuses.find(|status| *status != 102), Some(502));
}

/// Without a length, the end of the connection is the end of the content: a response that broke off must not end like that.
#[test]
fn a_broken_response_to_http_1_0_does_not_look_whole() {
    let origin = Origin::raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    let proxy = in_front_of(&origin).start();
    let mut client = proxy.connect();
    client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    match client.try_response() {
        Ok(response) => assert_eq!(response.status, 502, "{response:?}"),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
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
