//! Reads `bundle.toml` and the files that it names, and reports all that is wrong with them at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Method};
use serde_json::Value;
use weir_sdk::testing::case::Case;

use super::SelfTest;
use super::document::{Document, Placed, Section};
use super::manifest::{
    ALWAYS_GRANTED, Capabilities, Capability, CounterSpace, DataFile, Limits, Manifest, Match, OnFailure, Places,
    TableCheck, TableFile, TableKind,
};
use super::problem::Problems;
use super::source::{Source, check_path};
use crate::config::suggest::nearest;
use crate::config::{HostPattern, PathPattern, units};

/// What a manifest says, with the files that it names.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) plugins: Vec<Manifest>,
    pub(super) tests: Vec<SelfTest>,
    pub(super) files: BTreeMap<String, Bytes>,
}

/// Parses a manifest and reads the files that it names.
pub(super) fn parse(text: &[u8], label: &str, source: &dyn Source) -> Result<Parsed, Problems> {
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            let before = text.get(..error.valid_up_to()).unwrap_or_default();
            let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
            return Err(Problems::one(label, Some(line), "the manifest has to be UTF-8"));
        }
    };
    let (document, root) = Document::parse(label, text)?;
    let mut reader = Reader {
        document,
        source,
        files: BTreeMap::new(),
    };
    let mut root = Section::root(&root);

    let name = reader.name(&mut root);
    let version = root
        .required_text(&mut reader.document, "version")
        .map(|version| version.value.to_owned());
    let mut plugins: Vec<Manifest> = Vec::new();
    for section in root.tables(&mut reader.document, "plugin", "[[plugin]]") {
        let line = section.line;
        let Some(plugin) = reader.plugin(section) else { continue };
        if plugins.iter().any(|other| other.name == plugin.name) {
            reader.document.problem(
                line,
                format!("there are two plugins named `{}`; names have to be unique", plugin.name),
            );
        }
        plugins.push(plugin);
    }
    let tests = reader.tests(&mut root);
    root.finish(&mut reader.document);

    let files = reader.files;
    reader.document.into_problems().into_result()?;
    Ok(Parsed {
        name: name.unwrap_or_default(),
        version: version.unwrap_or_default(),
        plugins,
        tests,
        files,
    })
}

struct Reader<'s, 't> {
    document: Document<'t>,
    source: &'s dyn Source,
    files: BTreeMap<String, Bytes>,
}

