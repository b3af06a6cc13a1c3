//! Case files: requests, and the rules that must and must not match them. One stands beside each rule set and keeps it honest:
//! every rule has a request that it must catch and one, as close to it as possible, that it must let pass.
//!
//! ```toml
//! rules = ["setup", "sqli", "blocking"]   # the rule files, in order
//!
//! [[case]]
//! name = "a union in a query"
//! request = { target = "/?id=1+union+select+password+from+users" }
//! fires = [9400110]
//! verdict = "refuse"
//!
//! [[case]]
//! name = "a sentence with the same words"
//! request = { target = "/?q=a+union+of+students+select+their+plan" }
//! silent = [9400110]
//! ```

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use serde::Deserialize;

use crate::evaluate::{Completeness, Decision, Engine, RequestHead, Transaction};

/// A case file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// The rule files that its cases run in, in order.
    pub rules: Vec<String>,
    /// The paranoia level of the cases that name none. Default 1.
    #[serde(default = "one")]
    pub paranoia_level: u8,
    /// The cases.
    #[serde(rename = "case")]
    pub cases: Vec<Case>,
}

/// One request and what must become of it. At least one thing must be said about that.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// A sentence about the request.
    pub name: String,
    /// The request.
    #[serde(default)]
    pub request: Request,
    /// Replaces the file's paranoia level.
    pub paranoia_level: Option<u8>,
    /// The ids of rules that must match.
    #[serde(default)]
    pub fires: BTreeSet<u64>,
    /// The ids of rules that must not match.
    #[serde(default)]
    pub silent: BTreeSet<u64>,
    /// What must be decided.
    pub verdict: Option<Verdict>,
}

/// What must be decided about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is refused.
    Refuse,
    /// It passes.
    Pass,
    /// It passes and no rule that is reported matches.
    Clean,
}

/// A request. A host, a user agent and an `Accept` are added where it has none, so that cases say only what matters to them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// Default `GET`, and `POST` with a body.
    pub method: Option<String>,
    /// Path and query; default `/`.
    pub target: String,
    /// `1.0`, `1.1` or `2`; default `1.1`.
    pub version: String,
    /// Header lines.
    pub headers: Vec<(String, String)>,
    /// Headers that are not added.
    pub without: Vec<String>,
    /// The body; default none.
    pub body: String,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: None,
            target: "/".to_owned(),
            version: "1.1".to_owned(),
            headers: Vec::new(),
            without: Vec::new(),
            body: String::new(),
        }
    }
}

impl Case {
    /// Sends the request through an engine. An error tells what became of it instead.
    ///
    /// # Errors
    /// When something that the case says does not hold, or it says nothing.
    pub fn check(&self, engine: &Engine) -> Result<(), String> {
        if self.fires.is_empty() && self.silent.is_empty() && self.verdict.is_none() {
            return Err("says nothing about what must become of the request: add fires, silent or verdict".to_owned());
        }
        let mut transaction = Transaction::default();
        let decision = self.request.send(engine, &mut transaction);
        let matched: BTreeSet<u64> = transaction.matches().iter().map(|found| found.id).collect();
        let missing: Vec<_> = self.fires.difference(&matched).collect();
        let unwanted: Vec<_> = self.silent.intersection(&matched).collect();
        let verdict_holds = match self.verdict {
            None => true,
            Some(Verdict::Refuse) => decision != Decision::Pass,
            Some(Verdict::Pass) => decision == Decision::Pass,
            Some(Verdict::Clean) => decision == Decision::Pass && matched.is_empty(),
        };
        if missing.is_empty() && unwanted.is_empty() && verdict_holds {
            return Ok(());
        }
        let shown: Vec<String> = transaction
            .matches()
            .iter()
            .map(|found| format!("{} in {} ({} {})", found.id, found.variable, found.message, found.data))
            .collect();
        Err(format!(
            "missing {missing:?}, unwanted {unwanted:?}, wanted {:?}, decided {decision:?}; matched: {}",
            self.verdict,
            if shown.is_empty() {
                "nothing".to_owned()
            } else {
                shown.join("; ")
            }
        ))
    }
}

impl Request {
    /// Phases 1 and 2 of the request.
    pub fn send(&self, engine: &Engine, transaction: &mut Transaction) -> Decision {
        match engine.request_head(transaction, self.head()) {
            Decision::Pass => engine.request_body(transaction, self.body.as_bytes(), Completeness::Complete),
            decision => decision,
        }
    }

    fn head(&self) -> RequestHead {
        let (path, query) = match self.target.split_once('?') {
            Some((path, query)) => (path, Some(query.as_bytes().to_vec())),
            None => (self.target.as_str(), None),
        };
        let mut headers = self.headers.clone();
        let length = self.body.len().to_string();
        let mut added = vec![
            ("host", "example.org"),
            ("user-agent", "Mozilla/5.0 (X11; Linux x86_64)"),
            ("accept", "*/*"),
        ];
        if !self.body.is_empty() {
            added.push(("content-length", &length));
        }
        for (name, value) in added {
            let same = |other: &str| other.eq_ignore_ascii_case(name);
            if !headers.iter().any(|(other, _)| same(other)) && !self.without.iter().any(|other| same(other)) {
                headers.push((name.to_owned(), value.to_owned()));
            }
        }
        let default_method = if self.body.is_empty() { "GET" } else { "POST" };
        RequestHead {
            client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            method: self.method.clone().unwrap_or_else(|| default_method.to_owned()),
            version: self.version.clone(),
            host: "example.org".to_owned(),
            path: path.as_bytes().to_vec(),
            query,
            target: None,
            headers: headers
                .into_iter()
                .map(|(name, value)| (name, value.into_bytes()))
                .collect(),
            id: "0".repeat(32),
        }
    }
}

fn one() -> u8 {
    1
}
