//! Plugins for tests, built from their sources once a run.
//!
//! `tests/guests/NAME` misbehaves in the one way that its name says (a few behave); `plugins/NAME` are the real ones. All of
//! them are built as an author builds his: cargo for `wasm32-unknown-unknown`, then `weir plugin build`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::proxy::weir;

/// The component of `tests/guests/NAME`.
pub fn guest(name: &str) -> PathBuf {
    component(&format!("guest-{name}"))
}

/// The component of one of the plugins that ship with Weir.
pub fn plugin(name: &str) -> PathBuf {
    component(&format!("weir-plugin-{name}"))
}

/// The names of all folders in `tests/guests`.
pub fn names() -> Vec<String> {
    let mut names = folders(&root().join("tests/guests"));
    names.sort();
    assert!(!names.is_empty(), "tests/guests is empty");
    names
}

fn component(package: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let component = BUILT.get_or_init(build).join(format!("{package}.wasm"));
    assert!(component.is_file(), "no plugin {package} in tests/guests or plugins");
    component
}

/// Builds every plugin; cargo and the comparison of times leave what is there already.
fn build() -> PathBuf {
    let packages: Vec<String> = names()
        .iter()
        .map(|name| format!("guest-{name}"))
        .chain(
            folders(&root().join("plugins"))
                .iter()
                .map(|name| format!("weir-plugin-{name}")),
        )
        .collect();
    let mut cargo = Command::new(root().join("scripts/wasm-cargo"));
    cargo.args([
        "build",
        "--quiet",
        "--profile",
        "plugin",
        "--target",
        "wasm32-unknown-unknown",
    ]);
    for package in &packages {
        cargo.args(["-p", package]);
    }
    let target = target().join("wasm");
    let output = cargo
        .current_dir(root())
        .env("CARGO_TARGET_DIR", &target)
        .output()
        .expect("run scripts/wasm-cargo");
    assert!(
        output.status.success(),
        "plugins do not build: {}",
        String::from_utf8_lossy(&output.stderr)
    );

    let components = target.join("components");
    std::fs::create_dir_all(&components).expect("a folder for components");
    for package in &packages {
        let module = target
            .join("wasm32-unknown-unknown/plugin")
            .join(format!("{}.wasm", package.replace('-', "_")));
        let component = components.join(format!("{package}.wasm"));
        if !newer(&component, &module) {
            componentise(&module, &component);
        }
    }
    components
}

fn componentise(module: &Path, component: &Path) {
    let (from, to) = (module.to_string_lossy(), component.to_string_lossy());
    let output = weir(&["plugin", "build", "--wasm", &from, "--out", &to], &root());
    assert!(output.success, "weir plugin build --wasm {from}: {}", output.stderr);
}

fn newer(file: &Path, than: &Path) -> bool {
    let modified = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    match (modified(file), modified(than)) {
        (Some(file), Some(than)) => file > than,
        _ => false,
    }
}

fn folders(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .flatten();
    let manifests = entries.filter(|entry| entry.path().join("Cargo.toml").is_file());
    manifests
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

fn target() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    test.ancestors().nth(3).expect("target/PROFILE/deps/TEST").to_path_buf()
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the repository")
        .to_path_buf()
}