impl<'t> Reader<'_, 't> {
    fn plugin(&mut self, mut section: Section<'_, 't>) -> Option<Manifest> {
        let head = section.line;
        let name = self.name(&mut section);
        let component = self.file(&mut section, "component");
        let (capabilities, capabilities_line) = self.capabilities(&mut section);
        let on_failure = section.parsed(&mut self.document, "on_failure", on_failure);
        let matcher = match section.table(&mut self.document, "match", "[plugin.match]") {
            Some(section) => self.matcher(section),
            None => Match::default(),
        };
        let limits_section = section.table(&mut self.document, "limits", "[plugin.limits]");
        let limits_line = limits_section.as_ref().map_or(head, |section| section.line);
        let limits = limits_section.map_or_else(Limits::default, |section| self.limits(section));
        let config_value = section.get("config");
        let config_line = config_value.map_or(head, |value| self.document.line(&value.span()));
        let config = config_value.map_or_else(
            || Value::Object(serde_json::Map::new()),
            |value| self.document.json(value),
        );
        let tables = self.tables(&mut section);
        let counters = self.counters(&mut section);
        let data = self.data(&mut section);
        section.finish(&mut self.document);

        if !tables.is_empty() && !capabilities.has(Capability::Tables) {
            self.ungranted(head, capabilities_line, Capability::Tables, "[[plugin.table]]");
        }
        if !counters.is_empty() && !capabilities.has(Capability::Counters) {
            self.ungranted(head, capabilities_line, Capability::Counters, "[[plugin.counters]]");
        }
        let component = component?;
        Some(Manifest {
            name: Arc::from(name?),
            component_path: component.value.0,
            component: component.value.1,
            capabilities,
            on_failure: on_failure.map_or(OnFailure::Closed, |placed| placed.value),
            matcher,
            limits,
            config,
            tables,
            counters,
            data,
            places: Places {
                plugin: head,
                component: component.line,
                capabilities: capabilities_line.unwrap_or(head),
                config: config_line,
                limits: limits_line,
            },
        })
    }

    fn name(&mut self, section: &mut Section<'_, 't>) -> Option<String> {
        let name = section.required_text(&mut self.document, "name")?;
        if let Err(message) = check_name(name.value) {
            self.document.problem(name.line, format!("`name`: {message}"));
            return None;
        }
        Some(name.value.to_owned())
    }

    /// Reads the file that a key names.
    fn file(&mut self, section: &mut Section<'_, 't>, key: &'static str) -> Option<Placed<(String, Bytes)>> {
        let Placed { line, value: path } = section.required_text(&mut self.document, key)?;
        let content = self.read(line, key, path)?;
        Some(Placed {
            line,
            value: (path.to_owned(), content),
        })
    }

    fn read(&mut self, line: usize, key: &str, path: &str) -> Option<Bytes> {
        if let Some(content) = self.files.get(path) {
            return Some(content.clone());
        }
        match check_path(path).and_then(|()| self.source.read(path)) {
            Ok(content) => {
                self.files.insert(path.to_owned(), content.clone());
                Some(content)
            }
            Err(message) => {
                self.document.problem(line, format!("`{key}`: {message}"));
                None
            }
        }
    }

    fn capabilities(&mut self, section: &mut Section<'_, 't>) -> (Capabilities, Option<usize>) {
        let mut granted = Capabilities::default();
        let line = section
            .get("capabilities")
            .map(|value| self.document.line(&value.span()));
        for Placed { line, value } in section.texts(&mut self.document, "capabilities") {
            if let Some(capability) = Capability::from_name(value) {
                granted.0.insert(capability);
                continue;
            }
            let known = Capability::ALL.map(Capability::as_str);
            let message = if ALWAYS_GRANTED.contains(&value) {
                format!("every plugin has `{value}`; it need not be granted")
            } else if let Some(close) = nearest(value, known) {
                format!("there is no capability `{value}`; did you mean `{close}`?")
            } else {
                format!("there is no capability `{value}`; there are: {}", known.join(", "))
            };
            self.document.problem(line, message);
        }
        (granted, line)
    }

    fn ungranted(&mut self, head: usize, line: Option<usize>, capability: Capability, what: &str) {
        let capability = capability.as_str();
        self.document.problem(
            line.unwrap_or(head),
            format!("{what} needs \"{capability}\" in the plugin's `capabilities`"),
        );
    }

    fn matcher(&mut self, mut section: Section<'_, 't>) -> Match {
        let hosts = self.parsed_texts(&mut section, "hosts", host_pattern);
        let paths = self.parsed_texts(&mut section, "paths", path_pattern);
        let methods = self.parsed_texts(&mut section, "methods", |text| {
            Method::from_bytes(text.as_bytes()).map_err(|_| format!("`{text}` is not a method"))
        });
        let headers = self.parsed_texts(&mut section, "headers", |text| {
            HeaderName::from_bytes(text.as_bytes()).map_err(|_| format!("`{text}` is not a header name"))
        });
        let routes = self.parsed_texts(&mut section, "routes", |text| Ok(text.to_owned()));
        section.finish(&mut self.document);
        Match {
            hosts,
            paths,
            methods,
            headers,
            routes,
        }
    }

    fn parsed_texts<T>(
        &mut self,
        section: &mut Section<'_, 't>,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let mut parsed = Vec::new();
        for Placed { line, value } in section.texts(&mut self.document, key) {
            match parse(value) {
                Ok(value) => parsed.push(value),
                Err(message) => self.document.problem(line, format!("`{key}`: {message}")),
            }
        }
        parsed
    }

    fn limits(&mut self, mut section: Section<'_, 't>) -> Limits {
        let default = Limits::default();
        let document = &mut self.document;
        let time = section.parsed(document, "time", |text| {
            let time = units::duration(text)?;
            let range = Duration::from_millis(1)..=Duration::from_secs(60);
            if range.contains(&time) {
                Ok(time)
            } else {
                Err(format!("`{text}` is not between 1ms and 1m"))
            }
        });
        let memory = section.parsed(document, "memory", |text| {
            let memory = units::size(text)?;
            if (1 << 20..=4 << 30).contains(&memory) {
                Ok(memory)
            } else {
                Err(format!("`{text}` is not between 1MiB and 4GiB"))
            }
        });
        let memory = memory.map_or(default.memory, |placed| placed.value);
        let body = section.parsed(document, "body", |text| {
            let body = units::size(text)?;
            // The plugin gets the body as a copy in its own memory, and needs room to work on it.
            if body <= memory / 2 {
                Ok(body)
            } else {
                Err(format!(
                    "`{text}` does not fit: the plugin's memory is {memory} bytes, of which a body may take half"
                ))
            }
        });
        let instances = number_within(&mut section, document, "instances", 1, 65_536);
        let reuse = number_within(&mut section, document, "reuse", 0, u32::MAX);
        let log_lines = number_within(&mut section, document, "log_lines", 0, 1_000_000);
        let refused = number_within(&mut section, document, "refused", 0, 1_000_000);
        section.finish(document);
        Limits {
            time: time.map_or(default.time, |placed| placed.value),
            memory,
            body: body.map_or(default.body.min(memory / 2), |placed| placed.value),
            instances: instances.unwrap_or(default.instances),
            reuse: reuse.unwrap_or(default.reuse),
            log_lines: log_lines.unwrap_or(default.log_lines),
            refused: refused.unwrap_or(default.refused),
        }
    }

    fn tables(&mut self, plugin: &mut Section<'_, 't>) -> Vec<TableFile> {
        let mut tables: Vec<TableFile> = Vec::new();
        for mut section in plugin.tables(&mut self.document, "table", "[[plugin.table]]") {
            let line = section.line;
            let name = self.name(&mut section);
            let _ = section.required_text(&mut self.document, "kind");
            let kind = section.parsed(&mut self.document, "kind", table_kind);
            let file = self.file(&mut section, "file");
            let header = section.boolean(&mut self.document, "header").unwrap_or(false);
            let check = section.parsed(&mut self.document, "check", table_check);
            section.finish(&mut self.document);
            let (Some(name), Some(kind), Some(file)) = (name, kind, file) else {
                continue;
            };
            if tables.iter().any(|table| table.name == name) {
                self.document
                    .problem(line, format!("the plugin has two tables named `{name}`"));
            }
            let check = check.map_or(TableCheck::Form, |check| check.value);
            if check == TableCheck::Redirects && kind.value != TableKind::Exact {
                let message = "`check = \"redirects\"` is for tables of kind \"exact\"";
                self.document.problem(line, message);
            }
            let (path, content) = file.value;
            tables.push(TableFile {
                name,
                kind: kind.value,
                path,
                content,
                header,
                check,
                line,
            });
        }
        tables
    }

    fn counters(&mut self, plugin: &mut Section<'_, 't>) -> Vec<CounterSpace> {
        let mut spaces: Vec<CounterSpace> = Vec::new();
        for mut section in plugin.tables(&mut self.document, "counters", "[[plugin.counters]]") {
            let line = section.line;
            let name = self.name(&mut section);
            let entries = number_within(&mut section, &mut self.document, "entries", 1, 100_000_000).unwrap_or(100_000);
            section.finish(&mut self.document);
            let Some(name) = name else { continue };
            if spaces.iter().any(|space| space.name == name) {
                self.document
                    .problem(line, format!("the plugin has two counter spaces named `{name}`"));
            }
            spaces.push(CounterSpace {
                name,
                entries: u64::from(entries),
                line,
            });
        }
        spaces
    }

    fn data(&mut self, plugin: &mut Section<'_, 't>) -> BTreeMap<String, DataFile> {
        let mut files = BTreeMap::new();
        let Some(section) = plugin.table(&mut self.document, "data", "[plugin.data]") else {
            return files;
        };
        for (name, value) in section.all() {
            let line = self.document.line(&value.span());
            let Some(path) = value.get_ref().as_str() else {
                self.document
                    .problem(line, format!("`{}` has to be the path of a file", name.get_ref()));
                continue;
            };
            if let Some(content) = self.read(line, name.get_ref(), path) {
                files.insert(
                    name.get_ref().clone().into_owned(),
                    DataFile {
                        path: path.to_owned(),
                        content,
                    },
                );
            }
        }
        files
    }

    fn tests(&mut self, root: &mut Section<'_, 't>) -> Vec<SelfTest> {
        let Some(value) = root.get("test") else {
            return Vec::new();
        };
        let Some(items) = value.get_ref().as_array() else {
            let line = self.document.line(&value.span());
            self.document.problem(line, "self-tests have to be written as [[test]]");
            return Vec::new();
        };
        let mut tests = Vec::new();
        for item in items {
            let line = self.document.line(&item.span());
            let json = self.document.json(item);
            match serde_json::from_value::<Case>(json) {
                Ok(case) => tests.push(SelfTest { line, case }),
                Err(error) => self.document.problem(line, format!("[[test]]: {error}")),
            }
        }
        tests
    }
}

