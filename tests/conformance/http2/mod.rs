//! HTTP/2 as RFC 9113 and RFC 7541 write it, frame by frame, with prior knowledge in clear.
//!
//! - [`connections`]: preface, frames and streams (RFC 9113 §3 to §5), and header compression (RFC 7541).
//! - [`frames`]: each type of frame (§6).
//! - [`messages`]: requests (§8), and that no malformed one reaches the origin.
//!
//! A case is bytes after a proper start, and how they end.

mod connections;
mod frames;
mod messages;

use weir_tests::frames::{Client, Frame, kind};
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, in_front_of};

/// What has to come of a case.
#[derive(Debug, Clone, Copy)]
enum End {
    /// GOAWAY with this code, and the connection is closed.
    Connection(u32),
    /// RST_STREAM with this code, and the connection goes on.
    Stream(u32, u32),
    /// A response with this status, and the connection goes on.
    Answer(u32, u16),
    /// Nothing in particular, and the connection goes on.
    Nothing,
}

/// A case: what it is about, the bytes, and how it ends.
type Case = (&'static str, Vec<u8>, End);

fn proxy() -> (Origin, Proxy) {
    let origin = Origin::text("hello");
    let proxy = in_front_of(&origin).start();
    (origin, proxy)
}

/// Plays cases, each on a connection of its own.
fn play(proxy: &Proxy, cases: Vec<Case>) {
    for (what, bytes, end) in cases {
        let mut client = Client::connect(proxy.address());
        client.send(&bytes);
        judge(what, &mut client, end);
    }
}

fn judge(what: &str, client: &mut Client, end: End) {
    let mut seen = Vec::new();
    match end {
        End::Connection(code) => {
            let last = find(client, &mut seen, |frame| frame.kind == kind::GOAWAY);
            let Some(last) = last else {
                panic!("{what}: the connection ended without GOAWAY: {seen:?}")
            };
            assert_eq!(last.code(), code, "{what}: the code of GOAWAY");
            assert!(client.find(|_| false).is_none(), "{what}: the connection is closed");
        }
        End::Stream(stream, code) => {
            let reset = |frame: &Frame| {
                frame.kind == kind::GOAWAY || (frame.kind == kind::RST_STREAM && frame.stream == stream)
            };
            let last = find(client, &mut seen, reset).unwrap_or_else(|| panic!("{what}: closed after {seen:?}"));
            assert_eq!((last.kind, last.code()), (kind::RST_STREAM, code), "{what}: {seen:?}");
            client.ping();
        }
        End::Answer(stream, status) => {
            let head = |frame: &Frame| {
                frame.kind == kind::GOAWAY || (frame.stream == stream && frame.kind != kind::WINDOW_UPDATE)
            };
            let head = find(client, &mut seen, head).unwrap_or_else(|| panic!("{what}: closed after {seen:?}"));
            assert_eq!(head.kind, kind::HEADERS, "{what}: {head:?}");
            assert_eq!(weir_tests::frames::status_of(&head.payload), status, "{what}");
            client.ping();
        }
        End::Nothing => client.ping(),
    }
}

fn find(client: &mut Client, seen: &mut Vec<Frame>, fits: impl Fn(&Frame) -> bool) -> Option<Frame> {
    while let Some(frame) = client.frame() {
        if fits(&frame) {
            return Some(frame);
        }
        seen.push(frame);
    }
    None
}

/// Frames one after another.
fn all(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.concat()
}
