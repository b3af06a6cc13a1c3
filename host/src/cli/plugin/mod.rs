//! `weir plugin`: from nothing to a component that runs.

mod build;
mod new;
mod test;

use std::process::ExitCode;

use clap::Subcommand;

/// Make, build and test plugins.
#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Make the project of a new plugin.
    New(new::Arguments),
    /// Build a plugin: compile it to WebAssembly and make a component of it.
    Build(build::Arguments),
    /// Send a plugin's cases through the real runtime.
    Test(test::Arguments),
}

/// Does what a command says.
///
/// # Errors
/// When it cannot be done, in words for the author.
pub(crate) fn run(command: PluginCommand) -> anyhow::Result<ExitCode> {
    match command {
        PluginCommand::New(arguments) => new::run(&arguments),
        PluginCommand::Build(arguments) => build::run(&arguments),
        PluginCommand::Test(arguments) => test::run(&arguments),
    }
}
