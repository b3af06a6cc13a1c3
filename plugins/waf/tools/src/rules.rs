//! Rule files from disk to an engine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use weir_waf::compile::compile;
use weir_waf::compile::plan::Plan;
use weir_waf::config::Config;
use weir_waf::evaluate::Engine;
use weir_waf::problem::{Place, Problems};
use weir_waf::seclang::syntax::{Directive, Kind};
use weir_waf::seclang::{Files, Source, parse};

use crate::Error;

/// Which rules, and how they are configured.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Files, folders (every `*.conf` in them, in order) and patterns with `*` in the last part.
    pub paths: Vec<PathBuf>,
    /// SecLang that is read before the files: a name for messages, and the text.
    pub before: Vec<(String, String)>,
    /// What `[plugin.config]` would say.
    pub config: Config,
    /// What happens to rules that this engine cannot load.
    pub unsupported: Unsupported,
}

/// What happens to rules that cannot be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unsupported {
    /// They are errors, as when a bundle is deployed.
    #[default]
    Refuse,
    /// They are left out, and listed.
    Skip,
}

/// Rules that can be asked, and what was left out.
#[derive(Debug)]
pub struct Loaded {
    /// The engine.
    pub engine: Engine,
    /// What is wrong with the rules that were left out.
    pub skipped: Problems,
}

impl Rules {
    /// Reads and compiles.
    ///
    /// # Errors
    /// A path that leads to no file; everything that is wrong with the rules, with file and line.
    pub fn load(&self) -> Result<Loaded, Error> {
        let (plan, skipped) = self.plan()?;
        let engine = Engine::new(plan);
        Ok(Loaded { engine, skipped })
    }

    /// Reads and compiles, for those who change something of the plan before they use it. Beside it, what was left out.
    ///
    /// # Errors
    /// A path that leads to no file; everything that is wrong with the rules, with file and line.
    pub fn plan(&self) -> Result<(Plan, Problems), Error> {
        let (sources, files) = self.sources()?;
        let mut directives = parse(&sources, &files).map_err(|problems| Error::new(problems.to_string()))?;
        let presets = self.config.presets();
        let mut skipped = Problems::default();
        loop {
            match compile(&directives, &presets, &files) {
                Ok(mut plan) => {
                    self.config.outrank(&mut plan.settings);
                    return Ok((plan, skipped));
                }
                Err(problems) if self.unsupported == Unsupported::Skip => {
                    let before = directives.len();
                    directives = without(directives, &problems);
                    let fewer = directives.len() < before;
                    skipped.0.extend(problems.0);
                    if !fewer {
                        return Err(Error::new(skipped.to_string()));
                    }
                }
                Err(problems) => return Err(Error::new(problems.to_string())),
            }
        }
    }

    /// The texts, in the order in which they are read, and where the files that they name are found.
    ///
    /// # Errors
    /// A path that leads to no file, or a file that cannot be read.
    pub fn sources(&self) -> Result<(Vec<Source>, Folders), Error> {
        let mut sources: Vec<Source> = Vec::new();
        for (name, text) in &self.before {
            sources.push(Source {
                name: name.clone(),
                text: text.clone().into_bytes(),
            });
        }
        let mut folders = Vec::new();
        for path in &self.paths {
            for file in expand(path)? {
                let text = std::fs::read(&file).map_err(|error| Error::new(format!("{}: {error}", file.display())))?;
                sources.push(Source {
                    name: file.display().to_string(),
                    text,
                });
                let folder = file.parent().map(Path::to_path_buf).unwrap_or_default();
                if !folders.contains(&folder) {
                    folders.push(folder);
                }
            }
        }
        Ok((sources, Folders(folders)))
    }
}

/// The files that a path means, in order.
///
/// # Errors
/// When there is none.
pub fn expand(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let nothing = |what: &str| Error::new(format!("{}: {what}", path.display()));
    let pattern = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if path.is_dir() {
        let files = listed(path, "*.conf")?;
        return if files.is_empty() {
            Err(nothing("the folder has no file *.conf"))
        } else {
            Ok(files)
        };
    }
    if pattern.contains('*') {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let files = listed(folder.unwrap_or(Path::new(".")), pattern)?;
        return if files.is_empty() {
            Err(nothing("no file has such a name"))
        } else {
            Ok(files)
        };
    }
    if path.is_file() {
        Ok(vec![path.to_path_buf()])
    } else {
        Err(nothing("there is no such file"))
    }
}

