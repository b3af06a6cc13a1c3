//! `weir plugin build`: cargo for WebAssembly, then a component.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use serde_json::Value;
use wit_component::ComponentEncoder;

const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "plugin";

/// Searches for bytes and texts look at sixteen bytes at a time. cargo adds these to the flags that its configuration has.
const FLAGS: (&str, &str) = (
    "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
    "-C target-feature=+simd128",
);

/// What to build, and where to put it.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The plugin's folder [default: the current one]
    #[arg(value_name = "DIR", default_value = ".", hide_default_value = true)]
    folder: PathBuf,
    /// Where the component goes [default: NAME.wasm in the plugin's folder]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Make a component of this core module, and compile nothing
    #[arg(long, value_name = "FILE")]
    wasm: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (module, default_out) = match &arguments.wasm {
        Some(module) => (module.clone(), module.with_extension("component.wasm")),
        None => {
            let Package { name, module } = compile(&arguments.folder)?;
            (module, arguments.folder.join(format!("{name}.wasm")))
        }
    };
    let out = arguments.out.as_ref().unwrap_or(&default_out);
    let component = componentise(&module)?;
    fs::write(out, &component).with_context(|| format!("cannot write {}", out.display()))?;
    println!("{} ({} KiB)", out.display(), component.len().div_ceil(1024));
    Ok(ExitCode::SUCCESS)
}

/// What cargo built.
pub(super) struct Package {
    /// The package's name.
    pub(super) name: String,
    /// The core module.
    module: PathBuf,
}

/// Builds a plugin's component.
pub(super) fn build(folder: &Path) -> anyhow::Result<(Package, Vec<u8>)> {
    let package = compile(folder)?;
    let component = componentise(&package.module)?;
    Ok((package, component))
}

/// Compiles the plugin in a folder with cargo, or with what `WEIR_WASM_CARGO` names instead.
fn compile(folder: &Path) -> anyhow::Result<Package> {
    let manifest = folder.join("Cargo.toml");
    let manifest = manifest
        .canonicalize()
        .with_context(|| format!("{} is not a plugin's folder: it has no Cargo.toml", folder.display()))?;
    let cargo = std::env::var_os("WEIR_WASM_CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let (name, flags) = FLAGS;
    let mut flags = OsString::from(flags);
    if let Some(more) = std::env::var_os(name) {
        flags.push(" ");
        flags.push(more);
    }
    let output = Command::new(&cargo)
        .env(name, flags)
        .args([
            "build",
            "--lib",
            "--profile",
            PROFILE,
            "--target",
            TARGET,
            "--message-format=json-render-diagnostics",
        ])
        .arg("--manifest-path")
        .arg(&manifest)
        .current_dir(folder)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}", cargo.display()))?;
    if !output.status.success() {
        bail!(
            "the plugin does not compile (if the target is missing: `rustup target add {TARGET}`; if the profile is: \
             `[profile.{PROFILE}]` with `inherits = \"release\"` in Cargo.toml)"
        );
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let mut built = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| built(&message, &manifest));
    built.next_back().ok_or_else(|| {
        anyhow!(
            "{} builds no cdylib; add `[lib] crate-type = [\"cdylib\", \"rlib\"]`",
            manifest.display()
        )
    })
}

/// What a message of cargo says about this package's module.
fn built(message: &Value, manifest: &Path) -> Option<Package> {
    if message.get("reason")? != "compiler-artifact" || Path::new(message.get("manifest_path")?.as_str()?) != manifest {
        return None;
    }
    let files = message.get("filenames")?.as_array()?;
    let module = files
        .iter()
        .filter_map(Value::as_str)
        .find(|file| file.ends_with(".wasm"))?;
    // The target is named as Rust names it, and what operators read is the package's name.
    let name = message.get("target")?.get("name")?.as_str()?.replace('_', "-");
    Some(Package {
        name,
        module: module.into(),
    })
}

fn componentise(module: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    if wasmparser::Parser::is_component(&bytes) {
        bail!("{} is a component already", module.display());
    }
    component(&bytes).with_context(|| format!("{} is not a plugin", module.display()))
}

/// Makes a component of a core module that was built with the SDK.
fn component(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    ComponentEncoder::default().validate(true).module(module)?.encode()
}
