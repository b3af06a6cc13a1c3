//! `[plugin.config]`: which rules, and what an operator decides about them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::compile::plan::{AuditFormat, Mode, Preset};
use crate::compile::{Presets, compile, settings};
use crate::evaluate::Engine;
use crate::seclang::{Files, Source, parse};

/// Where rules that follow the conventions of the OWASP Core Rule Set, and Weir's own, keep the score of a request.
pub const SCORE: &str = "blocking_inbound_anomaly_score";

/// What an operator decides. It outranks what the rules say about the same things.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Rule files, in order: names of `[plugin.data]`. Default: none.
    pub rules: Vec<String>,
    /// SecLang, read after the files. Default: none.
    pub directives: String,
    /// What a match leads to. Default: what the rules say, and on where they say nothing.
    pub engine: Option<EngineMode>,
    /// How eager rules are, 1 (few false alarms) to 4. Default: 1.
    pub paranoia_level: u8,
    /// Rules up to this level run and are reported, but only those up to `paranoia_level` count. Default: as that one.
    pub detection_paranoia_level: Option<u8>,
    /// The score from which on a request is refused. Default: 5, one critical match.
    pub inbound_threshold: u32,
    /// The score from which on a response is withheld. Default: 4.
    pub outbound_threshold: u32,
    /// Further names in `TX` and what they hold when a request comes. Default: none.
    pub variables: BTreeMap<String, Value>,
    /// The most of a request's body that is looked at, in bytes. Default: what the rules say, and 128 KiB where they say nothing.
    pub request_body_limit: Option<u64>,
    /// What happens to a longer one. Default: what the rules say, and reject (413) where they say nothing.
    pub request_body_overflow: Option<Overflow>,
    /// The most of a response's body that is looked at, in bytes. Default: what the rules say, and 512 KiB where they say nothing.
    pub response_body_limit: Option<u64>,
    /// The most arguments that are looked at. Default: what the rules say, and 1000 where they say nothing.
    pub arguments_limit: Option<usize>,
    /// How matches are written down. Default: as JSON.
    pub audit_format: EventFormat,
}

/// What a match leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineMode {
    /// Rules refuse requests.
    On,
    /// Rules are reported and refuse nothing.
    DetectionOnly,
    /// Rules do not run.
    Off,
}

/// How matches are written down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventFormat {
    /// A line of JSON for each request that is audited, with the fields of ModSecurity's own JSON log.
    #[default]
    Json,
    /// A line for each match of a rule that logs, as ModSecurity writes it to its server's error log.
    Lines,
}

/// What happens to a body that is longer than its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// The request is answered with 413.
    Reject,
    /// Rules look at the part within the limit.
    Partial,
}

/// What a name in `TX` holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A number.
    Number(i64),
    /// Text.
    Text(String),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            directives: String::new(),
            engine: None,
            paranoia_level: 1,
            detection_paranoia_level: None,
            inbound_threshold: 5,
            outbound_threshold: 4,
            variables: BTreeMap::new(),
            request_body_limit: None,
            request_body_overflow: None,
            response_body_limit: None,
            arguments_limit: None,
            audit_format: EventFormat::default(),
        }
    }
}

impl Config {
    /// Reads and compiles the rules.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration; where it is right, everything that is wrong with the rules.
    pub fn engine(&self, files: &dyn Files) -> Result<Engine, String> {
        let sources = self.sources(files)?;
        let directives = parse(&sources, files).map_err(|problems| problems.to_string())?;
        let mut plan = compile(&directives, &self.presets(), files).map_err(|problems| problems.to_string())?;
        self.outrank(&mut plan.settings);
        Ok(Engine::new(plan))
    }

