//! Any manifest is a bundle or a list of problems.
#![no_main]

use std::collections::BTreeMap;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use weir::bundle::source::Source;
use weir::bundle::{MANIFEST, parse};

struct Files<'a>(&'a [u8]);

impl Source for Files<'_> {
    fn read(&self, path: &str) -> Result<Bytes, String> {
        Ok(if path == MANIFEST { Bytes::copy_from_slice(self.0) } else { Bytes::from_static(b"content") })
    }
}

fuzz_target!(|manifest: &[u8]| {
    if let Err(problems) = parse(&Files(manifest), MANIFEST, BTreeMap::new()) {
        assert!(!problems.0.is_empty());
    }
});
