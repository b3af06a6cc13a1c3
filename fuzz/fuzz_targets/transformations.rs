//! No transformation fails, and one that says that it does not concern a value does not change it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_waf::bytes::ByteSet;
use weir_waf::transformations::{ALL, Transformed};

fuzz_target!(|value: &[u8]| {
    let present = ByteSet::present_in(value);
    for transformation in &ALL {
        if transformation.apply(value, &present, None) == Transformed::Unchanged {
            assert_eq!(transformation.result(value), value, "{transformation:?}");
        }
    }
});
