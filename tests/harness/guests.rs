//! Plugins for tests, built from their sources once a run.
//!
//! `tests/guests/NAME` misbehaves in the one way that its name says (a few behave); `plugins/NAME` are the real ones. All of
//! them are built as an author builds his: cargo for `wasm32-unknown-unknown`, then `weir plugin build`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::proxy::weir;

/// The component of `tests/guests/NAME`.
pub fn guest(name: &str) -> PathBuf {
    static BUILT: OnceLock<Built> = OnceLock::new();
    component(&BUILT, &root().join("tests/guests"), name)
}

/// The component of one of the plugins that ship with Weir.
pub fn plugin(name: &str) -> PathBuf {
    static BUILT: OnceLock<Built> = OnceLock::new();
    component(&BUILT, &root().join("plugins"), name)
}

/// The names of all folders in `tests/guests`.
pub fn names() -> Vec<String> {
    let names: Vec<_> = crates(&root().join("tests/guests")).into_keys().collect();
    assert!(!names.is_empty(), "tests/guests is empty");
    names
}

/// The repository.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().expect("tests/ lies in the repository").to_path_buf()
}

/// From the name of a plugin's folder to its component.
type Built = BTreeMap<String, PathBuf>;

fn component(built: &OnceLock<Built>, folder: &Path, name: &str) -> PathBuf {
    let built = built.get_or_init(|| build(folder));
    let found = built.get(name);
    found
        .unwrap_or_else(|| {
            panic!(
                "{} has no plugin {name}; there are {:?}",
                folder.display(),
                built.keys()
            )
        })
        .clone()
}

/// Builds every plugin of a folder, at once; what is there already is left alone.
fn build(folder: &Path) -> Built {
    let sources = crates(folder);
    let target = target().join("wasm");
    let mut cargo = Command::new(root().join("scripts/wasm-cargo"));
    cargo.args([
        "build",
        "--quiet",
        "--profile",
        "plugin",
        "--target",
        "wasm32-unknown-unknown",
    ]);
    for package in sources.values() {
        cargo.args(["--package", package]);
    }
    let output = cargo.current_dir(root()).env("CARGO_TARGET_DIR", &target).output();
    let output = output.expect("run scripts/wasm-cargo");
    assert!(
        output.status.success(),
        "plugins do not build: {}",
        String::from_utf8_lossy(&output.stderr)
    );

    let (modules, components) = (target.join("wasm32-unknown-unknown/plugin"), target.join("components"));
    std::fs::create_dir_all(&components).expect("a folder for components");
    let componentised = sources.into_iter().map(|(name, package)| {
        let module = modules.join(format!("{}.wasm", package.replace('-', "_")));
        let component = components.join(format!("{package}.wasm"));
        if !is_newer(&component, &module) {
            componentise(&module, &component);
        }
        (name, component)
    });
    componentised.collect()
}

fn componentise(module: &Path, component: &Path) {
    let (from, to) = (module.to_string_lossy(), component.to_string_lossy());
    let output = weir(&["plugin", "build", "--wasm", &from, "--out", &to], &root());
    assert!(output.success, "weir plugin build --wasm {from}: {}", output.stderr);
}

fn is_newer(file: &Path, than: &Path) -> bool {
    let modified = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    match (modified(file), modified(than)) {
        (Some(file), Some(than)) => file > than,
        _ => false,
    }
}

/// The crates in a folder that make a Wasm module: the names of their folders and of their packages.
fn crates(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .flatten();
    let package = |entry: std::fs::DirEntry| {
        let manifest = std::fs::read_to_string(entry.path().join("Cargo.toml")).ok()?;
        let package = manifest
            .lines()
            .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))?;
        let module = manifest.contains("cdylib");
        module.then(|| (entry.file_name().to_string_lossy().into_owned(), package.to_owned()))
    };
    entries.filter_map(package).collect()
}

fn target() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    test.ancestors().nth(3).expect("target/PROFILE/deps/TEST").to_path_buf()
}
