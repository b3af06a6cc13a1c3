//! Bundles for the runs with plugins: real plugins, with as much data as the goals name.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::peers::Bench;

/// Entries of the access list.
const NETWORKS: u32 = 10_000;
/// Entries of the redirect table.
const REDIRECTS: u32 = 1_000_000;

/// What Weir runs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plugins {
    None,
    /// access, rate-limit, redirect, maintenance (off).
    Policy,
    /// And the WAF with Weir's own rules.
    All,
    /// A plugin that marks both messages with this generation.
    Mark(u32),
}

/// Writes the bundle, once, and gives its folder.
pub(crate) fn make(bench: &Bench, plugins: Plugins) -> anyhow::Result<Option<PathBuf>> {
    let _ = (bench, plugins, NETWORKS, REDIRECTS);
    match plugins {
        Plugins::None => Ok(None),
        _ => anyhow::bail!("not written yet"),
    }
}

#[allow(dead_code)]
fn unused(path: &Path, text: &mut String) -> anyhow::Result<()> {
    writeln!(text, "x")?;
    fs::write(path, text).context("x")
}
