//! The configuration as an operator writes it, and how it becomes [`Limits`].

use std::time::Duration;

use serde::Deserialize;
use weir_plugin_common::{Problems, Scope, parse_duration};

use crate::fields;
use crate::limit::{Advertise, Limit, Limits, Missing, Mode, Part, PartitionKey};

/// What stands in `[plugin.config]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A request is refused when any of them is used up, and charged by all or none.
    #[serde(default)]
    limits: Vec<LimitConfig>,
    /// Which responses carry `RateLimit` and `RateLimit-Policy`.
    #[serde(default)]
    headers: HeadersConfig,
    /// Whether these fields name the partition that was counted.
    #[serde(default)]
    partition_key: PartitionKeyConfig,
    /// The status of a refusal, 400 to 599. Default 429.
    status: Option<u16>,
    /// Only note what would be refused.
    #[serde(default)]
    dry_run: bool,
}

/// `headers`.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum HeadersConfig {
    #[default]
    Refused,
    Always,
    Never,
}

/// `partition_key`.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PartitionKeyConfig {
    #[default]
    Hidden,
    Hashed,
}

/// `missing` of a limit.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum MissingConfig {
    #[default]
    Skip,
    Share,
}

/// One limit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitConfig {
    /// Names the limit in the fields, the problem document, the access log and in its keys; unique.
    name: String,
    /// The `[[plugin.counters]]` that it is counted in. Default: the limit's name.
    counters: Option<String>,
    /// How many requests a period allows.
    quota: u32,
    /// Whole seconds: `1s`, `10m`, `1h`.
    period: String,
    /// How many may come at once. Default: the quota.
    burst: Option<u32>,
    /// Whom to count: `ip`, `header:NAME`, `cookie:NAME`, `path`, `host`, `method`. Default: `["ip"]`.
    key: Option<Vec<String>>,
    /// Bits of an IPv4 address that count as one client. Default 32.
    ipv4_prefix: Option<u8>,
    /// Bits of an IPv6 address that count as one client. Default 64, what one customer has at least.
    ipv6_prefix: Option<u8>,
    #[serde(default)]
    missing: MissingConfig,
    /// How many requests one counts for. Default 1.
    cost: Option<u32>,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    methods: Vec<String>,
    #[serde(default)]
    dry_run: bool,
}

impl Config {
    /// Checks everything and prepares it. `space` opens a space of counters by its name.
    ///
    /// # Errors
    /// Every problem, one a line.
    pub fn resolve(self, mut space: impl FnMut(&str) -> Result<u32, String>) -> Result<Limits, String> {
        let mut problems = Problems::new();
        let status = self.status.unwrap_or(429);
        if !(400..=599).contains(&status) {
            problems.add(
                "status",
                format_args!("{status} is not the status of a refusal: write one from 400 to 599, for example 429"),
            );
        }
        let mut limits = Vec::with_capacity(self.limits.len());
        for (index, limit) in self.limits.iter().enumerate() {
            if self.limits.iter().take(index).any(|other| other.name == limit.name) {
                problems.add(
                    format_args!("limits[{index}].name"),
                    format_args!("\"{}\" is the name of another limit", limit.name),
                );
            }
            limits.push(limit.resolve(&format!("limits[{index}]."), self.dry_run, &mut space, &mut problems));
        }
        problems.finish(Limits {
            limits,
            advertise: match self.headers {
                HeadersConfig::Refused => Advertise::Refused,
                HeadersConfig::Always => Advertise::Always,
                HeadersConfig::Never => Advertise::Never,
            },
            partition_key: match self.partition_key {
                PartitionKeyConfig::Hidden => PartitionKey::Hidden,
                PartitionKeyConfig::Hashed => PartitionKey::Hashed,
            },
            status,
        })
    }
}

impl LimitConfig {
    fn resolve(
        &self,
        key: &str,
        dry_run: bool,
        space: &mut impl FnMut(&str) -> Result<u32, String>,
        problems: &mut Problems,
    ) -> Limit {
        let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if self.name.is_empty() || !self.name.bytes().all(is_name_byte) {
            problems.add(
                format_args!("{key}name"),
                format_args!("\"{}\" is not a name: use letters, digits, -, _ and .", self.name),
            );
        }
        let space = match &self.counters {
            Some(name) => problems.take(format_args!("{key}counters"), space(name)),
            None => problems.take(format_args!("{key}name"), space(&self.name)),
        };
        let quota = positive(&format!("{key}quota"), self.quota, problems);
        let burst = positive(&format!("{key}burst"), self.burst.unwrap_or(quota), problems);
        let cost = positive(&format!("{key}cost"), self.cost.unwrap_or(1), problems);
        if cost > burst {
            problems.add(
                format_args!("{key}cost"),
                format_args!("{cost} is more than the burst of {burst}, so that no request would ever be allowed"),
            );
        }
        let period = problems
            .take(format_args!("{key}period"), parse_period(&self.period))
            .unwrap_or(Duration::from_secs(1));
        let ipv4_prefix = prefix(
            &format!("{key}ipv4_prefix"),
            self.ipv4_prefix.unwrap_or(32),
            32,
            problems,
        );
        let ipv6_prefix = prefix(
            &format!("{key}ipv6_prefix"),
            self.ipv6_prefix.unwrap_or(64),
            128,
            problems,
        );
        let by_ip = ["ip".to_owned()];
        let parts = self.key.as_deref().unwrap_or(&by_ip);
        Limit {
            name: self.name.clone(),
            space: space.unwrap_or(0),
            // Rounded up, so that the quota is never exceeded by a fraction.
            interval: u64::try_from(period.as_nanos().div_ceil(quota.into())).unwrap_or(u64::MAX),
            burst,
            cost,
            key: problems.take_all(&format!("{key}key"), parts, |text| {
                parse_part(text, ipv4_prefix, ipv6_prefix)
            }),
            missing: match self.missing {
                MissingConfig::Skip => Missing::Skip,
                MissingConfig::Share => Missing::Share,
            },
            scope: Scope::new(key, &self.hosts, &self.paths, &self.methods, problems),
            mode: if dry_run || self.dry_run {
                Mode::DryRun
            } else {
                Mode::Enforce
            },
            policy: fields::policy_item(&self.name, quota, period, burst),
        }
    }
}

