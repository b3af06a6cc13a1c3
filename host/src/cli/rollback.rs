//! `weir rollback`: go back to a bundle that was active before.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::client::{Body, Target};
use super::{activation, fail};

/// Go back to a bundle that was active before.
///
/// Without a number, the generation before the active one is made active again. `weir status` lists those that are kept.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The number of the generation to go back to
    generation: Option<u64>,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let body = match arguments.generation {
        Some(number) => json!({ "generation": number }),
        None => json!({}),
    };
    match arguments
        .target
        .client()
        .and_then(|client| client.ask("POST", "/v1/rollback", Body::Json(&body)))
    {
        Ok(answer) => activation::show("rolled back", &answer),
        Err(error) => fail(format!("not rolled back, nothing changed\n{error}")),
    }
}
