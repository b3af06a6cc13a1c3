//! The configuration as an operator writes it, and how it becomes a [`Policy`].

use serde::Deserialize;
use weir_plugin_common::{Network, NetworkSet, Problems, Scope, Wildcard, WildcardSet};

use crate::policy::{Action, ClientMatch, HeaderMatch, HeaderTest, Mode, Policy, Refusal, Rule};

/// What stands in `[plugin.config]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What happens to a request that no rule fits.
    default: DefaultAction,
    /// The status of a refusal, 400 to 599. Default 403.
    status: Option<u16>,
    /// The text of a refusal. Default `Forbidden`.
    body: Option<String>,
    /// Only note what would be refused.
    dry_run: bool,
    /// In order: the first that fits decides.
    rules: Vec<RuleConfig>,
}

/// `default`: either word.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum DefaultAction {
    #[default]
    Allow,
    Deny,
}

/// `action` of a rule.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ActionConfig {
    Allow,
    Deny,
    Close,
}

/// One rule. All given kinds must fit; any entry of a kind does; networks and tables are one kind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleConfig {
    /// Names the rule in the access log; unique.
    id: String,
    action: ActionConfig,
    #[serde(default)]
    networks: Vec<String>,
    #[serde(default)]
    tables: Vec<String>,
    #[serde(default)]
    user_agents: Vec<String>,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    methods: Vec<String>,
    #[serde(default)]
    headers: Vec<HeaderConfig>,
    status: Option<u16>,
    #[serde(default)]
    dry_run: bool,
}

/// A header that must be there, must not, or must have a value.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderConfig {
    name: String,
    /// With `*` for any text. Absent: the header must be present.
    value: Option<String>,
    /// The header must not be there.
    #[serde(default)]
    absent: bool,
}

impl Config {
    /// Checks everything and prepares it for matching. `table` opens a host table by its name.
    ///
    /// # Errors
    /// Every problem, one a line.
    pub fn resolve<T>(self, mut table: impl FnMut(&str) -> Result<T, String>) -> Result<Policy<T>, String> {
        let mut problems = Problems::new();
        let status = check_status("status", self.status.unwrap_or(403), &mut problems);
        let mut rules = Vec::with_capacity(self.rules.len());
        for (index, rule) in self.rules.iter().enumerate() {
            if rule.id.is_empty() || self.rules.iter().take(index).any(|other| other.id == rule.id) {
                problems.add(
                    format_args!("rules[{index}].id"),
                    format_args!("\"{}\" must be a name that no other rule has", rule.id),
                );
            }
            rules.push(rule.resolve(&format!("rules[{index}]."), status, &mut table, &mut problems));
        }
        let policy = Policy {
            rules,
            default: match self.default {
                DefaultAction::Allow => Action::Allow,
                DefaultAction::Deny => Action::Refuse(Refusal::Status(status)),
            },
            mode: Mode::from_dry_run(self.dry_run),
            body: self.body.unwrap_or_else(|| "Forbidden\n".to_owned()),
        };
        problems.finish(policy)
    }
}

impl RuleConfig {
    fn resolve<T>(
        &self,
        key: &str,
        status: u16,
        table: &mut impl FnMut(&str) -> Result<T, String>,
        problems: &mut Problems,
    ) -> Rule<T> {
        let networks: NetworkSet = problems
            .take_all(&format!("{key}networks"), &self.networks, Network::parse)
            .into_iter()
            .collect();
        let mut tables = Vec::with_capacity(self.tables.len());
        for (index, name) in self.tables.iter().enumerate() {
            tables.extend(problems.take(format_args!("{key}tables[{index}]"), table(name)));
        }
        if self.status.is_some() && !matches!(self.action, ActionConfig::Deny) {
            problems.add(
                format_args!("{key}status"),
                "only a rule with action = \"deny\" has a status",
            );
        }
        let status = check_status(&format!("{key}status"), self.status.unwrap_or(status), problems);
        Rule {
            id: self.id.clone(),
            action: match self.action {
                ActionConfig::Allow => Action::Allow,
                ActionConfig::Deny => Action::Refuse(Refusal::Status(status)),
                ActionConfig::Close => Action::Refuse(Refusal::Close),
            },
            mode: Mode::from_dry_run(self.dry_run),
            scope: Scope::new(key, &self.hosts, &self.paths, &self.methods, problems),
            user_agents: WildcardSet::new(self.user_agents.iter().map(String::as_str)),
            headers: (0..)
                .zip(&self.headers)
                .map(|(index, header)| header.resolve(key, index, problems))
                .collect(),
            clients: if self.networks.is_empty() && self.tables.is_empty() {
                ClientMatch::Any
            } else {
                ClientMatch::In { networks, tables }
            },
        }
    }
}