fn listed(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, Error> {
    let cannot = |error: std::io::Error| Error::new(format!("{}: {error}", folder.display()));
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_file() && fits(pattern, name) {
            files.insert(path);
        }
    }
    Ok(files.into_iter().collect())
}

/// Whether a name fits a pattern in which `*` stands for anything.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name
            .strip_prefix(start)
            .is_some_and(|tail| (0..=tail.len()).any(|at| tail.get(at..).is_some_and(|tail| fits(rest, tail)))),
    }
}

/// Files that rules name, looked for as they are written and in the folders of the rule files.
#[derive(Debug, Clone, Default)]
pub struct Folders(Vec<PathBuf>);

impl Folders {
    /// Every file beside the rule files, by the name that rules use. Of two with the same name the first counts.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn files(&self) -> Result<Vec<(String, PathBuf)>, Error> {
        let mut files: Vec<(String, PathBuf)> = Vec::new();
        for folder in &self.0 {
            let folder = if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                folder
            };
            for path in listed(folder, "*")? {
                let name = path
                    .file_name()
                    .and_then(|name| name.to_str())
                    .unwrap_or_default()
                    .to_owned();
                if !files.iter().any(|(known, _)| *known == name) {
                    files.push((name, path));
                }
            }
        }
        Ok(files)
    }
}

impl Files for Folders {
    fn read(&self, name: &str) -> Option<Vec<u8>> {
        let inside = self.0.iter().map(|folder| folder.join(name));
        inside
            .chain([PathBuf::from(name)])
            .find_map(|path| std::fs::read(path).ok())
    }
}

/// The directives without those that have problems. A chain goes as a whole, because its parts mean nothing alone.
fn without(directives: Vec<Directive>, problems: &Problems) -> Vec<Directive> {
    let wrong: BTreeSet<(&str, u32)> = problems.0.iter().map(|problem| key(&problem.place)).collect();
    let mut kept = Vec::with_capacity(directives.len());
    let mut chain = Vec::new();
    for directive in directives {
        let open = continues(&directive);
        chain.push(directive);
        if open {
            continue;
        }
        let sound = !chain.iter().any(|link| wrong.contains(&key(&link.place)));
        if sound {
            kept.append(&mut chain);
        }
        chain.clear();
    }
    // A chain that nothing closes.
    if !chain.iter().any(|link| wrong.contains(&key(&link.place))) {
        kept.append(&mut chain);
    }
    kept
}

fn key(place: &Place) -> (&str, u32) {
    (&place.file, place.line)
}

fn continues(directive: &Directive) -> bool {
    let actions = match &directive.kind {
        Kind::Rule(rule) => &rule.actions,
        Kind::Action(actions) => actions,
        _ => return false,
    };
    actions.iter().any(|action| action.name == "chain")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_fit_patterns() {
        for (pattern, name) in [("*.conf", "a.conf"), ("a*b*c", "aXbYbc"), ("abc", "abc"), ("*", "")] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("*.conf", "a.conf.example"), ("a*b", "ba"), ("a", "ab")] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn what_cannot_be_loaded_is_left_out_with_its_chain_and_listed() {
        let text = "SecAction \"id:1,phase:1,nolog\"\nSecRule NOWHERE \"@rx a\" \"id:2,phase:1,chain\"\nSecRule ARGS \"@rx b\"\n\
                    SecAction \"id:3,phase:1,nolog\"";
        let mut rules = Rules {
            before: vec![("t.conf".to_owned(), text.to_owned())],
            ..Rules::default()
        };
        assert!(rules.load().unwrap_err().to_string().contains("t.conf:2"));
        rules.unsupported = Unsupported::Skip;
        let loaded = rules.load().unwrap();
        let ids: Vec<u64> = loaded.engine.plan().rules.iter().map(|rule| rule.id).collect();
        assert_eq!(ids, [1, 3]);
        assert_eq!(loaded.skipped.0.len(), 1);
    }
}
