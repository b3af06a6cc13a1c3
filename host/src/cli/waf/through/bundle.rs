//! Rules as a bundle: the files in the order in which they are read, and all files beside them that they may name.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use weir_waf_tools::Error;
use weir_waf_tools::rules::{Rules, Unsupported};

/// What the plugin is given: enough for any test, so that what is measured are rules.
const PLUGIN: &str = "\
name = \"test\"
version = \"1\"

[[plugin]]
name = \"waf\"
component = \"waf.wasm\"
capabilities = [\"clock\", \"kv\"]
on_failure = \"closed\"

[plugin.limits]
memory = \"512MiB\"
body = \"16MiB\"
time = \"10s\"
refused = 1000000
";

pub(super) fn write(rules: &Rules, component: &Path, folder: &Path) -> Result<(), Error> {
    if rules.unsupported == Unsupported::Skip {
        return Err(Error::new(
            "rules that cannot be loaded are left out in this process only: add --in-process",
        ));
    }
    let wrong = |path: &Path, error: std::io::Error| Error::new(format!("{}: {error}", path.display()));
    fs::create_dir_all(folder)?;
    fs::copy(component, folder.join("waf.wasm")).map_err(|error| wrong(component, error))?;
    let (sources, folders) = rules.sources()?;
    let mut data = String::new();
    let mut config = rules.config.clone();
    config.rules.clear();
    for (number, source) in sources.iter().enumerate() {
        let file = format!("{number}.conf");
        fs::write(folder.join(&file), &source.text)?;
        writeln!(data, "{} = \"{file}\"", quoted(&source.name)).map_err(|error| Error::new(error.to_string()))?;
        config.rules.push(source.name.clone());
    }
    for (number, (name, path)) in folders.files()?.iter().enumerate() {
        if config.rules.contains(name) {
            continue;
        }
        let file = format!("{number}.data");
        fs::copy(path, folder.join(&file)).map_err(|error| wrong(path, error))?;
        writeln!(data, "{} = \"{file}\"", quoted(name)).map_err(|error| Error::new(error.to_string()))?;
    }
    // An event for every request: what has none was refused before.
    config.directives.push_str("\nSecAuditEngine On\n");
    let config = toml::to_string(&config).map_err(|error| Error::new(error.to_string()))?;
    // Tables within it stand below the plugin's, too.
    let config = config.replace("\n[", "\n[plugin.config.");
    let manifest = format!("{PLUGIN}\n[plugin.data]\n{data}\n[plugin.config]\n{config}");
    Ok(fs::write(folder.join("bundle.toml"), manifest)?)
}

/// As a key of TOML.
fn quoted(name: &str) -> String {
    toml::Value::String(name.to_owned()).to_string()
}