fn positive(key: &str, number: u32, problems: &mut Problems) -> u32 {
    if number == 0 {
        problems.add(key, "0 allows nothing: write 1 or more");
    }
    number.max(1)
}

fn prefix(key: &str, bits: u8, width: u8, problems: &mut Problems) -> u8 {
    if bits > width {
        problems.add(
            key,
            format_args!("{bits} is more than an address has: write 0 to {width}"),
        );
    }
    bits
}

/// The draft's windows are whole seconds, so a period is, too.
fn parse_period(text: &str) -> Result<Duration, String> {
    let period = parse_duration(text)?;
    if period.as_secs() == 0 || period.subsec_nanos() != 0 || period > Duration::from_secs(366 * 86_400) {
        return Err(format!(
            "\"{text}\" is not a period: write whole seconds, from 1s to 366d"
        ));
    }
    Ok(period)
}

fn parse_part(text: &str, ipv4_prefix: u8, ipv6_prefix: u8) -> Result<Part, String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match text.split_once(':') {
        None if text == "ip" => Ok(Part::ClientIp {
            ipv4_prefix,
            ipv6_prefix,
        }),
        None if text == "path" => Ok(Part::Path),
        None if text == "host" => Ok(Part::Host),
        None if text == "method" => Ok(Part::Method),
        Some(("header", name)) if !name.is_empty() && name.bytes().all(is_token) => {
            Ok(Part::Header(name.to_ascii_lowercase()))
        }
        Some(("cookie", name)) if !name.is_empty() && name.bytes().all(is_token) => Ok(Part::Cookie(name.to_owned())),
        _ => Err(format!(
            "\"{text}\" is not a part of a key: write ip, header:NAME, cookie:NAME, path, host or method"
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn resolve(json: &str) -> Result<Limits, String> {
        let config: Config = serde_json::from_str(json).map_err(|error| error.to_string())?;
        config.resolve(|name| {
            if name == "none" {
                Err("counters \"none\" are not declared".to_owned())
            } else {
                Ok(3)
            }
        })
    }

    #[test]
    fn defaults_are_the_ones_of_the_readme() {
        let limits = resolve(r#"{"limits": [{"name": "per-ip", "quota": 7, "period": "1m"}]}"#).unwrap();
        let limit = limits.limits.first().unwrap();
        assert_eq!(
            (limit.space, limit.interval, limit.burst, limit.cost),
            (3, 8_571_428_572, 7, 1)
        );
        assert_eq!(
            limit.key,
            [Part::ClientIp {
                ipv4_prefix: 32,
                ipv6_prefix: 64
            }]
        );
        assert_eq!(limit.policy, "\"per-ip\";q=7;w=60");
        assert_eq!(
            (limits.status, limits.advertise, limit.mode),
            (429, Advertise::Refused, Mode::Enforce)
        );
    }

    #[test]
    fn every_problem_is_reported_together() {
        let problems = resolve(
            r#"{"status": 200, "limits": [
                {"name": "a b", "counters": "none", "quota": 0, "period": "100ms", "burst": 0, "cost": 0, "key": ["user", "header:"]},
                {"name": "x", "quota": 5, "period": "soon", "cost": 6, "ipv4_prefix": 33, "ipv6_prefix": 129, "paths": ["x"]},
                {"name": "x", "quota": 5, "period": "1500ms"}
            ]}"#,
        )
        .unwrap_err();
        for expected in [
            "status: 200 is not",
            "limits[0].name: \"a b\" is not a name",
            "limits[0].counters: counters \"none\" are not declared",
            "limits[0].quota: 0 allows nothing",
            "limits[0].burst: 0 allows nothing",
            "limits[0].cost: 0 allows nothing",
            "limits[0].period: \"100ms\" is not a period",
            "limits[0].key[0]: \"user\" is not a part of a key",
            "limits[0].key[1]: \"header:\" is not a part of a key",
            "limits[1].period: \"soon\" is not a duration",
            "limits[1].cost: 6 is more than the burst of 5",
            "limits[1].ipv4_prefix: 33 is more",
            "limits[1].ipv6_prefix: 129 is more",
            "limits[1].paths[0]: \"x\" is not a path pattern",
            "limits[2].name: \"x\" is the name of another limit",
            "limits[2].period: \"1500ms\" is not a period",
        ] {
            assert!(problems.contains(expected), "{expected}\n{problems}");
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(
            resolve(r#"{"limit": []}"#)
                .unwrap_err()
                .contains("unknown field `limit`")
        );
        assert!(
            resolve(r#"{"headers": "sometimes"}"#)
                .unwrap_err()
                .contains("unknown variant `sometimes`")
        );
    }
}
