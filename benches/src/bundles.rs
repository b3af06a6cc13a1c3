//! Bundles for the runs with plugins: the real plugins, with as much data as the goals name.

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
    /// No bundle at all.
    None,
    /// access, rate-limit, redirect, maintenance (off).
    Policy,
    /// And the WAF with Weir's own rules.
    All,
    /// A plugin that marks request and response.
    Mark(u32),
}

const POLICY: &str = r#"
[[plugin]]
name = "access"
component = "access.wasm"
capabilities = ["tables"]
[[plugin.table]]
name = "deny"
kind = "ip"
file = "deny.csv"
[plugin.config]
default = "allow"
[[plugin.config.rules]]
id = "listed"
action = "deny"
tables = ["deny"]

[[plugin]]
name = "rate-limit"
component = "rate-limit.wasm"
capabilities = ["counters"]
[[plugin.counters]]
name = "per-ip"
entries = 100000
[[plugin.config.limits]]
name = "per-ip"
quota = 1000000000
period = "1s"

[[plugin]]
name = "redirect"
component = "redirect.wasm"
capabilities = ["tables"]
[[plugin.table]]
name = "moved"
kind = "exact"
check = "redirects"
file = "moved.csv"
[plugin.config]
[[plugin.config.tables]]
name = "moved"

[[plugin]]
name = "maintenance"
component = "maintenance.wasm"
capabilities = ["clock", "tables"]
[plugin.config]
mode = "off"
"#;

/// Writes the bundle, once, and gives its folder.
pub(crate) fn make(bench: &Bench, plugins: Plugins) -> anyhow::Result<Option<PathBuf>> {
    let (name, manifest, components): (String, String, &[&str]) = match plugins {
        Plugins::None => return Ok(None),
        Plugins::Policy => (
            "policy".into(),
            POLICY.into(),
            &["access", "rate-limit", "redirect", "maintenance"],
        ),
        Plugins::All => {
            let waf = standard_waf()?;
            (
                "all".into(),
                format!("{POLICY}{waf}"),
                &["access", "rate-limit", "redirect", "maintenance", "waf"],
            )
        }
        Plugins::Mark(mark) => {
            let plugin = "[[plugin]]\nname = \"mark\"\ncomponent = \"mark.wasm\"\n";
            (
                format!("mark-{mark}"),
                format!("{plugin}[plugin.config]\nmark = \"{mark}\"\n"),
                &["mark"],
            )
        }
    };
    let dir = bench.dir().join("bundles").join(&name);
    if dir.exists() {
        return Ok(Some(dir));
    }
    fs::create_dir_all(&dir)?;
    fs::write(
        dir.join("bundle.toml"),
        format!("name = \"{name}\"\nversion = \"1\"\n{manifest}"),
    )?;
    for component in components {
        copy(bench.plugins(), &dir, component)?;
    }
    if plugins == Plugins::Policy || plugins == Plugins::All {
        fs::write(dir.join("deny.csv"), networks())?;
        fs::write(dir.join("moved.csv"), redirects())?;
    }
    if plugins == Plugins::All {
        for entry in fs::read_dir("rulesets").context("run from the root of the repository")? {
            let path = entry?.path();
            if let Some(name) = path
                .file_name()
                .filter(|_| path.extension().is_some_and(|extension| extension == "conf"))
            {
                fs::create_dir_all(dir.join("rules"))?;
                fs::copy(&path, dir.join("rules").join(name))?;
            }
        }
    }
    Ok(Some(dir))
}

/// The WAF as the standard bundle has it.
fn standard_waf() -> anyhow::Result<String> {
    let text = fs::read_to_string("bundles/standard/bundle.toml").context("run from the root of the repository")?;
    let start = text
        .find("name = \"waf\"")
        .context("bundles/standard has no plugin waf")?;
    let start = text[..start].rfind("[[plugin]]").unwrap_or(start);
    let rest = &text[start + 1..];
    let end = [rest.find("\n[[plugin]]"), rest.find("\n[[test]]")]
        .into_iter()
        .flatten()
        .min();
    let section = end.map_or(&text[start..], |end| &text[start..=start + end]);
    Ok(format!("\n{section}\n"))
}

fn copy(from: &Path, to: &Path, component: &str) -> anyhow::Result<()> {
    let file = format!("{component}.wasm");
    fs::copy(from.join(&file), to.join(&file))
        .with_context(|| format!("{} is not there: `make plugins` builds it", from.join(&file).display()))?;
    Ok(())
}

/// IPv4 and IPv6 networks, none of which holds the loopback address.
fn networks() -> String {
    let mut text = String::new();
    for index in 0..NETWORKS / 2 {
        let _ = writeln!(text, "11.{}.{}.0/24,listed", index / 256, index % 256);
        let _ = writeln!(text, "2001:db8:{index:x}::/48,listed");
    }
    text
}

fn redirects() -> String {
    let mut text = String::new();
    for index in 0..REDIRECTS {
        let _ = writeln!(text, "/legacy/title-{index}/chapter-{}.html,/title/{index}", index % 97);
    }
    text
}
