//! `weir config-reference`: the page of all settings, from the table that the readers use.

use std::process::ExitCode;

use crate::config::reference;

pub(super) fn run() -> ExitCode {
    print!("{}", reference::page());
    ExitCode::SUCCESS
}
