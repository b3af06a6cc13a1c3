//! A short run of what the fuzz targets do, with every test run: inputs that are nearly right, mutated without end, into every parser
//! that reads a stranger's bytes. `fuzz/` looks longer and cleverer, and needs another compiler's help.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod http2;

use std::net::IpAddr;
use std::path::Path;

use bytes::BytesMut;
use http::Method;
use http::header::{COOKIE, FORWARDED, HOST, HeaderValue};

use crate::config::{self, CacheRules, HashKey, Outside, ParameterPattern, Query, Style};
use crate::exchange::subject::Subject;
use crate::exchange::{admit, query};
use crate::http1::decode::{Decoder, Piece};
use crate::http1::framing::{self, Framing};
use crate::http1::head::{self, Bounds, HeadScan, Progress, RequestHead};
use crate::http1::names::Names;
use crate::proxy_protocol::{self, Parsed};
use crate::upstream::balance::hash_key;

/// Inputs for each parser.
const ROUNDS: usize = 4_000;

const BOUNDS: Bounds = Bounds {
    bytes: 2_048,
    lines: 16,
    target: 512,
};

/// Pieces that parsers take for something.
const WORDS: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    ":",
    ";",
    ",",
    "=",
    "\"",
    "\\",
    "%00",
    "0",
    "-1",
    "18446744073709551616",
    "ffffffffffffffff",
    "chunked",
    "Transfer-Encoding: chunked\r\n",
    "Content-Length: 5\r\n",
    "Host: a\r\n",
    "HTTP/1.1",
    "\u{e9}",
    "[::1]",
    "[[",
    "]]",
    "'",
];

/// Numbers that look random and are the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap_or_default() % bound.max(1)
    }

    /// One of the seeds, with some things done to it.
    fn mutant(&mut self, seeds: &[impl AsRef<[u8]>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].as_ref().to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            match self.below(5) {
                0 if at < bytes.len() => bytes[at] = self.below(256) as u8,
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 => drop(bytes.splice(at..at, WORDS[self.below(WORDS.len())].bytes())),
                3 => bytes.truncate(at),
                _ => {
                    let end = at + self.below(bytes.len() - at + 1);
                    let piece = bytes[at..end].to_vec();
                    drop(bytes.splice(at..at, piece));
                }
            }
        }
        bytes
    }
}

fn mutants<S: AsRef<[u8]>>(seeds: &[S]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    (0..ROUNDS).map(move |_| (dice.below(64), dice.mutant(seeds)))
}

#[test]
fn request_heads() {
    for (cut, bytes) in mutants(&[
        "GET /a?b=c HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\n\r\nrest",
        "POST http://a:80/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "\r\nPUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
    ]) {
        // However it arrives, what is taken for a request is the same.
        let whole = scan(&[&bytes]);
        let (first, second) = bytes.split_at(cut.min(bytes.len()));
        if let (Some(whole), Some(parts)) = (whole, scan(&[first, second])) {
            assert_eq!(whole, parts, "{}", bytes.escape_ascii());
        }
    }
}

/// Target and framing of a request that is complete.
fn scan(pieces: &[&[u8]]) -> Option<(String, Option<Framing>)> {
    let (mut scan, mut input) = (HeadScan::default(), BytesMut::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        if let Progress::Complete(head) = scan.next(&mut input, &BOUNDS).ok()? {
            assert!(head.headers.values().all(|value| !value.as_bytes().contains(&b'\n')));
            assert!(!has_bare_line_feed(&head.received), "{:?}", head.received);
            assert_eq!(head.names, Names::of(&head.headers));
            return Some((head.uri.to_string(), framing::of_request(&head).ok()));
        }
    }
    None
}

fn has_bare_line_feed(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head).any(|at| at == 0 || head.get(at - 1) != Some(&b'\r'))
}

#[test]
fn response_heads() {
    for (_, bytes) in mutants(&[
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
        "HTTP/1.0 200\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
    ]) {
        let mut input = BytesMut::from(&bytes[..]);
        if let Ok(Some(head)) = head::parse_response(&mut input, &BOUNDS) {
            assert!(input.len() < bytes.len());
            let _ = framing::of_response(&Method::GET, head.status, head.version, &head.headers);
            let _ = head::persistence(head.version, &head.headers);
        }
    }
}

