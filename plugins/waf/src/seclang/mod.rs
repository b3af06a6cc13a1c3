//! SecLang text to a syntax tree: what is written, not yet what it means.
//!
//! [`parse`] reads a file in three steps: [`lines`] joins continued lines and drops comments, [`words`] splits a line into
//! its quoted and unquoted words, and [`targets`], [`operator`] and [`actions`] take the words of a rule apart. Every mistake is
//! reported with its file and line, and reading goes on, so that one run shows them all. Whether a name is known is the
//! business of [`crate::compile`].

mod actions;
mod glob;
mod lines;
mod operator;
pub mod syntax;
mod targets;
mod words;

pub(crate) use actions::parse as parse_actions;
pub(crate) use targets::parse as parse_targets;

use std::collections::HashSet;
use std::sync::Arc;

use crate::problem::{Place, Problems};
use syntax::{Directive, Kind, Missing, Rule};

/// How deep `Include` may nest.
const INCLUDE_DEPTH: usize = 8;

/// A rule file: its name, for messages, and its text.
#[derive(Debug, Clone)]
pub struct Source {
    /// The name that messages show.
    pub name: String,
    /// SecLang.
    pub text: Vec<u8>,
}

/// Where `Include` and `@pmFromFile` find files. A plugin reads its bundle's data, a tool a folder.
pub trait Files {
    /// The file of that name, as it is written in the rule.
    fn read(&self, name: &str) -> Option<Vec<u8>>;

    /// The names of all files, where they are known; what `Include rules/*.conf` chooses from.
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// There are no files.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _name: &str) -> Option<Vec<u8>> {
        None
    }
}

/// Reads rule files, in order, and the files that they include, in place.
///
/// # Errors
/// Every syntax error of every file.
pub fn parse(sources: &[Source], files: &dyn Files) -> Result<Vec<Directive>, Problems> {
    let mut parser = Parser {
        files,
        directives: Vec::new(),
        problems: Problems::default(),
        open: HashSet::new(),
    };
    for source in sources {
        parser.file(source);
    }
    if parser.problems.0.is_empty() {
        Ok(parser.directives)
    } else {
        Err(parser.problems)
    }
}

struct Parser<'a> {
    files: &'a dyn Files,
    directives: Vec<Directive>,
    problems: Problems,
    /// The files that are being read, against those that include themselves.
    open: HashSet<String>,
}

impl Parser<'_> {
    fn file(&mut self, source: &Source) {
        let name: Arc<str> = source.name.as_str().into();
        self.open.insert(source.name.clone());
        for line in lines::split(&name, &source.text, &mut self.problems) {
            match directive(&line.text) {
                Ok(Kind::Include { file, missing }) => self.include(&line.place, &file, missing),
                Ok(kind) => self.directives.push(Directive {
                    place: line.place,
                    kind,
                }),
                Err(message) => self
                    .problems
                    .add(&line.place, format!("{message} in: {}", excerpt(&line.text))),
            }
        }
        self.open.remove(&source.name);
    }

    /// Includes a file, or all files of a pattern in the order of their names: beside the file that says so, else by the name as it
    /// is written there.
    fn include(&mut self, place: &Place, file: &str, missing: Missing) {
        let near = beside(&place.file, file);
        if !glob::is_pattern(file) {
            let known = near != file && self.files.read(&near).is_some();
            return self.include_one(place, if known { &near } else { file }, missing);
        }
        let all = self.files.names();
        let fitting =
            |pattern: &str| -> Vec<&String> { all.iter().filter(|name| glob::matches(pattern, name)).collect() };
        let mut names = fitting(&near);
        if names.is_empty() {
            names = fitting(file);
        }
        names.sort_unstable();
        if names.is_empty() && missing == Missing::IsAnError {
            let message =
                format!("Include \"{file}\": there is no such file; list them under [plugin.data] in bundle.toml");
            return self.problems.add(place, message);
        }
        for name in names {
            self.include_one(place, name, missing);
        }
    }

    fn include_one(&mut self, place: &Place, file: &str, missing: Missing) {
        if self.open.contains(file) {
            return self.problems.add(place, format!("Include \"{file}\" includes itself"));
        }
        if self.open.len() >= INCLUDE_DEPTH {
            return self.problems.add(
                place,
                format!("Include \"{file}\" nests deeper than {INCLUDE_DEPTH} files"),
            );
        }
        match self.files.read(file) {
            Some(text) => self.file(&Source {
                name: file.to_owned(),
                text,
            }),
            None if missing == Missing::IsFine => {}
            None => self.problems.add(
                place,
                format!(
                    "Include \"{file}\": there is no such file; list it under [plugin.data] in bundle.toml by this name"
                ),
            ),
        }
    }
}

