//! The configuration as an operator writes it, and how it becomes [`Redirects`].

use serde::Deserialize;
use weir_plugin_common::{HostPattern, Problems};

use crate::query::QueryMode;
use crate::redirects::{Redirects, TableKey, TableRule};
use crate::rules::{Answer, Matcher, Pattern, Rule, Rules};
use crate::target::{Scheme, Target};

/// What stands in `[plugin.config]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// In order: the first that fits fires.
    #[serde(default)]
    rules: Vec<RuleConfig>,
    /// Host tables of kind `exact`, asked in order when no rule fits.
    #[serde(default)]
    tables: Vec<TableConfig>,
    /// The status of rules and entries that have none of their own. Default 301.
    status: Option<u16>,
    /// What becomes of the request's query, where nothing else is said. Default `keep`.
    query: Option<QueryConfig>,
    /// The header that names what fired; empty for none. Default `x-weir-rule`.
    rule_header: Option<String>,
    /// Hosts that are served here, so that loops over them are found.
    #[serde(default)]
    own_hosts: Vec<String>,
}

/// `query`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum QueryConfig {
    Keep,
    Drop,
    Append,
    Merge,
}

/// `scheme`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SchemeConfig {
    Http,
    Https,
}

/// `key` of a table.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KeyConfig {
    #[default]
    Path,
    HostPath,
}

/// One rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleConfig {
    /// Unique.
    id: String,
    /// The path, exactly.
    from: Option<String>,
    /// Or a regular expression over the path.
    pattern: Option<String>,
    /// Where to: not with status 410.
    to: Option<String>,
    status: Option<u16>,
    query: Option<QueryConfig>,
    #[serde(default)]
    hosts: Vec<String>,
    scheme: Option<SchemeConfig>,
}

/// One host table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableConfig {
    name: String,
    #[serde(default)]
    key: KeyConfig,
    status: Option<u16>,
    query: Option<QueryConfig>,
}

impl Config {
    /// Checks everything, prepares it, and follows every rule. `open` opens a host table by its name, `lookup` asks it.
    ///
    /// # Errors
    /// Every problem, one a line.
    pub fn resolve<T>(
        self,
        open: impl Fn(&str) -> Result<T, String>,
        mut lookup: impl FnMut(&T, &[u8]) -> Option<Vec<u8>>,
    ) -> Result<Redirects<T>, String> {
        let mut problems = Problems::new();
        let status = self.status.unwrap_or(301);
        if !is_redirect(status) {
            problems.add("status", not_a_redirect(status));
        }
        let query = self.query.unwrap_or(QueryConfig::Keep);
        let mut rules = Vec::with_capacity(self.rules.len());
        for (index, rule) in self.rules.iter().enumerate() {
            let key = format!("rules[{index}].");
            if self.rules.iter().take(index).any(|other| other.id == rule.id) {
                problems.add(
                    format_args!("{key}id"),
                    format_args!("\"{}\" is the id of another rule", rule.id),
                );
            }
            rules.extend(rule.resolve(&key, status, query, &mut problems));
        }
        let mut tables = Vec::with_capacity(self.tables.len());
        for (index, table) in self.tables.iter().enumerate() {
            tables.extend(table.resolve(&format!("tables[{index}]."), status, query, &open, &mut problems));
        }
        let header = self.rule_header.as_deref().unwrap_or("x-weir-rule");
        let redirects = Redirects {
            rules: Rules::new(rules),
            tables,
            rule_header: (!header.is_empty()).then(|| header.to_ascii_lowercase()),
            own_hosts: problems.take_all("own_hosts", &self.own_hosts, HostPattern::parse),
        };
        if !header.bytes().all(is_token) {
            problems.add("rule_header", format_args!("\"{header}\" is not a header name"));
        }
        redirects.check_rules(&mut lookup, &mut problems);
        problems.finish(redirects)
    }
}

impl RuleConfig {
    fn resolve(&self, key: &str, status: u16, query: QueryConfig, problems: &mut Problems) -> Option<Rule> {
        // The id is the value of a header, so it keeps to what is safe there.
        if self.id.is_empty()
            || !self
                .id
                .bytes()
                .all(|byte| is_token(byte) || byte == b':' || byte == b'/')
        {
            problems.add(
                format_args!("{key}id"),
                format_args!("\"{}\" is not an id: use letters, digits, -, _ and .", self.id),
            );
        }
        let hosts = problems.take_all(&format!("{key}hosts"), &self.hosts, HostPattern::parse);
        let matcher = match (&self.from, &self.pattern) {
            (Some(path), None) => problems
                .take(format_args!("{key}from"), parse_path(path))
                .map(Matcher::Exact),
            (None, Some(pattern)) => problems
                .take(format_args!("{key}pattern"), Pattern::parse(pattern))
                .map(Matcher::Pattern),
            _ => {
                problems.add(
                    key.trim_end_matches('.'),
                    "a rule has either from, for one path, or pattern, for many",
                );
                None
            }
        }?;
        let status = self.status.unwrap_or(status);
        let answer = match (&self.to, status) {
            (None, 410) => Answer::Gone,
            (Some(_), 410) => {
                problems.add(
                    format_args!("{key}to"),
                    "what is gone (410) is nowhere: leave out to, or write another status",
                );
                return None;
            }
            (None, _) => {
                problems.add(
                    format_args!("{key}to"),
                    "missing: write where the redirect leads, or status = 410",
                );
                return None;
            }
            (Some(to), _) => {
                if !is_redirect(status) {
                    problems.add(format_args!("{key}status"), not_a_redirect(status));
                }
                let target = match &matcher {
                    Matcher::Exact(_) => Target::parse(to, &()),
                    Matcher::Pattern(pattern) => Target::parse(to, pattern),
                };
                Answer::Redirect {
                    status,
                    target: problems.take(format_args!("{key}to"), target)?,
                }
            }
        };
        Some(Rule {
            id: self.id.clone(),
            matcher,
            hosts,
            scheme: self.scheme.map(|scheme| match scheme {
                SchemeConfig::Http => Scheme::Http,
                SchemeConfig::Https => Scheme::Https,
            }),
            answer,
            query: self.query.unwrap_or(query).into(),
        })
    }
}

