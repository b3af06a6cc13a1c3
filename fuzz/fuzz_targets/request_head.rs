//! A request head is taken whole or refused, and one that is taken has one framing.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use weir::http1::framing;
use weir::http1::head::{Bounds, parse_request};

const BOUNDS: Bounds = Bounds { bytes: 16 * 1024, lines: 64, target: 4096 };

fuzz_target!(|data: &[u8]| {
    // What stands before the request line is read over or refused before.
    if matches!(data.first(), Some(b'\r' | b'\n')) {
        return;
    }
    let mut input = BytesMut::from(data);
    if let Ok(Some(head)) = parse_request(&mut input, &BOUNDS) {
        assert!(data.len() > input.len(), "a head takes bytes");
        assert!(!data[..data.len() - input.len()].contains(&0), "no NUL gets through");
        let bare = |at: usize| at == 0 || head.received[at - 1] != b'\r';
        assert!(!(0..head.received.len()).any(|at| head.received[at] == b'\n' && bare(at)), "no bare LF gets through");
        let _ = framing::of_request(&head);
    }
});
