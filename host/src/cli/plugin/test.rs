//! `weir plugin test`: a plugin's cases through the real runtime.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::Args;
use serde_json::Value;
use weir_sdk::testing::case::{Case, File, Kind, Table};

use super::super::logging::{self, LogFormat};
use super::build;
use crate::bundle::manifest::{DataFile, Match, Places};
use crate::bundle::{
    Bundle, Capabilities, CounterSpace, Limits, Manifest, OnFailure, TableCheck, TableFile, TableKind,
};
use crate::plugin::{Generation, Runtime, run_case};

/// What to test.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The plugin's folder [default: the current one]
    #[arg(value_name = "DIR", default_value = ".", hide_default_value = true)]
    folder: PathBuf,
    /// The case file [default: cases.toml in the plugin's folder]
    #[arg(long, value_name = "FILE")]
    cases: Option<PathBuf>,
    /// Test this component, and build nothing
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    // What the plugin logs, and the backtrace of a trap, stand above the case that they belong to.
    logging::init(Some(LogFormat::Human)).map_err(anyhow::Error::msg)?;
    let path = arguments
        .cases
        .clone()
        .unwrap_or_else(|| arguments.folder.join("cases.toml"));
    let file = read(&path)?;
    let (name, component) = match &arguments.component {
        Some(path) => {
            let component = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            (
                path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
                component,
            )
        }
        None => {
            let (package, component) = build::build(&arguments.folder)?;
            (package.name, component)
        }
    };
    let component = Bytes::from(component);
    let mut bench = Bench {
        runtime: Runtime::in_memory()?,
        plugin: manifest(&name, component, &file),
        configured: Vec::new(),
    };

    let mut failed = 0;
    for case in &file.cases {
        let result = bench.run(case.config.as_ref().unwrap_or(&file.config), case);
        match result {
            Ok(differences) if differences.is_empty() => println!("ok      {}", case.name),
            Ok(differences) => {
                failed += 1;
                println!("FAILED  {}", case.name);
                for difference in differences {
                    println!("          {difference}");
                }
            }
            Err(message) => {
                failed += 1;
                println!(
                    "FAILED  {}\n          {}",
                    case.name,
                    message.replace('\n', "\n          ")
                );
            }
        }
    }
    println!(
        "\n{}: {} passed, {failed} failed",
        path.display(),
        file.cases.len() - failed
    );
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn read(path: &Path) -> anyhow::Result<File> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file: File = toml::from_str(&text).with_context(|| format!("{} is not a case file", path.display()))?;
    if file.cases.is_empty() {
        bail!("{} has no [[case]]", path.display());
    }
    Ok(file)
}

/// Runs cases, and keeps a plugin configured as long as cases ask for the same configuration.
struct Bench {
    runtime: Arc<Runtime>,
    plugin: Manifest,
    configured: Vec<(Value, Result<Arc<Generation>, String>)>,
}

impl Bench {
    fn run(&mut self, config: &Value, case: &Case) -> Result<Vec<String>, String> {
        let known = self.configured.iter().find(|(known, _)| known == config);
        let generation = match known {
            Some((_, generation)) => generation.clone(),
            None => {
                let plugin = Manifest {
                    config: config.clone(),
                    ..self.plugin.clone()
                };
                let bundle = Bundle::in_memory(&self.plugin.name, vec![plugin]);
                let generation = self
                    .runtime
                    .load_for_test(&bundle)
                    .map_err(|problems| problems.to_string());
                self.configured.push((config.clone(), generation.clone()));
                generation
            }
        };
        run_case(&generation?, case)
    }
}

/// The plugin as a bundle would have it, with everything granted and the case file's stand-ins.
fn manifest(name: &str, component: Bytes, file: &File) -> Manifest {
    let tables = file.tables.iter().map(|(name, table)| TableFile {
        name: name.clone(),
        kind: match table.kind {
            Kind::Ip => TableKind::Ip,
            Kind::Exact => TableKind::Exact,
            Kind::Prefix => TableKind::Prefix,
        },
        path: format!("table `{name}` of the case file"),
        content: csv(table).into(),
        header: false,
        check: TableCheck::Form,
        line: 1,
    });
    let counters = file.counters.iter().map(|(name, counters)| CounterSpace {
        name: name.clone(),
        entries: counters.entries.unwrap_or(1000),
        line: 1,
    });
    let data = file.data.iter().map(|(name, content)| {
        (
            name.clone(),
            DataFile {
                path: name.clone(),
                content: Bytes::copy_from_slice(content.as_bytes()),
            },
        )
    });
    Manifest {
        name: name.into(),
        component_path: format!("{name}.wasm"),
        component,
        capabilities: Capabilities::all(),
        on_failure: OnFailure::Closed,
        matcher: Match::default(),
        limits: Limits::default(),
        config: file.config.clone(),
        tables: tables.collect(),
        counters: counters.collect(),
        data: data.collect::<BTreeMap<_, _>>(),
        places: Places {
            plugin: 1,
            component: 1,
            capabilities: 1,
            config: 1,
            limits: 1,
        },
    }
}

fn csv(table: &Table) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    table
        .entries
        .iter()
        .map(|(key, value)| format!("{},{}\n", quoted(key), quoted(value)))
        .collect()
}