impl TableConfig {
    fn resolve<T>(
        &self,
        key: &str,
        status: u16,
        query: QueryConfig,
        open: &impl Fn(&str) -> Result<T, String>,
        problems: &mut Problems,
    ) -> Option<TableRule<T>> {
        let status = self.status.unwrap_or(status);
        if !is_redirect(status) {
            problems.add(format_args!("{key}status"), not_a_redirect(status));
        }
        Some(TableRule {
            id: format!("table:{}", self.name),
            table: problems.take(format_args!("{key}name"), open(&self.name))?,
            key: match self.key {
                KeyConfig::Path => TableKey::Path,
                KeyConfig::HostPath => TableKey::HostAndPath,
            },
            status,
            query: self.query.unwrap_or(query).into(),
        })
    }
}

impl From<QueryConfig> for QueryMode {
    fn from(query: QueryConfig) -> Self {
        match query {
            QueryConfig::Keep => Self::Keep,
            QueryConfig::Drop => Self::Drop,
            QueryConfig::Append => Self::Append,
            QueryConfig::Merge => Self::Merge,
        }
    }
}

/// Paths are compared as received, so what a client can never send is refused.
fn parse_path(text: &str) -> Result<Box<[u8]>, String> {
    if !text.starts_with('/') || text.contains(['?', '#']) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!(
            "\"{text}\" is not a path: start with /, percent-encode what is not ASCII, and leave out query and fragment"
        ));
    }
    Ok(text.as_bytes().into())
}

fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

fn not_a_redirect(status: u16) -> String {
    format!("{status} is not the status of a redirect: write 301, 302, 303, 307 or 308")
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn resolve(json: &str) -> Result<Redirects<()>, String> {
        let config: Config = serde_json::from_str(json).map_err(|error| error.to_string())?;
        config.resolve(
            |name| {
                if name == "moved" {
                    Ok(())
                } else {
                    Err(format!("table \"{name}\" is not declared"))
                }
            },
            |(), _| None,
        )
    }

    #[test]
    fn nothing_is_needed() {
        let redirects = resolve("{}").unwrap();
        assert!(redirects.is_empty());
        assert_eq!(redirects.rule_header.as_deref(), Some("x-weir-rule"));
        assert_eq!(resolve(r#"{"rule_header": ""}"#).unwrap().rule_header, None);
    }

    #[test]
    fn every_problem_is_reported_together() {
        let problems = resolve(
            r#"{"status": 200, "rule_header": "a b", "own_hosts": ["x y"], "tables": [{"name": "other"}, {"name": "moved", "status": 410}], "rules": [
                {"id": "a b", "from": "old", "to": "/x"},
                {"id": "b", "to": "/x"},
                {"id": "c", "from": "/x", "pattern": "x", "to": "/y"},
                {"id": "d", "pattern": "(", "to": "/y"},
                {"id": "e", "pattern": "^/(.*)", "to": "https://$1/", "status": 302},
                {"id": "f", "from": "/f"},
                {"id": "g", "from": "/g", "to": "/h", "status": 410},
                {"id": "h", "from": "/h", "to": "/i", "status": 304},
                {"id": "h", "from": "/j", "to": "/k", "status": 301, "hosts": ["https://x"]}
            ]}"#,
        )
        .unwrap_err();
        for expected in [
            "status: 200 is not",
            "rule_header: \"a b\" is not a header name",
            "own_hosts[0]: \"x y\" is not a host",
            "tables[0].name: table \"other\" is not declared",
            "tables[1].status: 410 is not the status of a redirect",
            "rules[0].id: \"a b\" is not an id",
            "rules[0].from: \"old\" is not a path",
            "rules[1]: a rule has either from",
            "rules[2]: a rule has either from",
            "rules[3].pattern: not a pattern",
            "rules[4].to: \"https://$1/\": captured text must not stand in front of the path",
            "rules[5].to: missing",
            "rules[6].to: what is gone",
            "rules[7].status: 304 is not the status of a redirect",
            "rules[8].id: \"h\" is the id of another rule",
            "rules[8].hosts[0]: \"https://x\" is not a host",
        ] {
            assert!(problems.contains(expected), "{expected}\n{problems}");
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(resolve(r#"{"rule": []}"#).unwrap_err().contains("unknown field `rule`"));
        assert!(
            resolve(r#"{"rules": [{"id": "a", "source": "/a"}]}"#)
                .unwrap_err()
                .contains("unknown field `source`")
        );
    }
}