/// A file's name as it is meant in another one: relative to its folder.
fn beside(including: &str, file: &str) -> String {
    if file.starts_with('/') {
        return file.to_owned();
    }
    let folder = including.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|_| !folder.is_empty()).collect();
    for part in file.split('/') {
        match part {
            "." => {}
            ".." if parts.last().is_some_and(|last| !matches!(*last, "" | "..")) => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// One directive, from its logical line.
fn directive(line: &str) -> Result<Kind, String> {
    let words = words::split(line)?;
    let Some((name, arguments)) = words.split_first() else {
        return Err("empty directive".to_owned());
    };
    let one = |what: &str| match arguments {
        [only] => Ok(only.clone()),
        _ => Err(format!(
            "{name} takes one argument, {what}, and has {}",
            arguments.len()
        )),
    };
    match name.to_ascii_lowercase().as_str() {
        "secrule" => match arguments {
            [targets, operator] => rule(targets, operator, ""),
            [targets, operator, actions] => rule(targets, operator, actions),
            _ => Err(format!(
                "SecRule takes variables, an operator and actions, each quoted if it holds spaces, and has {} arguments",
                arguments.len()
            )),
        },
        "secaction" => Ok(Kind::Action(actions::parse(&one("a list of actions")?)?)),
        "secdefaultaction" => Ok(Kind::DefaultAction(actions::parse(&one("a list of actions")?)?)),
        "secmarker" => Ok(Kind::Marker(one("a name")?)),
        "include" => Ok(Kind::Include {
            file: one("a file")?,
            missing: Missing::IsAnError,
        }),
        "includeoptional" => Ok(Kind::Include {
            file: one("a file")?,
            missing: Missing::IsFine,
        }),
        container if container.starts_with('<') => Err(format!(
            "{name} belongs to a web server's configuration; write a rule on REQUEST_FILENAME or SERVER_NAME instead"
        )),
        _ => Ok(Kind::Setting {
            name: name.clone(),
            arguments: arguments.to_vec(),
        }),
    }
}

fn rule(targets: &str, operator: &str, actions: &str) -> Result<Kind, String> {
    Ok(Kind::Rule(Rule {
        targets: targets::parse(targets)?,
        operator: operator::parse(operator)?,
        actions: actions::parse(actions)?,
    }))
}

/// The start of a text, for a message.
pub(crate) fn excerpt(text: &str) -> String {
    const SHOWN: usize = 120;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or(text)),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn parse_text(text: &str) -> Result<Vec<Directive>, Problems> {
        parse(
            &[Source {
                name: "test.conf".into(),
                text: text.into(),
            }],
            &NoFiles,
        )
    }

    #[test]
    fn a_rule_is_read_with_the_line_that_it_starts_on() {
        let text =
            "# comment\n\nSecRule ARGS|!ARGS:x \"@rx a\\\"b\" \\\n    \"id:1,\\\n    phase:2,deny\"\nSecMarker END";
        let directives = parse_text(text).unwrap();
        assert_eq!(directives[0].place.to_string(), "test.conf:3");
        assert_eq!(directives[1].place.to_string(), "test.conf:6");
        let Kind::Rule(rule) = &directives[0].kind else {
            panic!("{:?}", directives[0])
        };
        assert_eq!(rule.targets.len(), 2);
        assert_eq!(rule.operator.argument, "a\"b");
        assert_eq!(rule.actions.len(), 3);
    }

    #[test]
    fn every_mistake_is_reported_with_its_line() {
        let problems = parse_text("SecRule ARGS\nSecMarker A\nSecRule \"ARGS\nInclude none.conf").unwrap_err();
        let lines: Vec<u32> = problems.0.iter().map(|p| p.place.line).collect();
        assert_eq!(lines, [1, 3, 4], "{problems}");
    }

    /// Files by their names; the text of each is a marker with its name, unless it is said.
    struct Named(&'static [(&'static str, &'static str)]);

    impl Files for Named {
        fn read(&self, name: &str) -> Option<Vec<u8>> {
            let (_, text) = self.0.iter().find(|(known, _)| *known == name)?;
            Some(match text.is_empty() {
                true => format!("SecMarker {name}").into_bytes(),
                false => text.as_bytes().to_vec(),
            })
        }

        fn names(&self) -> Vec<String> {
            self.0.iter().map(|(name, _)| (*name).to_owned()).collect()
        }
    }

    /// The markers that a file with this text comes to, as `sets/main.conf` beside the given ones.
    fn included(text: &str, files: &'static [(&'static str, &'static str)]) -> Result<Vec<String>, String> {
        let source = Source {
            name: "sets/main.conf".into(),
            text: text.into(),
        };
        let directives = parse(&[source], &Named(files)).map_err(|problems| problems.to_string())?;
        let marker = |directive: Directive| match directive.kind {
            Kind::Marker(name) => name,
            other => panic!("{other:?}"),
        };
        Ok(directives.into_iter().map(marker).collect())
    }

    #[test]
    fn a_pattern_includes_files_in_the_order_of_their_names() {
        const FILES: &[(&str, &str)] = &[
            ("sets/b.conf", ""),
            ("sets/a.conf", ""),
            ("sets/a.data", ""),
            ("sets/deep/c.conf", "Include ../b.conf\nInclude d.conf"),
            ("sets/deep/d.conf", ""),
            ("e.conf", ""),
            ("/etc/f.conf", ""),
        ];
        for (text, expected) in [
            ("Include [ab].conf", &[][..]),
            ("Include ?.conf", &["sets/a.conf", "sets/b.conf"]),
            ("Include a*", &["sets/a.conf", "sets/a.data"]),
            ("Include ./deep/c.conf", &["sets/b.conf", "sets/deep/d.conf"]),
            ("Include e.conf", &["e.conf"]),
            ("Include ../e.conf", &["e.conf"]),
            ("Include e.*", &["e.conf"]),
            ("Include /etc/*.conf", &["/etc/f.conf"]),
            ("IncludeOptional none*.conf", &[]),
        ] {
            match included(text, FILES) {
                Ok(found) => assert_eq!(found, expected, "{text}"),
                Err(message) => assert!(
                    expected.is_empty() && message.contains("no such file"),
                    "{text}: {message}"
                ),
            }
        }
    }

    #[test]
    fn a_pattern_without_a_file_is_an_error_with_its_place() {
        let message = included("\nInclude none/*.conf", &[]).unwrap_err();
        assert!(
            message.starts_with("sets/main.conf:2: Include \"none/*.conf\""),
            "{message}"
        );
    }

    #[test]
    fn a_file_that_includes_itself_is_refused() {
        struct One;
        impl Files for One {
            fn read(&self, _: &str) -> Option<Vec<u8>> {
                Some(b"Include a.conf".to_vec())
            }
        }
        let problems = parse(
            &[Source {
                name: "a.conf".into(),
                text: b"Include b.conf".to_vec(),
            }],
            &One,
        )
        .unwrap_err();
        assert!(problems.to_string().contains("includes itself"), "{problems}");
    }
}
