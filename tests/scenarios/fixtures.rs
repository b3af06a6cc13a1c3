//! No fixture without a test.

use weir_tests::guests;

#[test]
fn every_guest_is_used_by_a_scenario() {
    let scenarios = guests::root().join("tests/scenarios");
    let text: String = std::fs::read_dir(scenarios)
        .expect("the scenarios")
        .flatten()
        .filter(|file| file.path().is_file())
        .map(|file| std::fs::read_to_string(file.path()).expect("a scenario"))
        .collect();
    let unused: Vec<_> = guests::names()
        .into_iter()
        .filter(|name| !text.contains(&format!("\"{name}\"")))
        .collect();
    assert!(unused.is_empty(), "guests that no scenario names: {unused:?}");
}
