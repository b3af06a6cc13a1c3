//! Any `Cookie` field gives a place on the ring, and the same one each time.
#![no_main]

use http::HeaderValue;
use http::header::COOKIE;
use libfuzzer_sys::fuzz_target;
use weir::config::HashKey;
use weir::exchange::subject::Subject;
use weir::upstream::balance::hash_key;

fuzz_target!(|data: (&str, &[u8])| {
    let (name, field) = data;
    let Ok(value) = HeaderValue::from_bytes(field) else { return };
    let mut subject = Subject::vacant();
    subject.request.headers.insert(COOKIE, value);
    let key = HashKey::Cookie(name.to_owned());
    assert_eq!(hash_key(&key, &subject), hash_key(&key, &subject));
});
