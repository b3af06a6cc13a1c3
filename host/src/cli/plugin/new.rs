//! `weir plugin new`: a project that builds and passes its tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use weir_sdk::template::{self, Source};

/// What to make, and where.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The plugin's name: lower-case letters, digits and hyphens.
    name: String,
    /// The folder to make [default: the name, in the current folder]
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// The folder of the SDK [default: that of the source which this Weir was built from; where it is gone, the published one]
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let folder = arguments.path.clone().unwrap_or_else(|| PathBuf::from(&arguments.name));
    let files = template::render(&arguments.name, &sdk(arguments.sdk.as_deref())?).map_err(anyhow::Error::msg)?;
    if folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{} is not empty; name another folder with --path", folder.display());
    }
    for (path, content) in &files {
        let file = folder.join(path);
        let parent = file.parent().unwrap_or(&folder);
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        fs::write(&file, content).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let folder = folder.display();
    println!(
        "{folder}: a plugin that says something in a header.\n\n    \
         cd {folder}\n    \
         cargo test            # its logic, natively\n    \
         weir plugin test      # its cases, through the real runtime\n    \
         weir plugin build     # the component that bundle.toml names"
    );
    Ok(ExitCode::SUCCESS)
}

fn sdk(given: Option<&Path>) -> anyhow::Result<Source> {
    let built_from = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk"));
    let folder = match given {
        Some(folder) => folder,
        None if built_from.join("Cargo.toml").is_file() => built_from,
        None => return Ok(Source::Version(env!("CARGO_PKG_VERSION").to_owned())),
    };
    let folder = folder
        .canonicalize()
        .with_context(|| format!("there is no SDK in {}", folder.display()))?;
    Ok(Source::Path(folder))
}