impl HeaderConfig {
    fn resolve(&self, key: &str, index: usize, problems: &mut Problems) -> HeaderMatch {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if self.name.is_empty() || !self.name.bytes().all(is_token) {
            problems.add(
                format_args!("{key}headers[{index}].name"),
                format_args!("\"{}\" is not a header name", self.name),
            );
        }
        let test = match (&self.value, self.absent) {
            (None, false) => HeaderTest::Present,
            (Some(value), false) => HeaderTest::Value(Wildcard::new(value)),
            (None, true) => HeaderTest::Absent,
            (Some(_), true) => {
                problems.add(
                    format_args!("{key}headers[{index}]"),
                    "a header that is absent has no value: give either value or absent",
                );
                HeaderTest::Absent
            }
        };
        HeaderMatch {
            name: self.name.to_ascii_lowercase(),
            test,
        }
    }
}

fn check_status(key: &str, status: u16, problems: &mut Problems) -> u16 {
    if !(400..=599).contains(&status) {
        problems.add(
            key,
            format_args!("{status} is not the status of a refusal: write one from 400 to 599, for example 403"),
        );
    }
    status
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn resolve(json: &str) -> Result<Policy<u32>, String> {
        let config: Config = serde_json::from_str(json).map_err(|error| error.to_string())?;
        config.resolve(|name| {
            if name == "deny" {
                Ok(0)
            } else {
                Err(format!("there is no table \"{name}\""))
            }
        })
    }

    #[test]
    fn nothing_is_needed() {
        assert!(resolve("{}").unwrap().rules.is_empty());
    }

    #[test]
    fn every_problem_is_reported_together() {
        let problems = resolve(
            r#"{"status": 200, "rules": [
                {"id": "a", "action": "deny", "networks": ["10.0.0.0/33"], "tables": ["other"], "status": 99},
                {"id": "a", "action": "allow", "status": 403, "headers": [{"name": "x y"}, {"name": "x", "value": "y", "absent": true}]}
            ]}"#,
        )
        .unwrap_err();
        for expected in [
            "status: 200 is not the status of a refusal",
            "rules[0].networks[0]: \"10.0.0.0/33\" is not a network",
            "rules[0].tables[0]: there is no table \"other\"",
            "rules[0].status: 99 is not",
            "rules[1].id: \"a\" must be a name that no other rule has",
            "rules[1].status: only a rule with action = \"deny\"",
            "rules[1].headers[0].name: \"x y\" is not a header name",
            "rules[1].headers[1]: a header that is absent has no value",
        ] {
            assert!(problems.contains(expected), "{expected}\n{problems}");
        }
    }

    #[test]
    fn unknown_keys_and_words_are_refused() {
        assert!(resolve(r#"{"rule": []}"#).unwrap_err().contains("unknown field `rule`"));
        assert!(
            resolve(r#"{"rules": [{"id": "a", "action": "block"}]}"#)
                .unwrap_err()
                .contains("unknown variant `block`")
        );
        assert!(
            resolve(r#"{"rules": [{"id": "a", "action": "deny", "network": []}]}"#)
                .unwrap_err()
                .contains("unknown field `network`")
        );
    }
}
