//! A response head is taken whole or refused.
#![no_main]

use bytes::BytesMut;
use http::Method;
use libfuzzer_sys::fuzz_target;
use weir::http1::framing;
use weir::http1::head::{Bounds, parse_response, persistence};

const BOUNDS: Bounds = Bounds { bytes: 16 * 1024, lines: 64, target: 0 };

fuzz_target!(|data: &[u8]| {
    let mut input = BytesMut::from(data);
    if let Ok(Some(head)) = parse_response(&mut input, &BOUNDS) {
        assert!(data.len() > input.len(), "a head takes bytes");
        let _ = framing::of_response(&Method::GET, head.status, head.version, &head.headers);
        let _ = persistence(head.version, &head.headers);
    }
});
