//! `weir deploy`: make a bundle the active one.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::client::{Body, Target};
use super::{activation, fail};

/// Make a bundle of plugins the active one, while traffic flows.
///
/// The bundle is sent to the running Weir, which verifies, compiles, configures and tests it before anything switches. A
/// bundle that fails changes nothing.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The bundle: a folder with bundle.toml, or a tar of one
    bundle: PathBuf,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let mut tar = match open(&arguments.bundle) {
        Ok(tar) => tar,
        Err(error) => return fail(format!("{}: {error}", arguments.bundle.display())),
    };
    let answer = arguments
        .target
        .client()
        .and_then(|client| client.ask("POST", "/v1/deploy", Body::Tar(&mut tar)));
    match answer {
        Ok(answer) => activation::show("deployed", &answer),
        Err(error) => fail(format!(
            "{} was not deployed, nothing changed\n{error}",
            arguments.bundle.display()
        )),
    }
}

/// The bundle as a tar file.
fn open(bundle: &Path) -> io::Result<File> {
    if !bundle.metadata()?.is_dir() {
        return File::open(bundle);
    }
    let mut writer = BufWriter::new(tempfile::tempfile()?);
    pack(bundle, &mut writer)?;
    writer.flush()?;
    writer.into_inner().map_err(io::IntoInnerError::into_error)
}

/// Marks a folder as a cache, by the Cache Directory Tagging Specification. A plugin's project is a bundle, too, and what cargo
/// built in it, which carries this mark, is a thousand times as large as the bundle.
const CACHE_TAG: &str = "CACHEDIR.TAG";

/// Packs a folder: names sorted and times and owners left out, so that equal folders make equal tars.
fn pack(folder: &Path, writer: &mut impl io::Write) -> io::Result<()> {
    let mut builder = tar::Builder::new(writer);
    builder.mode(tar::HeaderMode::Deterministic);
    pack_below(folder, Path::new(""), &mut builder)?;
    builder.finish()
}

fn pack_below(folder: &Path, inside: &Path, builder: &mut tar::Builder<impl io::Write>) -> io::Result<()> {
    let mut entries = std::fs::read_dir(folder.join(inside))?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        // `.git` and editors' files are no part of a bundle.
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let (inside, path) = (inside.join(&name), entry.path());
        // Links are followed: what they point to is what the bundle means.
        let metadata = path.metadata().map_err(|error| named(&path, &error))?;
        if metadata.is_dir() && path.join(CACHE_TAG).is_file() {
            continue;
        } else if metadata.is_dir() {
            pack_below(folder, &inside, builder)?;
        } else if metadata.is_file() {
            builder
                .append_path_with_name(&path, &inside)
                .map_err(|error| named(&path, &error))?;
        }
    }
    Ok(())
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    #[test]
    fn a_folder_is_packed_whole_and_always_the_same() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("rules")).unwrap();
        fs::create_dir_all(folder.path().join(".git")).unwrap();
        fs::create_dir_all(folder.path().join("target")).unwrap();
        for file in [
            "bundle.toml",
            "rules/b.conf",
            "rules/a.conf",
            ".git/HEAD",
            ".bundle.toml.swp",
            "target/CACHEDIR.TAG",
            "target/a.wasm",
        ] {
            fs::write(folder.path().join(file), file).unwrap();
        }
        let packed = || {
            let mut bytes = Vec::new();
            pack(folder.path(), &mut bytes).unwrap();
            bytes
        };
        let first = packed();
        let mut archive = tar::Archive::new(first.as_slice());
        let names: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["bundle.toml", "rules/a.conf", "rules/b.conf"]);
        fs::write(folder.path().join("bundle.toml"), "bundle.toml").unwrap();
        assert_eq!(first, packed());
    }
}
