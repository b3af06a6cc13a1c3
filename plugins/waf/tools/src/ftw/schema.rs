//! Test files: YAML to tests. What the schemas have called differently over the years becomes one form.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use crate::Error;

/// A file of tests.
#[derive(Debug, Clone)]
pub struct TestFile {
    /// Where it was read from.
    pub path: PathBuf,
    /// Its tests.
    pub tests: Vec<Test>,
}

/// A test: requests that are sent one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// The rule that it is about.
    pub rule: u64,
    /// Its number among the tests of that rule.
    pub number: u64,
    /// A sentence about it; may be empty.
    pub description: String,
    /// At least one.
    pub stages: Vec<Stage>,
}

/// A request and what must become of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// The request.
    pub input: Input,
    /// What must become of it.
    pub output: Output,
}

/// A request, as a test writes it. What is left out has the default of go-ftw.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Input {
    /// Where to connect to. In process, the server that a `Host` is made for where redirects are followed.
    pub dest_addr: Option<String>,
    /// The port of it.
    pub port: Option<u16>,
    /// `http` or `https`.
    pub protocol: Option<String>,
    /// The method; `GET` unless said.
    pub method: Option<String>,
    /// The request target; `/` unless said.
    pub uri: Option<String>,
    /// Several targets, each sent by itself. Replaces `uri`.
    pub uris: Vec<String>,
    /// The end of the request line; `HTTP/1.1` unless said.
    pub version: Option<String>,
    /// Header lines, sent in the order of their names.
    pub headers: BTreeMap<String, Text>,
    /// The body, in which templates are filled in.
    pub data: Option<Text>,
    /// The body in base64.
    pub encoded_data: Option<String>,
    /// The whole request in base64.
    #[serde(alias = "raw_request")]
    pub encoded_request: Option<String>,
    /// Whether `Content-Type`, `Content-Length` and `Connection` are added; yes unless said.
    pub autocomplete_headers: Option<bool>,
    /// The opposite of `autocomplete_headers`, as it was called before.
    pub stop_magic: Option<bool>,
    /// Whether the request goes to where the stage before was redirected to.
    pub follow_redirect: Option<bool>,
    /// Whether cookies of a response are sent with the next stage.
    pub save_cookie: Option<bool>,
    /// What the origin answers.
    pub response: Option<Response>,
}

/// What the origin answers, where a test does not describe it in the body of a request to `/reflect`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Response {
    /// Header lines.
    pub headers: BTreeMap<String, Text>,
    /// The status; 200 unless said.
    pub status: u16,
    /// The body.
    pub body: String,
    /// The body in base64.
    pub encoded_body: String,
    /// Text for the origin's log. Changes nothing here.
    pub log_message: String,
}

/// What must become of a request. What is left out is not looked at.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Output {
    /// Any of these is right.
    pub status: Statuses,
    /// A pattern in the response.
    pub response_contains: Option<String>,
    /// A pattern in the log, as it was called before.
    pub log_contains: Option<String>,
    /// A pattern that must not be in the log, as it was called before.
    pub no_log_contains: Option<String>,
    /// What must and must not be in the log.
    pub log: Log,
    /// Whether no response must come.
    pub expect_error: Option<bool>,
    /// Whether a failure is tried again. Nothing here is a matter of luck, so it changes nothing.
    pub retry_once: Option<bool>,
    /// Whether exactly one rule must match.
    pub isolated: bool,
}

/// What must and must not be in the log.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Rules that must match.
    pub expect_ids: Vec<u64>,
    /// Rules that must not match.
    pub no_expect_ids: Vec<u64>,
    /// A pattern that a line must have.
    pub match_regex: Option<String>,
    /// A pattern that no line may have.
    pub no_match_regex: Option<String>,
}

impl Test {
    /// `942100-3`: how tests are called.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}-{}", self.rule, self.number)
    }
}

/// The tests of a file, or of every `*.yaml` and `*.yml` in a folder and the folders in it, in order.
///
/// # Errors
/// What cannot be read, with its place.
pub fn load(path: &Path) -> Result<Vec<TestFile>, Error> {
    let cannot = |error: std::io::Error| Error::new(format!("{}: {error}", path.display()));
    if !path.is_dir() {
        let text = std::fs::read_to_string(path).map_err(cannot)?;
        let tests = parse(&text).map_err(|error| Error::new(format!("{}: {error}", path.display())))?;
        return Ok(vec![TestFile {
            path: path.to_path_buf(),
            tests,
        }]);
    }
    let mut entries = std::fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>())
        .map_err(cannot)?;
    entries.sort();
    let mut files = Vec::new();
    for entry in entries {
        let is_yaml = entry.extension().is_some_and(|end| end == "yaml" || end == "yml");
        if entry.is_dir() || is_yaml {
            files.extend(load(&entry)?);
        }
    }
    Ok(files)
}

