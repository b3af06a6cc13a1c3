//! A PROXY header is taken whole or refused, whatever follows it, and what is written of it reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir::proxy_protocol::{LONGEST, Parsed, Version, header, parse};

fuzz_target!(|data: &[u8]| {
    match parse(data) {
        Ok(Parsed::Whole(announced, length)) => {
            assert!(length <= data.len());
            assert_eq!(parse(&data[..length]), Ok(Parsed::Whole(announced, length)));
            for cut in 0..length {
                assert_eq!(parse(&data[..cut]), Ok(Parsed::Partial), "what is a header is never refused on the way");
            }
            for version in [Version::V1, Version::V2] {
                let written = header(version, announced);
                assert!(matches!(parse(&written), Ok(Parsed::Whole(_, length)) if length == written.len()));
            }
        }
        Ok(Parsed::Partial) => assert!(data.len() < LONGEST),
        Err(_) => {}
    }
});
