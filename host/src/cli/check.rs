//! `weir check`: is this configuration valid?

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{ConfigFile, count};
use crate::bundle;
use crate::config::{self, Config, Outside, Report, Style};

/// Check a configuration or a bundle, and say everything that is wrong with it.
///
/// Reads the configuration as `weir run` would, without opening a socket. Every problem is shown with its place; the exit
/// code is 1 when there is one.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// Look only at the text: do not read certificates and bundles, do not resolve host names
    #[arg(long)]
    offline: bool,
    /// Check this bundle (a folder or a tar) instead: its manifest, and that its files are there
    #[arg(long, value_name = "PATH", conflicts_with_all = ["config", "offline"])]
    bundle: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match &arguments.bundle {
        Some(bundle) => check_bundle(bundle),
        None => check_config(arguments),
    }
}

/// What a bundle's plugins do with their configuration is only known to the Weir that runs them: see `weir deploy`.
fn check_bundle(path: &Path) -> ExitCode {
    match bundle::read(path) {
        Ok(bundle) => {
            let plugins = count(bundle.plugins.len(), "plugin");
            println!(
                "{}: valid ({} {}, {plugins})",
                path.display(),
                bundle.name,
                bundle.version
            );
            ExitCode::SUCCESS
        }
        Err(problems) => {
            eprintln!("{problems}");
            ExitCode::FAILURE
        }
    }
}

fn check_config(arguments: &Arguments) -> ExitCode {
    let outside = if arguments.offline {
        Outside::Ignore
    } else {
        Outside::Consult
    };
    match config::load_with(&arguments.file.path(), outside) {
        Ok(config) => {
            println!("{}", summary(&config));
            ExitCode::SUCCESS
        }
        Err(report) => refuse(&report),
    }
}

/// Shows a report, coloured where somebody looks at it.
pub(super) fn refuse(report: &Report) -> ExitCode {
    let style = match std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        true => Style::Coloured,
        false => Style::Plain,
    };
    eprint!("{}", report.render(style));
    ExitCode::FAILURE
}

fn summary(config: &Config) -> String {
    let servers = config.upstreams.iter().map(|upstream| upstream.servers.len()).sum();
    format!(
        "{}: valid ({}, {}, {} with {})",
        config.source.display(),
        count(config.listeners.len(), "listener"),
        count(config.routes.len(), "route"),
        count(config.upstreams.len(), "upstream"),
        count(servers, "server"),
    )
}
