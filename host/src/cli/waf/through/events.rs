//! What audit events say about requests, by the address that each came from.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::Path;

use serde::Deserialize;
use weir_waf::evaluate::Match;
use weir_waf_tools::Error;

/// Of all requests.
#[derive(Debug, Default)]
pub(super) struct Events(HashMap<String, Found>);

/// Of one.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In order.
    pub(super) matches: Vec<Match>,
    /// How many more there were.
    pub(super) omitted: usize,
}

#[derive(Debug, Deserialize)]
struct Line {
    transaction: Transaction,
}

#[derive(Debug, Deserialize)]
struct Transaction {
    client_ip: String,
    rules: Vec<u64>,
    messages: Vec<Message>,
    #[serde(default)]
    messages_omitted: usize,
}

#[derive(Debug, Deserialize)]
struct Message {
    message: String,
    details: Details,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(rename = "match")]
    matched: String,
    rule_id: String,
    data: String,
}

impl Events {
    /// Reads the file that the proxy wrote; nothing where it wrote none.
    pub(super) fn read(file: &Path) -> Result<Self, Error> {
        let mut events = Self::default();
        let text = std::fs::read_to_string(file).unwrap_or_default();
        for line in text.lines() {
            let line: Line = serde_json::from_str(line)
                .map_err(|error| Error::new(format!("an audit event that is none: {error}")))?;
            events.add(line.transaction);
        }
        Ok(events)
    }

    pub(super) fn of(&self, client: Ipv4Addr) -> Option<&Found> {
        self.0.get(&client.to_string())
    }

    fn add(&mut self, transaction: Transaction) {
        let found = self.0.entry(transaction.client_ip).or_default();
        found.omitted += transaction.messages_omitted;
        for message in transaction.messages {
            found.matches.extend(message.matched());
        }
        for id in transaction.rules {
            if !found.matches.iter().any(|known| known.id == id) {
                found.matches.push(found_only(id));
            }
        }
    }
}

impl Message {
    fn matched(self) -> Option<Match> {
        let id = self.details.rule_id.parse().ok()?;
        let rest = self.details.matched.strip_prefix("Matched against variable ")?;
        let (variable, value) = rest.split_once(" (Value: ").unwrap_or((rest, ""));
        Some(Match {
            message: self.message,
            data: self.details.data,
            variable: variable.to_owned(),
            value: value.strip_suffix(')').unwrap_or(value).to_owned(),
            ..found_only(id)
        })
    }
}

/// A match of which nothing but the rule is known.
fn found_only(id: u64) -> Match {
    Match {
        id,
        message: String::new(),
        data: String::new(),
        variable: String::new(),
        value: String::new(),
        // No index of the plan in the other process's memory.
        rule: usize::MAX,
    }
}
