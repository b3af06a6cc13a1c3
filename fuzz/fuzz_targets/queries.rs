//! A query is tidied once and for all: what goes upstream is a target, and tidy.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir::config::{CacheRules, ParameterPattern, Query};
use weir::exchange::query::tidy;
use weir::exchange::subject::Subject;

fuzz_target!(|data: (u8, &str, &str)| {
    let (choice, ignored, target) = data;
    let Ok(uri) = target.parse() else { return };
    let rules = CacheRules {
        query: [Query::Exact, Query::Sorted, Query::Removed][usize::from(choice) % 3],
        ignore_query: vec![
            ParameterPattern::Exact(ignored.to_owned()),
            ParameterPattern::Prefix("utm_".to_owned()),
        ],
        ..CacheRules::default()
    };
    let mut subject = Subject::vacant();
    subject.request.uri = uri;
    tidy(&mut subject, &rules);
    let once = subject.upstream_target.clone();
    tidy(&mut subject, &rules);
    assert_eq!(subject.upstream_target, once);
});
