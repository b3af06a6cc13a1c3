//! A request head is taken whole or refused, and one that is taken has one framing.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use weir::http1::framing;
use weir::http1::head::{Bounds, parse_request};

const BOUNDS: Bounds = Bounds { bytes: 16 * 1024, lines: 64, target: 4096 };

fuzz_target!(|data: &[u8]| {
    let mut input = BytesMut::from(data);
    if let Ok(Some(head)) = parse_request(&mut input, &BOUNDS) {
        assert!(data.len() > input.len(), "a head takes bytes");
        assert!(!data[..data.len() - input.len()].contains(&0), "no NUL gets through");
        let _ = framing::of_request(&head);
    }
});