#[test]
fn chunked_bodies() {
    for (cut, bytes) in mutants(&[
        "5\r\nhello\r\n0\r\n\r\n",
        "1;a=\"b;c\";d\r\nx\r\nA\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\nrest",
    ]) {
        let (first, second) = bytes.split_at(cut.min(bytes.len()));
        if let (Some(whole), Some(parts)) = (decode(&[&bytes]), decode(&[first, second])) {
            assert_eq!(whole, parts, "{}", bytes.escape_ascii());
        }
    }
}

/// Content, and whether it is complete; nothing where it is malformed.
fn decode(pieces: &[&[u8]]) -> Option<(Vec<u8>, bool)> {
    let (mut decoder, mut input) = (Decoder::new(Framing::Chunked), BytesMut::new());
    let mut content = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        while let Some(piece) = decoder.decode(&mut input).ok()? {
            match piece {
                Piece::Data(data) => content.extend_from_slice(&data),
                Piece::Trailers(_) => {}
                Piece::End => return Some((content, true)),
            }
        }
    }
    Some((content, false))
}

#[test]
fn hosts_addresses_and_cookies() {
    let trusted = ["127.0.0.0/8".parse().unwrap()];
    for (_, bytes) in mutants(&[
        "a.example:8080",
        "[2001:db8::1]:443",
        "192.0.2.1, 127.0.0.1, [::1]",
        "for=\"[::1]:80\";proto=http, for=192.0.2.1",
        "a=b; session=\"c d\"; e",
    ]) {
        let Ok(value) = HeaderValue::from_bytes(&bytes) else {
            continue;
        };
        let mut head = Box::<RequestHead>::default();
        for name in [HOST, FORWARDED, COOKIE] {
            head.headers.insert(name, value.clone());
        }
        if let Ok(host) = admit::host(&head) {
            assert!(std::str::from_utf8(&host).is_ok_and(|host| host == host.to_ascii_lowercase()));
        }
        let _ = admit::client_ip(IpAddr::from([127, 0, 0, 1]), &trusted, &head.headers);
        let subject = Subject {
            request: head,
            ..Subject::vacant()
        };
        let _ = hash_key(&HashKey::Cookie("session".into()), &subject);
    }
}

#[test]
fn queries() {
    let rules = |query| CacheRules {
        query,
        ignore_query: vec![ParameterPattern::Prefix("utm_".to_owned())],
        ..CacheRules::default()
    };
    for (choice, bytes) in mutants(&["/a?b=1&a=2&&utm_x=%00", "/?=&=&", "http://a:80/b?c#d"]) {
        let Ok(uri) = http::Uri::try_from(&bytes[..]) else {
            continue;
        };
        let rules = rules([Query::Exact, Query::Sorted, Query::Removed][choice % 3]);
        let mut subject = Subject::vacant();
        subject.request.uri = uri;
        query::tidy(&mut subject, &rules);
        let once = subject.upstream_target.clone();
        query::tidy(&mut subject, &rules);
        assert_eq!(subject.upstream_target, once, "{}", bytes.escape_ascii());
    }
}

#[test]
fn proxy_headers() {
    let addresses = b"\xc0\0\x02\x01\xc6\x33\x64\x01\x12\x67\0\x50";
    let seeds = [
        b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r\nGET / HTTP/1.1\r\n".to_vec(),
        b"PROXY TCP6 2001:db8::1 ::ffff:192.0.2.1 1 65535\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], addresses].concat(),
        [&b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\x03\x04\0\0"[..], addresses].concat(),
    ];
    for (_, bytes) in mutants(&seeds) {
        if let Ok(Parsed::Whole(announced, length)) = proxy_protocol::parse(&bytes) {
            let header = &bytes[..length];
            assert_eq!(proxy_protocol::parse(header), Ok(Parsed::Whole(announced, length)));
            assert_eq!(proxy_protocol::parse(&header[..length - 1]), Ok(Parsed::Partial));
        }
    }
}

#[test]
fn configurations() {
    const SEED: &str = "workers = 2\n[[listener]]\naddress = \"127.0.0.1:80\"\n[[route]]\nupstream = \"a\"\npath_prefix = \"/b\"\n\
                        [[upstream]]\nname = \"a\"\nservers = [\"127.0.0.1:1\", { address = \"127.0.0.1:2\", weight = 2 }]\n\
                        [limits]\nbody = \"1MiB\"\n[timeouts]\nidle = \"off\"\n";
    for (_, bytes) in mutants(&[SEED]).take(ROUNDS / 4) {
        let Ok(text) = String::from_utf8(bytes) else { continue };
        if let Err(report) = config::parse_with(&text, Path::new("weir.toml"), Outside::Ignore) {
            assert!(!report.problems().is_empty());
            let _ = report.render(Style::Plain);
        }
    }
}
