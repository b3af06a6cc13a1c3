//! The rule sets that ship with Weir: every case file beside them, in the real engine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use weir_waf::casefile::CaseFile;
use weir_waf::compile::plan::Logging;
use weir_waf::config::Config;
use weir_waf::evaluate::Engine;
use weir_waf::seclang::Files;

/// A folder of rule files, each named without its `.conf`.
struct Folder(PathBuf);

impl Files for Folder {
    fn read(&self, name: &str) -> Option<Vec<u8>> {
        let file = if name.contains('.') {
            name.to_owned()
        } else {
            format!("{name}.conf")
        };
        std::fs::read(self.0.join(file)).ok()
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rulesets")
}

/// Case files by the name of their rule set.
fn case_files() -> BTreeMap<String, CaseFile> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if let Some(name) = name.strip_suffix(".cases.toml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let file = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            files.insert(name.to_owned(), file);
        }
    }
    assert!(!files.is_empty(), "there are no case files in {}", folder().display());
    files
}

fn engine(rules: &[String], paranoia_level: u8) -> Engine {
    let config = Config {
        rules: rules.to_vec(),
        paranoia_level,
        ..Config::default()
    };
    config
        .engine(&Folder(folder()))
        .unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn every_case_holds() {
    let mut failures = Vec::new();
    let mut ran = 0;
    for (name, file) in case_files() {
        assert!(!file.cases.is_empty(), "{name}.cases.toml has no cases");
        let mut engines = BTreeMap::new();
        for case in &file.cases {
            let level = case.paranoia_level.unwrap_or(file.paranoia_level);
            let engine = engines.entry(level).or_insert_with(|| engine(&file.rules, level));
            if let Err(failure) = case.check(engine) {
                failures.push(format!("{name}, \"{}\": {failure}", case.name));
            }
            ran += 1;
        }
    }
    assert!(ran > 100, "only {ran} cases ran");
    assert!(
        failures.is_empty(),
        "{} of {ran} cases failed\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn every_rule_has_a_case_that_it_must_catch_and_one_that_it_must_let_pass() {
    let files = case_files();
    let fires: BTreeSet<u64> = files
        .values()
        .flat_map(|file| &file.cases)
        .flat_map(|case| case.fires.clone())
        .collect();
    let silent: BTreeSet<u64> = files
        .values()
        .flat_map(|file| &file.cases)
        .flat_map(|case| case.silent.clone())
        .collect();
    let engine = engine(&rule_sets(), 4);
    let rules = engine
        .plan()
        .rules
        .iter()
        .filter(|rule| rule.logging == Logging::Report);
    let ids: BTreeSet<u64> = rules.map(|rule| rule.id).collect();
    assert!(ids.len() > 50, "only {} rules are reported", ids.len());
    assert_eq!(
        ids.difference(&fires).collect::<Vec<_>>(),
        Vec::<&u64>::new(),
        "rules that no case must fire"
    );
    assert_eq!(
        ids.difference(&silent).collect::<Vec<_>>(),
        Vec::<&u64>::new(),
        "rules that no case must leave silent"
    );
    let known = |id: &&u64| !ids.contains(id);
    assert_eq!(
        fires.union(&silent).filter(known).collect::<Vec<_>>(),
        Vec::<&u64>::new(),
        "cases of no rule"
    );
}

#[test]
fn the_rules_have_no_warnings_and_say_what_they_are() {
    let engine = engine(&rule_sets(), 1);
    assert_eq!(engine.plan().warnings, []);
    for rule in engine
        .plan()
        .rules
        .iter()
        .filter(|rule| rule.logging == Logging::Report)
    {
        assert!(rule.message.is_some(), "{} has no msg", rule.id);
        assert!(
            rule.tags.iter().any(|tag| tag.starts_with("weir/")),
            "{} has no tag",
            rule.id
        );
    }
}

/// All of them, in the order in which they are loaded.
fn rule_sets() -> Vec<String> {
    let order = [
        "setup",
        "protocol",
        "scanners",
        "traversal",
        "command-injection",
        "sqli",
        "xss",
        "blocking",
    ]
    .map(str::to_owned);
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let found: BTreeSet<String> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        found,
        order.iter().cloned().collect(),
        "every rule file is in the order"
    );
    order.to_vec()
}
