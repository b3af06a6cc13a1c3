//! The OWASP Core Rule Set's own regression tests, in the engine. The rules and tests are not part of the repository: they are found
//! through the environment variable `WEIR_CRS`, or in `shared/crs` beside the repository.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use weir_waf_tools::crs::{Crs, Profile};
use weir_waf_tools::ftw::{Overrides, schema};
use weir_waf_tools::test::{Options, Report, results};

/// Of a hundred tests, so many pass without any override.
const BAR: f64 = 99.9;

/// The installation and its tests. Without them nothing is proved: said aloud here, and a failure in CI where not even Debian's package
/// is installed, which has the rules alone.
fn corpus() -> Option<(Crs, PathBuf)> {
    let crs = Crs::find();
    assert!(
        crs.is_some() || std::env::var_os("CI").is_none(),
        "no OWASP Core Rule Set: install modsecurity-crs, or set WEIR_CRS to a folder with rules and tests"
    );
    let found = crs.and_then(|crs| crs.tests_folder().map(|tests| (crs, tests)));
    if found.is_none() {
        println!("NOT RUN: no regression tests of CRS; set WEIR_CRS to a folder with rules and tests");
    }
    found
}

fn run(crs: &Crs, tests: &Path) -> Report {
    let options = Options {
        rules: crs.rules(Profile::Tests),
        tests: vec![tests.to_path_buf()],
        ..Options::default()
    };
    results(&options).unwrap_or_else(|error| panic!("{error}"))
}

/// The tests that nginx or Apache are known to answer in a way of their own.
fn server_specific(crs: &Crs, tests: &Path) -> Vec<String> {
    let files = schema::load(tests).unwrap();
    let mut named = Vec::new();
    for name in ["nginx-overrides.yaml", "httpd-overrides.yaml"] {
        let folders = [crs.root.join(name), crs.root.join("tests/regression").join(name)];
        for path in folders.iter().filter(|path| path.is_file()) {
            let overrides = Overrides::load(path).unwrap();
            let tests = files.iter().flat_map(|file| &file.tests);
            named.extend(tests.filter(|test| overrides.names(test)).map(schema::Test::id));
        }
    }
    named
}

#[test]
fn the_rule_set_passes_its_own_tests() {
    let Some((crs, tests)) = corpus() else { return };
    let report = run(&crs, &tests);
    assert!(
        report.results.len() > 1000,
        "only {} tests were found",
        report.results.len()
    );
    let failed: Vec<String> = report
        .failed()
        .map(|result| {
            let reasons: Vec<String> = result
                .failures
                .iter()
                .map(|failure| failure.failure.to_string())
                .collect();
            format!("{}: {}", result.id, reasons.join("; "))
        })
        .collect();
    println!("{} of {} pass", report.passed(), report.results.len());
    let excused = server_specific(&crs, &tests);
    let unexcused: Vec<&str> = report
        .failed()
        .map(|result| result.id.as_str())
        .filter(|id| !excused.iter().any(|known| known == id))
        .collect();
    assert!(
        unexcused.is_empty(),
        "tests that hold on every server fail: {}",
        failed.join("\n")
    );
    let rate = 100.0 * report.passed() as f64 / report.results.len() as f64;
    assert!(rate >= BAR, "{rate:.2} % pass, {BAR} % must: {}", failed.join("\n"));
}

#[test]
fn rules_that_its_tests_leave_out_match_what_they_are_for() {
    let Some((crs, _)) = corpus() else { return };
    let report = run(&crs, &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crs-4.yaml"));
    let failed: Vec<&str> = report.failed().map(|result| result.id.as_str()).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn nothing_of_the_rule_set_is_left_out() {
    let Some(crs) = Crs::find() else {
        println!("NOT RUN: no CRS; set WEIR_CRS to a folder with rules");
        return;
    };
    let loaded = crs
        .rules(Profile::Tests)
        .load()
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(loaded.skipped.0.is_empty());
    let rules = loaded.engine.plan().rules.len();
    assert!(rules > 400, "only {rules} rules");
}
