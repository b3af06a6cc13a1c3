//! Any bytes are rules or a list of problems.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_waf::seclang::{NoFiles, Source, parse};

fuzz_target!(|text: &[u8]| {
    let _ = parse(&[Source { name: "fuzz.conf".into(), text: text.to_vec() }], &NoFiles);
});
