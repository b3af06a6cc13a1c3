//! `weir run`: serve traffic.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::logging::LogFormat;
use super::{ConfigFile, check, fail, logging};
use crate::{config, server};

/// Serve traffic until SIGTERM or SIGINT.
///
/// Nothing is bound before the whole configuration is valid. SIGHUP reads it again, SIGTERM and SIGINT let running requests
/// finish and then stop. SIGUSR2 replaces the process by a new one without closing a socket.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// Write the addresses that are really bound to this file, for configurations that ask for port 0
    #[arg(long, value_name = "FILE")]
    addresses: Option<PathBuf>,
    /// How log lines look on standard error [default: human on a terminal, json otherwise]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    if let Err(error) = logging::init(arguments.log_format) {
        return fail(error);
    }
    let config = match config::load(&arguments.file.path()) {
        Ok(config) => config,
        Err(report) => return check::refuse(&report),
    };
    match server::run(config, arguments.addresses.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(format!("{error:#}")),
    }
}
