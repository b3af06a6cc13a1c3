//! `weir reload`: read the configuration again.

use std::process::ExitCode;

use clap::Args;

use super::client::{Body, Target};
use super::{activation, fail};

/// Read the configuration again.
///
/// The running Weir reads its configuration file and takes it over whole, or not at all. SIGHUP does the same, and says what
/// went wrong only in the log.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match arguments
        .target
        .client()
        .and_then(|client| client.ask("POST", "/v1/reload", Body::Empty))
    {
        Ok(answer) => activation::show("reloaded", &answer),
        Err(error) => fail(format!("not reloaded, nothing changed\n{error}")),
    }
}