    fn sources(&self, files: &dyn Files) -> Result<Vec<Source>, String> {
        let mut problems = Vec::new();
        let levels = [
            ("paranoia_level", Some(self.paranoia_level)),
            ("detection_paranoia_level", self.detection_paranoia_level),
        ];
        for (key, level) in levels {
            if level.is_some_and(|level| !(1..=4).contains(&level)) {
                problems.push(format!("{key}: a paranoia level is 1, 2, 3 or 4"));
            }
        }
        if self
            .detection_paranoia_level
            .is_some_and(|level| level < self.paranoia_level)
        {
            problems.push("detection_paranoia_level: at least paranoia_level".to_owned());
        }
        if self.rules.is_empty() && self.directives.trim().is_empty() {
            problems.push("rules: name at least one file of [plugin.data], or write directives".to_owned());
        }
        let mut sources = Vec::new();
        for (index, name) in self.rules.iter().enumerate() {
            match files.read(name) {
                Some(text) => sources.push(Source { name: name.clone(), text }),
                None => problems.push(format!(
                    "rules[{index}]: there is no file \"{name}\"; list it under [plugin.data] in bundle.toml by this name"
                )),
            }
        }
        sources.push(Source {
            name: "directives".to_owned(),
            text: self.directives.clone().into_bytes(),
        });
        if problems.is_empty() {
            Ok(sources)
        } else {
            Err(problems.join("\n"))
        }
    }

    /// What `TX` holds when a request comes. The names are those of the OWASP Core Rule Set, which sets its own defaults only where
    /// they hold nothing.
    #[must_use]
    pub fn presets(&self) -> Presets {
        let level = i64::from(self.paranoia_level);
        let detection = i64::from(self.detection_paranoia_level.unwrap_or(self.paranoia_level));
        let mut presets: Presets = [
            ("blocking_paranoia_level", level),
            ("detection_paranoia_level", detection),
            ("inbound_anomaly_score_threshold", i64::from(self.inbound_threshold)),
            ("outbound_anomaly_score_threshold", i64::from(self.outbound_threshold)),
        ]
        .map(|(name, number)| (name.to_owned(), Preset::Number(number)))
        .to_vec();
        presets.extend(self.variables.iter().map(|(name, value)| {
            let preset = match value {
                Value::Number(number) => Preset::Number(*number),
                Value::Text(text) => Preset::Text(text.as_bytes().into()),
            };
            (name.clone(), preset)
        }));
        presets
    }

    /// Changes what the rules say where an operator has decided otherwise.
    pub fn outrank(&self, settings: &mut settings::Settings) {
        settings.mode = match self.engine {
            None => settings.mode,
            Some(EngineMode::On) => Mode::On,
            Some(EngineMode::DetectionOnly) => Mode::DetectionOnly,
            Some(EngineMode::Off) => Mode::Off,
        };
        settings.request_body_overflow = match self.request_body_overflow {
            None => settings.request_body_overflow,
            Some(Overflow::Reject) => settings::Overflow::Reject,
            Some(Overflow::Partial) => settings::Overflow::ProcessPartial,
        };
        settings.request_body_limit = self.request_body_limit.unwrap_or(settings.request_body_limit);
        settings.response_body_limit = self.response_body_limit.unwrap_or(settings.response_body_limit);
        settings.arguments_limit = self.arguments_limit.unwrap_or(settings.arguments_limit);
        settings.audit_format = match self.audit_format {
            EventFormat::Json => AuditFormat::Json,
            EventFormat::Lines => AuditFormat::Lines,
        };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::seclang::NoFiles;

    fn config(json: &str) -> Result<Config, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn the_configuration_outranks_the_rules() {
        let config = config(
            r#"{"directives": "SecRuleEngine On\nSecArgumentsLimit 5", "engine": "detection-only", "arguments_limit": 7,
                "request_body_overflow": "partial", "variables": {"a": 1, "b": "x"}}"#,
        );
        let engine = config.unwrap().engine(&NoFiles).unwrap();
        let settings = &engine.plan().settings;
        assert_eq!((settings.mode, settings.arguments_limit), (Mode::DetectionOnly, 7));
        assert_eq!(settings.request_body_overflow, settings::Overflow::ProcessPartial);
        assert_eq!(engine.plan().presets.len(), 6);
    }

    #[test]
    fn every_mistake_is_named() {
        assert!(config(r#"{"rule": []}"#).unwrap_err().contains("`rule`"));
        let problems = config(r#"{"rules": ["a"], "paranoia_level": 5, "detection_paranoia_level": 0}"#)
            .unwrap()
            .engine(&NoFiles)
            .unwrap_err();
        assert_eq!(problems.lines().count(), 4, "{problems}");
        assert!(
            config("{}")
                .unwrap()
                .engine(&NoFiles)
                .unwrap_err()
                .contains("at least one")
        );
        let problems = config(r#"{"directives": "SecRule"}"#)
            .unwrap()
            .engine(&NoFiles)
            .unwrap_err();
        assert!(problems.starts_with("directives:1: "), "{problems}");
    }
}
