//! Cases: a request, what the upstream answers, and what should come of it.
//!
//! The same types describe `cases.toml` beside a plugin and `[[test]]` in `bundle.toml`. They are run natively by
//! [`run_cases`](super::run_cases), and through the real runtime by `weir plugin test` and before a bundle is activated.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

/// A case file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The configuration for cases that have none of their own.
    #[serde(default = "empty_config")]
    pub config: serde_json::Value,
    /// Stand-ins for the manifest's tables.
    #[serde(default)]
    pub tables: BTreeMap<String, Table>,
    /// Stand-ins for the manifest's counters.
    #[serde(default)]
    pub counters: BTreeMap<String, Counters>,
    /// Stand-ins for the manifest's data files: name and content.
    #[serde(default)]
    pub data: BTreeMap<String, String>,
    /// The cases, each starting afresh.
    #[serde(default, rename = "case")]
    pub cases: Vec<Case>,
}

/// A table of a few entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// How it is looked up.
    pub kind: Kind,
    /// Keys and values.
    #[serde(default)]
    pub entries: Vec<(String, String)>,
}

/// How a table is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// By the longest network that contains an address.
    Ip,
    /// By the key.
    Exact,
    /// By the longest key that another starts with.
    Prefix,
}

/// A space of counters. How many entries it has does not matter to a case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counters {
    /// As in the manifest.
    #[serde(default)]
    pub entries: Option<u64>,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// A sentence about what should happen.
    pub name: String,
    /// Replaces the file's configuration.
    #[serde(default)]
    pub config: Option<serde_json::Value>,
    /// What the clock says: a moment of RFC 3339 in UTC.
    #[serde(default)]
    pub now: Option<String>,
    /// How often the request is sent; what is expected is said about the last time. Default 1.
    #[serde(default = "once")]
    pub repeat: u32,
    /// What the client sends.
    #[serde(default)]
    pub request: Request,
    /// What the upstream answers.
    #[serde(default)]
    pub response: Response,
    /// What should come of it. At least one thing.
    pub expect: Expect,
}

/// What the client sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// Default `GET`.
    pub method: String,
    /// `http` or `https`; default `http`.
    pub scheme: String,
    /// Without port, in lower case; default `example.org`.
    pub host: String,
    /// Path and perhaps query; default `/`.
    pub target: String,
    /// The client's address; default 192.0.2.1 (RFC 5737).
    pub client: IpAddr,
    /// Header lines.
    pub headers: Vec<(String, String)>,
    /// The body; default none.
    pub body: String,
}

/// What the upstream answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Response {
    /// Default 200.
    pub status: u16,
    /// Header lines.
    pub headers: Vec<(String, String)>,
    /// The body; default none.
    pub body: String,
}

/// What should come of it. What is not there is not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// How the exchange ends.
    pub verdict: Option<Verdict>,
    /// The status that the client gets.
    pub status: Option<u16>,
    /// Header lines that the client gets, among others.
    pub headers: Vec<(String, String)>,
    /// The same, for cases that are about `on_response`.
    pub response_headers: Vec<(String, String)>,
    /// Header names that the client does not get.
    pub absent_headers: Vec<String>,
    /// What the body that the client gets contains.
    pub body_contains: Option<String>,
    /// Path and query that go upstream.
    pub target: Option<String>,
    /// Header lines that go upstream, among others.
    pub request_headers: Vec<(String, String)>,
    /// Keys and values that the access log gets, among others.
    pub notes: Vec<(String, String)>,
}

/// How an exchange ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The upstream answers.
    Continue,
    /// The plugin answers.
    Reply,
    /// The connection is closed.
    Close,
}

impl Verdict {
    /// The verdict as it stands in a case file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Reply => "reply",
            Self::Close => "close",
        }
    }
}

/// What came of a case: what a runner hands to [`Expect::differences`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// `continue`, `reply`, `close`, or why the plugin failed.
    pub verdict: String,
    /// The status that the client got; 0 for none.
    pub status: u16,
    /// The header lines that the client got.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body that the client got.
    pub body: Vec<u8>,
    /// Path and query that went upstream.
    pub target: Vec<u8>,
    /// The header lines that went upstream.
    pub request_headers: Vec<(String, Vec<u8>)>,
    /// What the access log got.
    pub notes: Vec<(String, String)>,
}

impl Case {
    /// What makes the case unusable: a runner reports it instead of running it.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        if self.expect == Expect::default() {
            return Some(
                "`expect` is empty: it would hold whatever happens; say at least `verdict = \"continue\"`".to_owned(),
            );
        }
        if self.repeat == 0 {
            return Some("`repeat` is 0: the request has to be sent at least once".to_owned());
        }
        self.now
            .as_deref()
            .and_then(|now| super::time::parse(now).err())
            .map(|error| format!("`now`: {error}"))
    }
}

