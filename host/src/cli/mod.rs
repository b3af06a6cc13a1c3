//! The command line: one file per subcommand.

mod activation;
pub mod addresses;
mod cache;
mod check;
mod client;
mod demo;
mod deploy;
mod logging;
mod plugin;
mod reference;
mod reload;
mod rollback;
mod run;
mod status;
mod waf;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Reads the arguments and does what they say. Exit codes: 0 done, 1 refused or failed, 2 wrong arguments.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        Command::Run(command) => run::run(&command),
        Command::Check(command) => check::run(&command),
        Command::Deploy(command) => deploy::run(&command),
        Command::Status(command) => status::run(&command),
        Command::Rollback(command) => rollback::run(&command),
        Command::Reload(command) => reload::run(&command),
        Command::Cache { command } => cache::run(&command),
        Command::Plugin { command } => plugin::run(command).unwrap_or_else(|error| fail(format!("{error:#}"))),
        Command::Waf { command } => waf::run(command),
        Command::Demo(command) => demo::run(&command),
        Command::Version => version(),
        Command::ConfigReference => reference::run(),
    }
}

/// Weir, the Wasm-extensible ingress router: a reverse proxy whose policy is swapped while traffic flows.
#[derive(Debug, Parser)]
#[command(name = "weir", version, max_term_width = 100, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What a subcommand does is said by its arguments' type, in its file.
#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Arguments),
    Check(check::Arguments),
    Deploy(deploy::Arguments),
    Status(status::Arguments),
    Rollback(rollback::Arguments),
    Reload(reload::Arguments),
    /// Look at what the cache stores, and take it out.
    Cache {
        /// What to do.
        #[command(subcommand)]
        command: cache::CacheCommand,
    },
    /// Make, build and test plugins.
    Plugin {
        /// What to do.
        #[command(subcommand)]
        command: plugin::PluginCommand,
    },
    /// Check, test, explain and measure WAF rules.
    Waf {
        /// What to do.
        #[command(subcommand)]
        command: waf::WafCommand,
    },
    /// See Weir at work: a small origin, Weir in front of it, and what to try.
    Demo(demo::Arguments),
    /// Print the version.
    Version,
    /// Print the reference of all settings as Markdown.
    #[command(hide = true)]
    ConfigReference,
}

/// Which configuration file.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file [default: ./weir.toml, or /etc/weir/weir.toml where there is none]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    /// The file that was named, or the first default that exists.
    fn path(&self) -> PathBuf {
        const DEFAULTS: [&str; 2] = ["weir.toml", "/etc/weir/weir.toml"];
        let default = || DEFAULTS.iter().map(PathBuf::from).find(|path| path.exists());
        self.config
            .clone()
            .or_else(default)
            .unwrap_or_else(|| DEFAULTS[0].into())
    }
}

fn version() -> ExitCode {
    println!("weir {}", env!("CARGO_PKG_VERSION"));
    ExitCode::SUCCESS
}

/// `1 server`, `2 servers`.
fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// Tells what went wrong, on standard error, and fails.
fn fail(message: impl std::fmt::Display) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        super::Arguments::command().debug_assert();
    }
}
