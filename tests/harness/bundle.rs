//! Bundles, packed in a temporary folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::guests;

/// A bundle's folder, until it is dropped.
#[derive(Debug)]
pub struct Bundle {
    folder: TempDir,
    manifest: String,
}

impl Bundle {
    /// A bundle without plugins.
    pub fn new(name: &str, version: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("weir-bundle-")
            .tempdir()
            .expect("a temporary folder");
        Self {
            folder,
            manifest: format!("name = \"{name}\"\nversion = \"{version}\"\n"),
        }
        .written()
    }

    /// One of the bundles that ship with Weir (`bundles/NAME`), with the components that it names.
    pub fn shipped(name: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("weir-bundle-")
            .tempdir()
            .expect("a temporary folder");
        let source = guests::root().join("bundles").join(name);
        copy(&source, folder.path());
        let manifest = std::fs::read_to_string(source.join("bundle.toml")).expect("a bundle that ships");
        for line in manifest.lines() {
            if let Some(component) = line
                .strip_prefix("component = \"")
                .and_then(|rest| rest.strip_suffix(".wasm\""))
            {
                let to = folder.path().join(format!("{component}.wasm"));
                std::fs::copy(guests::plugin(component), to).expect("copy a component");
            }
        }
        Self { folder, manifest }
    }

    /// The WAF with a rule set, as `scripts/crs-bundle.sh` puts them together.
    pub fn crs(rules: &RuleSet) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("weir-bundle-")
            .tempdir()
            .expect("a temporary folder");
        let output = Command::new(guests::root().join("scripts/crs-bundle.sh"))
            .args([&rules.0, folder.path(), &guests::plugin("waf")])
            .output()
            .expect("run scripts/crs-bundle.sh");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let manifest = std::fs::read_to_string(folder.path().join("bundle.toml")).expect("a bundle of the rule set");
        Self { folder, manifest }
    }

    /// Changes `bundle.toml`.
    pub fn edited(mut self, edit: impl FnOnce(&str) -> String) -> Self {
        let edited = edit(&self.manifest);
        assert!(edited != self.manifest, "the edit of bundle.toml changes nothing");
        self.manifest = edited;
        self.written()
    }

    /// Adds the guest of this name as a plugin of the same name, with further keys of `[[plugin]]`.
    pub fn guest(self, name: &str, keys: &str) -> Self {
        self.component(name, &guests::guest(name), keys)
    }

    /// Adds a plugin that ships with Weir, with further keys of `[[plugin]]`.
    pub fn plugin(self, name: &str, keys: &str) -> Self {
        self.component(name, &guests::plugin(name), keys)
    }

    /// Adds a plugin from a file.
    pub fn component(self, name: &str, component: &Path, keys: &str) -> Self {
        let bytes = std::fs::read(component).expect("read a component");
        self.bytes(name, &bytes, keys)
    }

    /// Adds a plugin whose component is these bytes.
    pub fn bytes(self, name: &str, component: &[u8], keys: &str) -> Self {
        self.file(&format!("{name}.wasm"), component).text(&format!(
            "[[plugin]]\nname = \"{name}\"\ncomponent = \"{name}.wasm\"\n{keys}"
        ))
    }

    /// Adds a file.
    pub fn file(self, name: &str, bytes: &[u8]) -> Self {
        std::fs::write(self.folder.path().join(name), bytes).expect("write a bundle's file");
        self
    }

    /// Adds text to `bundle.toml`.
    pub fn text(mut self, text: &str) -> Self {
        self.manifest.push_str(text);
        self.manifest.push('\n');
        self.written()
    }

    /// Where it is.
    pub fn path(&self) -> String {
        self.folder.path().to_string_lossy().into_owned()
    }

    /// The folder as a tar file.
    pub fn tar(&self) -> PathBuf {
        let tar = self.folder.path().with_extension("tar");
        let status = Command::new("tar")
            .arg("-cf")
            .arg(&tar)
            .arg("-C")
            .arg(self.folder.path())
            .arg(".")
            .status();
        assert!(
            status.expect("tar is not installed: apt-get install tar").success(),
            "tar failed"
        );
        tar
    }

    fn written(self) -> Self {
        std::fs::write(self.folder.path().join("bundle.toml"), &self.manifest).expect("write bundle.toml");
        self
    }
}

/// An installation of the OWASP Core Rule Set, which is not part of this repository.
#[derive(Debug, Clone)]
pub struct RuleSet(PathBuf);

impl RuleSet {
    /// The one that `WEIR_CRS` names and the one of Debian's package modsecurity-crs, where they are there. Without any, nothing can be
    /// shown: said aloud here, and a failure in CI.
    pub fn installed() -> Vec<Self> {
        let named = std::env::var_os("WEIR_CRS").map(PathBuf::from);
        let folders = named.into_iter().chain([PathBuf::from("/usr/share/modsecurity-crs")]);
        let found: Vec<_> = folders
            .filter(|folder| folder.join("rules").is_dir())
            .map(Self)
            .collect();
        if found.is_empty() {
            assert!(
                std::env::var_os("CI").is_none(),
                "no OWASP Core Rule Set: install modsecurity-crs, or set WEIR_CRS to its folder"
            );
            println!("NOT RUN: no OWASP Core Rule Set; install modsecurity-crs, or set WEIR_CRS to its folder");
        }
        found
    }

    /// Its folder, for messages.
    pub fn name(&self) -> String {
        self.0.display().to_string()
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from)
        .unwrap_or_else(|error| panic!("{}: {error}", from.display()))
        .flatten()
    {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir_all(&target).expect("a folder");
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).expect("copy a file");
        }
    }
}
