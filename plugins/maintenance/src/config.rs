//! The configuration as an operator writes it, and how it becomes [`Maintenance`].

use serde::Deserialize;
use weir_plugin_common::{Network, NetworkSet, PathPattern, Problems, Scope, ScopeFacts, parse_duration};

use crate::page::Pages;
use crate::schedule::Schedule;
use crate::time;

/// What stands in `[plugin.config]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    mode: Mode,
    /// With `mode = "window"`: when it begins. RFC 3339.
    from: Option<String>,
    /// When it ends: with `mode = "on"` only what clients are told.
    until: Option<String>,
    /// Only these hosts. Default: all.
    hosts: Vec<String>,
    /// Only these paths. Default: all.
    paths: Vec<String>,
    /// But not these paths.
    except_paths: Vec<String>,
    /// Who passes.
    allow: AllowConfig,
    /// `Retry-After`. Default: what is left until `until`, or no header.
    retry_after: Option<String>,
    /// 500 to 599. Default 503.
    status: Option<u16>,
    /// The page's text, where no file is given.
    message: Option<String>,
    /// The name of a data file.
    html: Option<String>,
    /// The name of a data file.
    json: Option<String>,
}

/// `mode`.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    #[default]
    Off,
    On,
    Window,
}

/// `allow`: any entry lets a client pass.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AllowConfig {
    networks: Vec<String>,
    tables: Vec<String>,
    headers: Vec<SecretConfig>,
}

/// A header that lets pass.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretConfig {
    name: String,
    value: String,
}

/// Everything that is known before a request comes. `T` is the handle of a host table.
#[derive(Debug)]
pub struct Maintenance<T> {
    /// When.
    pub schedule: Schedule,
    /// Who passes.
    pub allow: Allow<T>,
    /// The status of the answer.
    pub status: u16,
    /// The content of the answer.
    pub pages: Pages,
    scope: Scope,
    except_paths: Vec<PathPattern>,
    /// In seconds.
    retry_after: Option<u64>,
}

/// Who passes: any of these.
#[derive(Debug)]
pub struct Allow<T> {
    /// Clients in these networks.
    pub networks: NetworkSet,
    /// Clients in these host tables.
    pub tables: Vec<T>,
    /// Requests with one of these.
    pub headers: Vec<Secret>,
}

/// A header and the value that lets pass.
#[derive(Debug)]
pub struct Secret {
    /// In lower case.
    pub name: String,
    value: Vec<u8>,
}

impl Secret {
    /// Whether this is the value, in a time that does not tell how much of it is right.
    #[must_use]
    pub fn is(&self, value: &[u8]) -> bool {
        let difference = self
            .value
            .iter()
            .zip(value)
            .fold(0, |difference, (expected, byte)| difference | (expected ^ byte));
        self.value.len() == value.len() && std::hint::black_box(difference) == 0
    }
}

impl<T> Maintenance<T> {
    /// Whether the answer depends on what time it is.
    #[must_use]
    pub fn needs_clock(&self) -> bool {
        match self.schedule {
            Schedule::Off => false,
            Schedule::On { announced_end } => announced_end.is_some() && self.retry_after.is_none(),
            Schedule::Window { .. } => true,
        }
    }

    /// Whether a request is for what is being maintained.
    pub fn concerns(&self, facts: &mut impl ScopeFacts) -> bool {
        self.scope.matches(facts) && !self.except_paths.iter().any(|path| path.matches(facts.path()))
    }

    /// `Retry-After` in seconds: as configured, or what is left; nothing where neither is known, or the end has passed.
    #[must_use]
    pub fn retry_after(&self, now: u64, ends: Option<u64>) -> Option<u64> {
        self.retry_after
            .or_else(|| Some(ends?.checked_sub(now)?.div_ceil(1_000_000_000)).filter(|seconds| *seconds > 0))
    }
}

