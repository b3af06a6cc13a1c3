//! `weir check`: is this configuration valid?

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Args;

use super::ConfigFile;
use crate::config::{self, Config, Outside, Report, Style};

/// Reads the configuration as `weir run` would, without opening a socket. Every problem is shown with its place; the exit
/// code is 1 when there is one.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// Look only at the text: do not read certificates and bundles, do not resolve host names
    #[arg(long)]
    offline: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
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

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
