//! Any bytes are SQL or HTML or neither, and what is found has a fingerprint.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use weir_waf::bytes::ByteSet;
use weir_waf::operators::{Outcome, Test, build};
use weir_waf::seclang::NoFiles;

static TESTS: LazyLock<[Test; 2]> =
    LazyLock::new(|| ["detectSQLi", "detectXSS"].map(|name| build(name, "", &NoFiles).expect("it is known").0));

fuzz_target!(|value: &[u8]| {
    let present = ByteSet::present_in(value);
    let [sqli, xss] = &*TESTS;
    if sqli.ask(value, &present, b"") == Outcome::Match {
        assert!(sqli.says(value).is_some_and(|fingerprint| !fingerprint.is_empty()));
    }
    let _ = xss.ask(value, &present, b"");
});
