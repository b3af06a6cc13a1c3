//! Log lines about Weir itself, on standard error. (Lines about requests are the access log's.)

use std::io::IsTerminal as _;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// A readable line, coloured on a terminal
    Human,
    /// One JSON object a line
    Json,
}

/// The environment variable that says which lines are written, for example `debug` or `info,weir::upstream=debug`.
const FILTER: &str = "WEIR_LOG";

/// Starts logging. What is logged is `WEIR_LOG`, or `info` where it is not set.
///
/// # Errors
/// When `WEIR_LOG` cannot be read as a filter.
pub(super) fn init(format: Option<LogFormat>) -> Result<(), String> {
    let terminal = std::io::stderr().is_terminal();
    let filter = filter(std::env::var(FILTER).ok().as_deref())?;
    let registry = tracing_subscriber::registry().with(filter);
    let format = format.unwrap_or(if terminal { LogFormat::Human } else { LogFormat::Json });
    let started = match format {
        LogFormat::Human => {
            let colours = terminal && std::env::var_os("NO_COLOR").is_none();
            registry
                .with(layer().with_writer(std::io::stderr).with_ansi(colours))
                .try_init()
        }
        LogFormat::Json => registry
            .with(layer().json().flatten_event(true).with_writer(std::io::stderr))
            .try_init(),
    };
    started.map_err(|error| format!("logging cannot start: {error}"))
}

fn filter(text: Option<&str>) -> Result<EnvFilter, String> {
    let text = text.filter(|text| !text.trim().is_empty()).unwrap_or("info");
    EnvFilter::try_new(text).map_err(|error| {
        format!("{FILTER} is no log filter: {error}; it looks like `debug` or `info,weir::upstream=debug`")
    })
}

#[cfg(test)]
mod tests {
    use super::filter;

    #[test]
    fn the_filter_has_a_default_and_refuses_nonsense() {
        assert!(filter(None).is_ok_and(|filter| filter.to_string() == "info"));
        assert!(filter(Some("warn,weir::upstream=debug")).is_ok());
        assert!(filter(Some("weir=loudly")).is_err_and(|message| message.contains("WEIR_LOG")));
    }
}