fn number_within<'t>(
    section: &mut Section<'_, 't>,
    document: &mut Document<'t>,
    key: &'static str,
    from: u32,
    to: u32,
) -> Option<u32> {
    let Placed { line, value } = section.number(document, key)?;
    match u32::try_from(value) {
        Ok(value) if (from..=to).contains(&value) => Some(value),
        _ => {
            document.problem(line, format!("`{key}` has to be between {from} and {to}"));
            None
        }
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=64).contains(&name.len()) && name.bytes().all(plain) {
        Ok(())
    } else {
        Err(format!("`{name}` has to be 1 to 64 of a-z, 0-9 and -"))
    }
}

fn on_failure(text: &str) -> Result<OnFailure, String> {
    match text {
        "open" => Ok(OnFailure::Open),
        "closed" => Ok(OnFailure::Closed),
        _ => Err(format!(
            "`{text}` has to be \"open\" (go on without the plugin) or \"closed\" (refuse the request)"
        )),
    }
}

fn table_kind(text: &str) -> Result<TableKind, String> {
    [TableKind::Exact, TableKind::Prefix, TableKind::Ip]
        .into_iter()
        .find(|kind| kind.as_str() == text)
        .ok_or_else(|| format!("`{text}` has to be \"exact\", \"prefix\" or \"ip\""))
}

