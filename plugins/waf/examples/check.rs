//! Reads SecLang files in order, as one rule set, and says everything that is wrong with them or not supported yet.
//!
//! ```text
//! cargo run -p weir-waf --example check -- crs-setup.conf rules/*.conf
//! ```
//!
//! Exits with 1 where there is a problem. Files that rules name (`@pmFromFile`) are looked for beside the rule files.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use weir_waf::compile::compile;
use weir_waf::problem::Problems;
use weir_waf::seclang::{Files, Source, parse};

/// The folders of the rule files.
struct Beside(Vec<PathBuf>);

impl Files for Beside {
    fn read(&self, name: &str) -> Option<Vec<u8>> {
        self.0.iter().find_map(|folder| std::fs::read(folder.join(name)).ok())
    }
}

fn main() -> ExitCode {
    let paths: Vec<PathBuf> = std::env::args().skip(1).map(PathBuf::from).collect();
    let mut sources = Vec::new();
    for path in &paths {
        match std::fs::read(path) {
            Ok(text) => sources.push(Source {
                name: path.file_name().unwrap_or_default().to_string_lossy().into(),
                text,
            }),
            Err(error) => {
                eprintln!("{}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        }
    }
    let files = Beside(
        paths
            .iter()
            .filter_map(|path| path.parent().map(PathBuf::from))
            .collect(),
    );
    let compiled = parse(&sources, &files).and_then(|directives| compile(&directives, &Vec::new(), &files));
    match compiled {
        Ok(plan) => {
            for warning in &plan.warnings {
                println!("warning: {warning}");
            }
            println!("{} rules, {} warnings", plan.rules.len(), plan.warnings.len());
            ExitCode::SUCCESS
        }
        Err(Problems(problems)) => {
            // The same message for many rules is one thing to do.
            let mut by_message: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            for problem in &problems {
                by_message
                    .entry(&problem.message)
                    .or_default()
                    .push(problem.place.to_string());
            }
            for (message, places) in &by_message {
                println!(
                    "{} ({} times, first at {})",
                    message,
                    places.len(),
                    places.first().unwrap()
                );
            }
            println!("{} problems of {} kinds", problems.len(), by_message.len());
            ExitCode::FAILURE
        }
    }
}