impl Config {
    /// Checks everything and prepares it. `data` reads a file of the bundle, `table` opens a host table, both by name.
    ///
    /// # Errors
    /// Every problem, one a line.
    pub fn resolve<T>(
        self,
        data: impl Fn(&str) -> Option<Vec<u8>>,
        table: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Maintenance<T>, String> {
        let mut problems = Problems::new();
        let schedule = self.schedule(&mut problems);
        let status = self.status.unwrap_or(503);
        if !(500..=599).contains(&status) {
            problems.add(
                "status",
                format_args!(
                    "{status} does not say that the server is unavailable: write one from 500 to 599, for example 503"
                ),
            );
        }
        let mut page = |key: &str, name: &Option<String>| {
            let name = name.as_deref()?;
            let missing = || {
                format!("there is no data file \"{name}\": the manifest needs {name} = \"FILE\" under [plugin.data]")
            };
            problems.take(key, data(name).ok_or_else(missing))
        };
        let (html, json) = (page("html", &self.html), page("json", &self.json));
        let message = self
            .message
            .as_deref()
            .unwrap_or("We are working on this site. Please come back a little later.");
        let maintenance = Maintenance {
            schedule,
            allow: self.allow.resolve(table, &mut problems),
            status,
            pages: Pages::new(html, json, status, message),
            scope: Scope::new("", &self.hosts, &self.paths, &[], &mut problems),
            except_paths: problems.take_all("except_paths", &self.except_paths, PathPattern::parse),
            retry_after: self
                .retry_after
                .as_deref()
                .and_then(|text| problems.take("retry_after", parse_retry_after(text))),
        };
        problems.finish(maintenance)
    }

    fn schedule(&self, problems: &mut Problems) -> Schedule {
        // Times are checked in every mode, so that switching the mode later cannot fail on them.
        let from = self
            .from
            .as_deref()
            .and_then(|text| problems.take("from", time::parse(text)));
        let until = self
            .until
            .as_deref()
            .and_then(|text| problems.take("until", time::parse(text)));
        if let (Some(from), Some(until)) = (from, until)
            && until <= from
        {
            problems.add("until", "the end is not after the start: write a later time than from");
        }
        match self.mode {
            Mode::Off => Schedule::Off,
            Mode::On => Schedule::On { announced_end: until },
            Mode::Window => {
                if self.from.is_none() && self.until.is_none() {
                    problems.add(
                        "mode",
                        "\"window\" needs from, until or both, for example until = \"2026-01-31T22:00:00Z\"",
                    );
                }
                Schedule::Window {
                    from: from.unwrap_or(0),
                    until,
                }
            }
        }
    }
}

impl AllowConfig {
    fn resolve<T>(&self, table: impl Fn(&str) -> Result<T, String>, problems: &mut Problems) -> Allow<T> {
        let secret = |(index, secret): (usize, &SecretConfig)| {
            if secret.name.is_empty() || secret.value.is_empty() {
                problems.add(
                    format_args!("allow.headers[{index}]"),
                    "name and value must not be empty: an empty secret lets everybody pass",
                );
            }
            Secret {
                name: secret.name.to_ascii_lowercase(),
                value: secret.value.clone().into_bytes(),
            }
        };
        Allow {
            headers: self.headers.iter().enumerate().map(secret).collect(),
            networks: problems
                .take_all("allow.networks", &self.networks, Network::parse)
                .into_iter()
                .collect(),
            tables: problems.take_all("allow.tables", &self.tables, table),
        }
    }
}

/// Whole seconds (RFC 9110 §10.2.3).
fn parse_retry_after(text: &str) -> Result<u64, String> {
    match parse_duration(text)?.as_secs() {
        0 => Err(format!("\"{text}\" is less than a second: write for example 10m")),
        seconds => Ok(seconds),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn resolve(json: &str) -> Result<Maintenance<u32>, String> {
        let config: Config = serde_json::from_str(json).map_err(|error| error.to_string())?;
        config.resolve(
            |name| (name == "page").then(|| b"<p>page".to_vec()),
            |name| {
                if name == "team" {
                    Ok(0)
                } else {
                    Err(format!("table \"{name}\" is not declared"))
                }
            },
        )
    }

    #[test]
    fn off_is_the_default_and_costs_nothing() {
        assert_eq!(resolve("{}").unwrap().schedule, Schedule::Off);
    }

    #[test]
    fn every_problem_is_reported_together() {
        let problems = resolve(
            r#"{"mode": "window", "status": 404, "hosts": ["a b"], "paths": ["x"], "except_paths": ["y"], "retry_after": "500ms",
                "html": "other", "allow": {"networks": ["10.0.0.1/8"], "tables": ["none"], "headers": [{"name": "x", "value": ""}]}}"#,
        )
        .unwrap_err();
        for expected in [
            "mode: \"window\" needs from, until or both",
            "status: 404 does not say",
            "html: there is no data file \"other\"",
            "allow.headers[0]: name and value must not be empty",
            "allow.networks[0]: \"10.0.0.1/8\" has bits set",
            "allow.tables[0]: table \"none\" is not declared",
            "hosts[0]: \"a b\" is not a host",
            "paths[0]: \"x\" is not a path pattern",
            "except_paths[0]: \"y\" is not a path pattern",
            "retry_after: \"500ms\" is less than a second",
        ] {
            assert!(problems.contains(expected), "{expected}\n{problems}");
        }
    }

    #[test]
    fn times_are_checked_in_every_mode() {
        let problems = resolve(r#"{"mode": "off", "from": "tomorrow", "until": "2026-01-01"}"#).unwrap_err();
        assert!(
            problems.contains("from: \"tomorrow\"") && problems.contains("until: \"2026-01-01\""),
            "{problems}"
        );
        let problems = resolve(r#"{"from": "2026-01-02T00:00:00Z", "until": "2026-01-02T00:00:00Z"}"#).unwrap_err();
        assert!(problems.contains("until: the end is not after the start"), "{problems}");
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(
            resolve(r#"{"modus": "on"}"#)
                .unwrap_err()
                .contains("unknown field `modus`")
        );
        assert!(
            resolve(r#"{"allow": {"ips": []}}"#)
                .unwrap_err()
                .contains("unknown field `ips`")
        );
    }

    #[test]
    fn retry_after_is_configured_or_what_is_left() {
        let left = resolve(r#"{"mode": "window", "until": "1970-01-01T00:01:40Z"}"#).unwrap();
        assert_eq!(left.retry_after(10 * SECOND + 1, Some(100 * SECOND)), Some(90));
        assert_eq!(left.retry_after(100 * SECOND, Some(100 * SECOND)), None);
        assert_eq!(left.retry_after(200 * SECOND, Some(100 * SECOND)), None);
        assert_eq!(left.retry_after(0, None), None);
        let configured = resolve(r#"{"mode": "on", "until": "1970-01-01T00:01:40Z", "retry_after": "10m"}"#).unwrap();
        assert_eq!(configured.retry_after(0, Some(100 * SECOND)), Some(600));
    }

    #[test]
    fn the_clock_is_read_only_where_it_matters() {
        for (json, needed) in [
            (r#"{"mode": "on"}"#, false),
            (r#"{"mode": "on", "until": "2026-01-01T00:00:00Z"}"#, true),
            (
                r#"{"mode": "on", "until": "2026-01-01T00:00:00Z", "retry_after": "1h"}"#,
                false,
            ),
            (
                r#"{"mode": "window", "until": "2026-01-01T00:00:00Z", "retry_after": "1h"}"#,
                true,
            ),
        ] {
            assert_eq!(resolve(json).unwrap().needs_clock(), needed, "{json}");
        }
    }

    #[test]
    fn a_secret_is_all_of_its_bytes() {
        let secret = Secret {
            name: "x".into(),
            value: b"open".to_vec(),
        };
        assert!(secret.is(b"open"));
        for wrong in [b"".as_slice(), b"ope", b"openx", b"Open"] {
            assert!(!secret.is(wrong));
        }
    }
}
