//! Any bytes are rules, or a map of code pages, or a list of problems; rules can be run.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_waf::compile::compile;
use weir_waf::seclang::{NoFiles, Source, parse};
use weir_waf::transformations::unicode_map::UnicodeMap;

fuzz_target!(|text: &[u8]| {
    let _ = UnicodeMap::parse(text, 20127);
    let sources = [Source { name: "fuzz.conf".into(), text: text.to_vec() }];
    if let Ok(directives) = parse(&sources, &NoFiles) {
        let _ = compile(&directives, &Vec::new(), &NoFiles);
    }
});
