//! Any text is an argument or is refused, and an operator answers whatever the value is: what matches has what it needs to match,
//! and its groups lie inside of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_waf::bytes::ByteSet;
use weir_waf::compile::sieve::{self, Sieve};
use weir_waf::operators::{Outcome, build};
use weir_waf::seclang::Files;

const NAMES: [&str; 29] = [
    "rx", "pm", "pmFromFile", "ipMatch", "ipMatchFromFile", "validateByteRange", "verifyCC", "verifyCPF", "verifySSN", "verifySVNR",
    "beginsWith", "contains", "containsWord", "endsWith", "streq", "strmatch", "within", "eq", "ge", "gt", "le", "lt",
    "validateUrlEncoding", "validateUtf8Encoding", "unconditionalMatch", "noMatch", "detectSQLi", "detectXSS", "rxGlobal",
];

/// The argument is both a file's name and what it holds.
struct Named<'a>(&'a str);

impl Files for Named<'_> {
    fn read(&self, _name: &str) -> Option<Vec<u8>> {
        Some(self.0.as_bytes().to_vec())
    }
}

fuzz_target!(|input: (u8, &str, Vec<&[u8]>)| {
    let (name, argument, values) = input;
    let name = NAMES[usize::from(name) % NAMES.len()];
    // Long patterns are the business of `seclang`; here values matter.
    if argument.len() > 64 {
        return;
    }
    let Ok((test, _)) = build(name, argument, &Named(argument)) else { return };
    let needs = test.needs(name, Some(argument.as_bytes()));
    let sieve = needs.map(|needs| Sieve::new(&[needs]));
    for value in values {
        let present = ByteSet::present_in(value);
        if test.ask(value, &present, argument.as_bytes()) != Outcome::Match {
            continue;
        }
        if let Some(sieve) = &sieve {
            let mut sifted = Vec::new();
            sieve.sift(value, &present, &mut sifted);
            assert!(sieve::has(&sifted, 0), "@{name} {argument:?} matches and its needs are not there");
        }
        for (start, end) in test.groups(value).into_iter().flatten() {
            assert!(start <= end && end as usize <= value.len());
        }
        let _ = test.says(value);
    }
});