/// The tests in a text.
///
/// # Errors
/// What is wrong with the text, with its line.
pub fn parse(text: &str) -> Result<Vec<Test>, Error> {
    let file: WrittenFile = serde_saphyr::from_str(text).map_err(|error| Error::new(error.to_string()))?;
    let mut tests = Vec::new();
    for (position, test) in (1u64..).zip(file.tests) {
        let named = test.test_title.as_deref().and_then(numbers);
        let (rule, number) = match (file.rule_id, test.test_id, named) {
            (Some(rule), number, _) => (rule, number.unwrap_or(position)),
            (None, _, Some((rule, number))) => (rule, number),
            (None, _, None) => {
                return Err(Error::new(format!(
                    "test {position} belongs to no rule: add rule_id to the file or a test_title like 942100-1"
                )));
            }
        };
        let stages: Vec<Stage> = test.stages.into_iter().map(Stage::from).collect();
        if stages.is_empty() {
            return Err(Error::new(format!("test {rule}-{number} has no stages")));
        }
        tests.push(Test {
            rule,
            number,
            description: test.desc.unwrap_or_default(),
            stages,
        });
    }
    Ok(tests)
}

/// `942100-1`, also with `FTW` and the like after it.
fn numbers(title: &str) -> Option<(u64, u64)> {
    let (rule, rest) = title.trim().split_once('-')?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some((rule.parse().ok()?, rest.get(..end)?.parse().ok()?))
}

#[derive(Deserialize)]
struct WrittenFile {
    rule_id: Option<u64>,
    tests: Vec<WrittenTest>,
}

#[derive(Deserialize)]
struct WrittenTest {
    test_id: Option<u64>,
    test_title: Option<String>,
    desc: Option<String>,
    stages: Vec<WrittenStage>,
}

/// A stage; before, one level deeper.
#[derive(Deserialize)]
struct WrittenStage {
    stage: Option<WrittenParts>,
    #[serde(default)]
    input: Input,
    #[serde(default)]
    output: Output,
}

#[derive(Deserialize)]
struct WrittenParts {
    #[serde(default)]
    input: Input,
    #[serde(default)]
    output: Output,
}

impl From<WrittenStage> for Stage {
    fn from(written: WrittenStage) -> Self {
        match written.stage {
            Some(WrittenParts { input, output }) => Self { input, output },
            None => Self {
                input: written.input,
                output: written.output,
            },
        }
    }
}

/// Text, also where YAML sees a number; of a list, the lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text or a list of lines")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }
            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }
            fn visit_unit<E: de::Error>(self) -> Result<Text, E> {
                Ok(Text::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Text, A::Error> {
                let mut lines: Vec<String> = Vec::new();
                while let Some(Text(line)) = list.next_element()? {
                    lines.push(line);
                }
                Ok(Text(lines.join("\r\n")))
            }
        }
        deserializer.deserialize_any(Seen)
    }
}

/// One status or a list of them; empty where none is named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statuses(pub Vec<u16>);

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            One(u16),
            Many(Vec<u16>),
        }
        Ok(Self(match Written::deserialize(deserializer)? {
            Written::One(0) => Vec::new(),
            Written::One(status) => vec![status],
            Written::Many(statuses) => statuses,
        }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_current_schema_is_read() {
        let tests = parse(
            "meta:\n  author: x\nrule_id: 942100\ntests:\n  - test_id: 7\n    desc: d\n    stages:\n      - input:\n          headers:\n            \
             Content-Length: 4\n            X: \"0\"\n          data: a=b\n          autocomplete_headers: false\n        output:\n          \
             status: 400\n          log:\n            expect_ids: [942100]\n",
        )
        .unwrap();
        assert_eq!(tests[0].id(), "942100-7");
        let stage = &tests[0].stages[0];
        assert_eq!(stage.input.headers["Content-Length"], Text("4".to_owned()));
        assert_eq!(stage.input.autocomplete_headers, Some(false));
        assert_eq!(stage.output.status, Statuses(vec![400]));
        assert_eq!(stage.output.log.expect_ids, [942_100]);
    }

    #[test]
    fn the_schema_of_crs_3_is_read() {
        let tests = parse(
            "---\n  meta:\n    enabled: true\n  tests:\n  -\n    test_title: 920100-2\n    stages:\n    -\n      stage:\n        input:\n          \
             stop_magic: true\n          data:\n            - a=b\n            - c\n        output:\n          status: [200, 404]\n          \
             log_contains: id \"920100\"\n",
        )
        .unwrap();
        assert_eq!((tests[0].rule, tests[0].number), (920_100, 2));
        let stage = &tests[0].stages[0];
        assert_eq!(stage.input.stop_magic, Some(true));
        assert_eq!(stage.input.data, Some(Text("a=b\r\nc".to_owned())));
        assert_eq!(stage.output.status.0, [200, 404]);
        assert_eq!(stage.output.log_contains.as_deref(), Some("id \"920100\""));
    }

    #[test]
    fn what_is_not_known_is_an_error_with_its_line() {
        let error = parse("rule_id: 1\ntests:\n  - test_id: 1\n    stages:\n      - output:\n          expcted: 1\n")
            .unwrap_err();
        assert!(error.to_string().contains("expcted"), "{error}");
        assert!(parse("tests:\n  - stages: []\n").is_err());
    }
}