fn table_check(text: &str) -> Result<TableCheck, String> {
    match text {
        "redirects" => Ok(TableCheck::Redirects),
        _ => Err(format!("`{text}` has to be \"redirects\"")),
    }
}

fn host_pattern(text: &str) -> Result<HostPattern, String> {
    let (suffix, host) = match text.strip_prefix("*.") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'[' | b']' | b':');
    // A colon stands in IPv6 addresses only, which are written in brackets.
    let port = host.contains(':') && !host.starts_with('[');
    if host.is_empty() || port || !host.bytes().all(plain) {
        return Err(format!(
            "`{text}` is not a host; write example.org or *.example.org, without a port"
        ));
    }
    let host = host.to_ascii_lowercase();
    Ok(if suffix {
        HostPattern::Suffix(host)
    } else {
        HostPattern::Exact(host)
    })
}

fn path_pattern(text: &str) -> Result<PathPattern, String> {
    if let Some(pattern) = text.strip_prefix('~') {
        let whole = format!("^(?:{pattern})$");
        return regex::bytes::Regex::new(&whole)
            .map(PathPattern::Pattern)
            .map_err(|error| error.to_string());
    }
    let (exact, path) = match text.strip_prefix('=') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if !path.starts_with('/') {
        return Err(format!("`{text}` is not a path; write /prefix, =/exact or ~pattern"));
    }
    Ok(if exact {
        PathPattern::Exact(path.to_owned())
    } else {
        PathPattern::Prefix(path.to_owned())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn files(extra: &[&str]) -> BTreeMap<String, Bytes> {
        extra
            .iter()
            .chain(&["a.wasm"])
            .map(|&path| (path.to_owned(), Bytes::from_static(b"x")))
            .collect()
    }

    fn problems(text: &str) -> Vec<String> {
        match parse(text.as_bytes(), "bundle.toml", &files(&[])) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn everything_that_a_manifest_can_say() {
        let text = r#"
            name = "standard"
            version = "1.0.0"
            [[plugin]]
            name = "access"
            component = "a.wasm"
            capabilities = ["tables", "counters"]
            on_failure = "open"
            [plugin.match]
            hosts = ["*.Example.org", "example.org"]
            paths = ["/api", "=/exact", "~/x[0-9]+"]
            methods = ["POST"]
            headers = ["Authorization"]
            routes = ["api"]
            [plugin.limits]
            time = "20ms"
            memory = "8MiB"
            body = "1MiB"
            instances = 4
            reuse = 1
            log_lines = 5
            refused = 7
            [plugin.config]
            list = [1, 2.5, true, "x", 2026-01-01T00:00:00Z]
            [[plugin.table]]
            name = "deny"
            kind = "ip"
            file = "deny.csv"
            header = true
            [[plugin.counters]]
            name = "per-ip"
            entries = 10
            [plugin.data]
            rules = "rules.conf"
            [[test]]
            name = "passes"
            request = { target = "/" }
            expect = { verdict = "continue" }
        "#;
        let parsed = parse(text.as_bytes(), "bundle.toml", &files(&["deny.csv", "rules.conf"])).unwrap();
        let plugin = &parsed.plugins[0];
        assert_eq!((parsed.name.as_str(), &*plugin.name), ("standard", "access"));
        assert_eq!(plugin.on_failure, OnFailure::Open);
        assert_eq!(plugin.matcher.hosts[0], HostPattern::Suffix("example.org".into()));
        assert_eq!(plugin.matcher.paths.len(), 3);
        assert_eq!(plugin.matcher.headers, ["authorization"]);
        let limits = Limits {
            time: Duration::from_millis(20),
            memory: 8 << 20,
            body: 1 << 20,
            instances: 4,
            reuse: 1,
            log_lines: 5,
            refused: 7,
        };
        assert_eq!(plugin.limits, limits);
        assert_eq!(
            plugin.config,
            serde_json::json!({ "list": [1, 2.5, true, "x", "2026-01-01T00:00:00Z"] })
        );
        assert_eq!(plugin.tables[0].kind, TableKind::Ip);
        assert!(plugin.tables[0].header);
        assert_eq!(plugin.counters[0].entries, 10);
        assert_eq!(plugin.data["rules"].path, "rules.conf");
        assert_eq!(plugin.places.capabilities, 7);
        assert_eq!(parsed.tests.len(), 1);
        assert_eq!(parsed.files.len(), 3, "the component, the table and the data");
    }

    #[test]
    fn every_problem_is_reported_at_once_with_its_line() {
        let found = problems(
            r#"name = "Standard"
[[plugin]]
name = "a"
componet = "a.wasm"
capabilities = ["table", "log"]
on_failure = "maybe"
[plugin.limits]
time = "1d"
memory = "1KiB"
instances = 0
[[plugin.table]]
name = "t"
kind = "hash"
file = "../t.csv"
[plugin.match]
paths = ["api", "~["]
[[plugin]]
name = "a"
component = "b.wasm"
"#,
        );
        let expected = [
            "bundle.toml:1: `name`: `Standard` has to be",
            "bundle.toml:1: the top level needs `version`",
            "bundle.toml:2: [[plugin]] needs `component`",
            "bundle.toml:4: unknown key `componet` in [[plugin]]; did you mean `component`?",
            "bundle.toml:5: there is no capability `table`; did you mean `tables`?",
            "bundle.toml:5: every plugin has `log`",
            "bundle.toml:6: `on_failure`: `maybe` has to be",
            "bundle.toml:8: `time`: `1d` is not between",
            "bundle.toml:9: `memory`: `1KiB` is not between",
            "bundle.toml:10: `instances` has to be between 1 and",
            "bundle.toml:13: `kind`: `hash` has to be",
            "bundle.toml:14: `file`: `../t.csv` has to be a path inside",
            "bundle.toml:16: `paths`: `api` is not a path",
            "bundle.toml:16: `paths`: regex parse error",
            "bundle.toml:19: `component`: the file `b.wasm` is not in the bundle",
        ];
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "expected {expected}\n   found {found}");
        }
        assert_eq!(found.len(), expected.len(), "{found:#?}");
    }

    #[test]
    fn a_syntax_error_has_its_line() {
        let found = problems("name = \"a\"\nversion = = 1\n");
        assert!(found[0].starts_with("bundle.toml:2: "), "{found:#?}");
    }

    #[test]
    fn two_plugins_cannot_share_a_name() {
        let one = "[[plugin]]\nname = \"a\"\ncomponent = \"a.wasm\"\n";
        let found = problems(&format!("name = \"x\"\nversion = \"1\"\n{one}{one}"));
        assert_eq!(
            found,
            ["bundle.toml:6: there are two plugins named `a`; names have to be unique"]
        );
    }

    #[test]
    fn a_table_without_its_capability_says_which_line_to_change() {
        let found = problems(
            "name = \"x\"\nversion = \"1\"\n[[plugin]]\nname = \"a\"\ncomponent = \"a.wasm\"\ncapabilities = []\n\
             [[plugin.counters]]\nname = \"c\"\n",
        );
        assert_eq!(
            found,
            ["bundle.toml:6: [[plugin.counters]] needs \"counters\" in the plugin's `capabilities`"]
        );
    }
}
