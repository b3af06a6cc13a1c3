//! Hot swaps under load.

use crate::peers::Bench;

pub(crate) const NAME: &str = "swap";
pub(crate) const TITLE: &str = "100 hot swaps at half load";

pub(crate) fn run(_bench: &Bench, _seconds: u64) -> anyhow::Result<String> {
    Ok(String::new())
}
