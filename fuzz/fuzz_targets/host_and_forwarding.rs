//! `Host` and forwarding fields say something or nothing, and never more than that.
#![no_main]

use http::header::{FORWARDED, HOST, HeaderValue};
use libfuzzer_sys::fuzz_target;
use weir::exchange::admit;
use weir::http1::head::RequestHead;

fuzz_target!(|data: (&[u8], &[u8], &[u8])| {
    let (host, listed, forwarded) = data;
    let mut head = RequestHead::default();
    for (name, value) in [(HOST, host), (FORWARDED, forwarded), ("x-forwarded-for".parse().expect("a name"), listed)] {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            head.headers.insert(name, value);
        }
    }
    if let Ok(host) = admit::host(&head) {
        assert!(std::str::from_utf8(&host).is_ok_and(|host| host == host.to_ascii_lowercase()));
    }
    let trusted = ["127.0.0.0/8".parse().expect("a network")];
    let _ = admit::client_ip([127, 0, 0, 1].into(), &trusted, &head.headers);
});
