//! Any text is a configuration or a report.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use weir::config::{Outside, Style, parse_with};

fuzz_target!(|text: &str| {
    if let Err(report) = parse_with(text, Path::new("weir.toml"), Outside::Ignore) {
        assert!(!report.problems().is_empty());
        let _ = report.render(Style::Plain);
    }
});
