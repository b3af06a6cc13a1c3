//! (to come)

use std::path::Path;

use crate::config::Config;

/// Serves until the process is asked to stop and running exchanges have drained. `addresses` is the file of
/// `weir run --addresses` ([`crate::cli::addresses`]).
///
/// # Errors
/// When a listener cannot be bound or the state on disk cannot be opened.
pub fn run(config: Config, _addresses: Option<&Path>) -> anyhow::Result<()> {
    anyhow::bail!("{} is valid, but serving has not landed yet", config.source.display())
}