impl Expect {
    /// What is not as expected: one line each, what was expected and what came.
    #[must_use]
    pub fn differences(&self, observed: &Observed) -> Vec<String> {
        let mut differences = Vec::new();
        let mut differs = |what: &str, expected: &dyn std::fmt::Display, came: String| {
            differences.push(format!("{what}: expected {expected}, came {came}"));
        };
        if let Some(verdict) = self.verdict
            && verdict.as_str() != observed.verdict
        {
            differs("verdict", &verdict.as_str(), observed.verdict.clone());
        }
        if let Some(status) = self.status
            && status != observed.status
        {
            differs("status", &status, observed.status.to_string());
        }
        for (name, value) in self.headers.iter().chain(&self.response_headers) {
            if !has_line(&observed.headers, name, value) {
                differs(
                    &format!("header {name:?}"),
                    &format!("{value:?}"),
                    values(&observed.headers, name),
                );
            }
        }
        for name in &self.absent_headers {
            if observed
                .headers
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(name))
            {
                differs(&format!("header {name:?}"), &"none", values(&observed.headers, name));
            }
        }
        if let Some(part) = &self.body_contains
            && !contains(&observed.body, part.as_bytes())
        {
            differs(
                "body",
                &format!("{part:?} in it"),
                format!("{:?}", String::from_utf8_lossy(&observed.body)),
            );
        }
        if let Some(target) = &self.target
            && target.as_bytes() != observed.target
        {
            differs(
                "target",
                &format!("{target:?}"),
                format!("{:?}", String::from_utf8_lossy(&observed.target)),
            );
        }
        for (name, value) in &self.request_headers {
            if !has_line(&observed.request_headers, name, value) {
                differs(
                    &format!("request header {name:?}"),
                    &format!("{value:?}"),
                    values(&observed.request_headers, name),
                );
            }
        }
        for note in &self.notes {
            if !observed.notes.contains(note) {
                differs("note", &format!("{note:?}"), format!("{:?}", observed.notes));
            }
        }
        differences
    }
}

fn has_line(lines: &[(String, Vec<u8>)], name: &str, value: &str) -> bool {
    lines
        .iter()
        .any(|(known, found)| known.eq_ignore_ascii_case(name) && found == value.as_bytes())
}

fn values(lines: &[(String, Vec<u8>)], name: &str) -> String {
    let values: Vec<_> = lines
        .iter()
        .filter(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| format!("{:?}", String::from_utf8_lossy(value)))
        .collect();
    if values.is_empty() {
        "none".to_owned()
    } else {
        values.join(", ")
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || haystack.windows(needle.len()).any(|window| window == needle)
}

fn empty_config() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

fn once() -> u32 {
    1
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: "GET".to_owned(),
            scheme: "http".to_owned(),
            host: "example.org".to_owned(),
            target: "/".to_owned(),
            client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            headers: Vec::new(),
            body: String::new(),
        }
    }
}

impl Default for Response {
    fn default() -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn expect(toml: &str) -> Expect {
        toml::from_str(toml).unwrap()
    }

    #[test]
    fn every_difference_says_what_was_expected_and_what_came() {
        let expect = expect(
            r#"
            verdict = "reply"
            status = 403
            headers = [["retry-after", "1"]]
            response_headers = [["x-a", "b"]]
            absent_headers = ["server"]
            body_contains = "denied"
            target = "/b"
            request_headers = [["x-b", "c"]]
            notes = [["k", "v"]]
            "#,
        );
        let observed = Observed {
            verdict: "continue".to_owned(),
            status: 200,
            headers: vec![
                ("Retry-After".to_owned(), b"2".to_vec()),
                ("Server".to_owned(), b"x".to_vec()),
            ],
            target: b"/a".to_vec(),
            ..Observed::default()
        };
        assert_eq!(
            expect.differences(&observed),
            [
                "verdict: expected reply, came continue",
                "status: expected 403, came 200",
                "header \"retry-after\": expected \"1\", came \"2\"",
                "header \"x-a\": expected \"b\", came none",
                "header \"server\": expected none, came \"x\"",
                "body: expected \"denied\" in it, came \"\"",
                "target: expected \"/b\", came \"/a\"",
                "request header \"x-b\": expected \"c\", came none",
                "note: expected (\"k\", \"v\"), came []",
            ]
        );
    }

    #[test]
    fn a_case_that_cannot_fail_is_no_case() {
        let case = |toml: &str| toml::from_str::<Case>(toml).unwrap().problem();
        assert!(case("name = \"a\"\nexpect = {}").is_some_and(|problem| problem.contains("`expect` is empty")));
        assert!(case("name = \"a\"\nrepeat = 0\nexpect = { status = 200 }").is_some());
        assert!(case("name = \"a\"\nnow = \"noon\"\nexpect = { status = 200 }").is_some());
        assert_eq!(case("name = \"a\"\nexpect = { status = 200 }"), None);
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(toml::from_str::<Case>("name = \"a\"\nexpect = { state = 1 }").is_err());
        assert!(toml::from_str::<File>("[[cases]]\nname = \"a\"").is_err());
    }
}
