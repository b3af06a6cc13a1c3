//! Limits, which of them apply to a request, and the keys under which it is counted.

use std::net::IpAddr;
use std::ops::Range;

use weir_plugin_common::{Network, Scope, ScopeFacts};
use weir_sdk::counters::Outcome;

/// All limits, and what a client is told about them.
#[derive(Debug)]
pub struct Limits {
    /// In the order of the configuration.
    pub limits: Vec<Limit>,
    /// Which responses carry the fields.
    pub advertise: Advertise,
    /// Whether they name the partition.
    pub partition_key: PartitionKey,
    /// The status of a refusal.
    pub status: u16,
}

/// One limit.
#[derive(Debug)]
pub struct Limit {
    /// Unique.
    pub name: String,
    /// The host's space of counters.
    pub space: u32,
    /// Nanoseconds that one request costs.
    pub interval: u64,
    /// How many requests may come at once.
    pub burst: u32,
    /// How many requests one counts for.
    pub cost: u32,
    /// Whom to count.
    pub key: Vec<Part>,
    /// What happens to a request that lacks a part.
    pub missing: Missing,
    /// Which requests are counted.
    pub scope: Scope,
    /// Whether the limit refuses.
    pub mode: Mode,
    /// Its item of `RateLimit-Policy`.
    pub policy: String,
}

/// A part of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The client's network.
    ClientIp {
        /// 0 to 32.
        ipv4_prefix: u8,
        /// 0 to 128.
        ipv6_prefix: u8,
    },
    /// The first value of a header.
    Header(String),
    /// The value of a cookie.
    Cookie(String),
    /// The path in normal form, so that another spelling is not another key.
    Path,
    /// The host.
    Host,
    /// The method.
    Method,
}

/// What happens to a request that lacks a part of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The limit does not apply.
    Skip,
    /// All such requests are counted together.
    Share,
}

/// Whether a limit refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Yes.
    Enforce,
    /// No: it counts, and what it would refuse is noted.
    DryRun,
}

/// Which responses carry `RateLimit` and `RateLimit-Policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advertise {
    /// Those that refuse.
    Refused,
    /// All.
    Always,
    /// None.
    Never,
}

/// The `pk` parameter of the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionKey {
    /// There is none.
    Hidden,
    /// A hash of the key, so that a client can tell partitions apart.
    Hashed,
}

/// What is known about a request, each part only when it is asked for.
pub trait KeyFacts: ScopeFacts {
    /// The client's address.
    fn client_ip(&mut self) -> IpAddr;
    /// The first value of a header.
    fn header(&mut self, name: &str) -> Option<Vec<u8>>;
    /// The value of a cookie.
    fn cookie(&mut self, name: &str) -> Option<Vec<u8>>;
}

/// The limits that apply to one request, with its keys. All keys stand in one buffer, to allocate once.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Applying {
    /// In the order of the configuration.
    pub hits: Vec<Hit>,
    keys: Vec<u8>,
}

/// A limit that applies.
#[derive(Debug, PartialEq, Eq)]
pub struct Hit {
    limit: usize,
    key: Range<usize>,
}

impl Limits {
    /// The limits of this mode that apply to a request.
    pub fn applying(&self, mode: Mode, facts: &mut impl KeyFacts) -> Applying {
        // Room for a key or two, so that writing them does not allocate again and again.
        let mut applying = Applying {
            hits: Vec::new(),
            keys: Vec::with_capacity(96),
        };
        for (index, limit) in self.limits.iter().enumerate() {
            let start = applying.keys.len();
            if limit.mode == mode && limit.scope.matches(facts) {
                match limit.write_key(facts, &mut applying.keys) {
                    Counted::Yes => applying.hits.push(Hit {
                        limit: index,
                        key: start..applying.keys.len(),
                    }),
                    Counted::No => applying.keys.truncate(start),
                }
            }
        }
        applying
    }

    /// Each limit that applies, with its key.
    pub fn of<'a>(&'a self, applying: &'a Applying) -> impl Iterator<Item = (&'a Limit, &'a [u8])> {
        applying
            .hits
            .iter()
            .filter_map(|hit| Some((self.limits.get(hit.limit)?, applying.keys.get(hit.key.clone())?)))
    }

    /// The names of the limits that refuse.
    pub fn violated<'a>(&'a self, applying: &'a Applying, outcomes: &'a [Outcome]) -> impl Iterator<Item = &'a str> {
        let refused = self.of(applying).zip(outcomes).filter(|(_, outcome)| !outcome.allowed);
        refused.map(|((limit, _), _)| limit.name.as_str())
    }

    /// Whether any limit only notes.
    #[must_use]
    pub fn has_dry_runs(&self) -> bool {
        self.limits.iter().any(|limit| limit.mode == Mode::DryRun)
    }
}

/// Whether a limit counts a request.
enum Counted {
    Yes,
    No,
}

impl Limit {
    /// Writes the limit's name and each part behind its length, so that no two requests that differ share a key, also where
    /// limits share a space.
    fn write_key(&self, facts: &mut impl KeyFacts, key: &mut Vec<u8>) -> Counted {
        write_part(key, self.name.as_bytes());
        for part in &self.key {
            let written = match part {
                Part::ClientIp {
                    ipv4_prefix,
                    ipv6_prefix,
                } => {
                    let address = facts.client_ip().to_canonical();
                    let prefix = if address.is_ipv4() { *ipv4_prefix } else { *ipv6_prefix };
                    match Network::of(address, prefix).first() {
                        IpAddr::V4(first) => write_part(key, &first.octets()),
                        IpAddr::V6(first) => write_part(key, &first.octets()),
                    }
                }
                Part::Header(name) => write_if_present(key, facts.header(name)),
                Part::Cookie(name) => write_if_present(key, facts.cookie(name)),
                Part::Path => write_part(key, facts.path()),
                Part::Host => write_part(key, facts.host().as_bytes()),
                Part::Method => write_part(key, facts.method().as_bytes()),
            };
            match (written, self.missing) {
                (Written::Yes, _) => {}
                (Written::Absent, Missing::Skip) => return Counted::No,
                (Written::Absent, Missing::Share) => key.extend_from_slice(&ABSENT),
            }
        }
        Counted::Yes
    }
}

/// Whether a request has a part.
enum Written {
    Yes,
    Absent,
}

/// A length that no part has, so that an absent part is not an empty one.
const ABSENT: [u8; 4] = u32::MAX.to_le_bytes();

fn write_part(key: &mut Vec<u8>, part: &[u8]) -> Written {
    key.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX - 1).to_le_bytes());
    key.extend_from_slice(part);
    Written::Yes
}

fn write_if_present(key: &mut Vec<u8>, part: Option<Vec<u8>>) -> Written {
    part.map_or(Written::Absent, |part| write_part(key, &part))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;
    use crate::config::Config;

    #[derive(Clone)]
    struct Request {
        client: IpAddr,
        path: Vec<u8>,
        header: Option<Vec<u8>>,
        cookie: Option<Vec<u8>>,
    }

    impl Request {
        fn from(client: &str) -> Self {
            Self {
                client: client.parse().unwrap(),
                path: b"/".to_vec(),
                header: None,
                cookie: None,
            }
        }
    }

    impl ScopeFacts for Request {
        fn host(&mut self) -> &str {
            "example.org"
        }
        fn path(&mut self) -> &[u8] {
            &self.path
        }
        fn method(&mut self) -> &str {
            "GET"
        }
    }

    impl KeyFacts for Request {
        fn client_ip(&mut self) -> IpAddr {
            self.client
        }
        fn header(&mut self, _: &str) -> Option<Vec<u8>> {
            self.header.clone()
        }
        fn cookie(&mut self, _: &str) -> Option<Vec<u8>> {
            self.cookie.clone()
        }
    }

    fn limits(json: &str) -> Limits {
        serde_json::from_str::<Config>(json)
            .unwrap()
            .resolve(|_| Ok(0))
            .unwrap()
    }

    fn one(key: &str) -> Limits {
        limits(&format!(
            r#"{{"limits": [{{"name": "n", "quota": 5, "period": "1s", {key}}}]}}"#
        ))
    }

    fn key(limits: &Limits, mut request: Request) -> Option<Vec<u8>> {
        let applying = limits.applying(Mode::Enforce, &mut request);
        limits.of(&applying).next().map(|(_, key)| key.to_vec())
    }

    #[test]
    fn clients_of_one_network_share_a_key() {
        let limits = one(r#""key": ["ip"], "ipv4_prefix": 24, "ipv6_prefix": 56"#);
        let of = |client: &str| key(&limits, Request::from(client)).unwrap();
        assert_eq!(of("192.0.2.1"), of("192.0.2.200"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:ff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:100::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }

    #[test]
    fn a_missing_part_skips_the_limit_or_counts_as_one() {
        let absent = Request::from("192.0.2.1");
        let empty = Request {
            header: Some(Vec::new()),
            ..absent.clone()
        };
        assert_eq!(key(&one(r#""key": ["header:x-key"]"#), absent.clone()), None);
        let shared = one(r#""key": ["header:x-key"], "missing": "share""#);
        let other = Request {
            client: "192.0.2.2".parse().unwrap(),
            ..absent.clone()
        };
        assert_eq!(key(&shared, absent.clone()).unwrap(), key(&shared, other).unwrap());
        assert_ne!(key(&shared, absent).unwrap(), key(&shared, empty).unwrap());
    }

    #[test]
    fn a_skipped_limit_leaves_nothing_in_the_keys_of_the_next() {
        let limits = limits(
            r#"{"limits": [
                {"name": "a", "quota": 1, "period": "1s", "key": ["ip", "cookie:s"]},
                {"name": "b", "quota": 1, "period": "1s", "key": ["method"]}
            ]}"#,
        );
        assert_eq!(
            key(&limits, Request::from("192.0.2.1")).unwrap(),
            b"\x01\0\0\0b\x03\0\0\0GET"
        );
    }

    #[test]
    fn a_limit_applies_only_in_its_scope_and_mode() {
        let limits = limits(
            r#"{"limits": [
                {"name": "api", "quota": 1, "period": "1s", "paths": ["/api"]},
                {"name": "tried", "quota": 1, "period": "1s", "dry_run": true},
                {"name": "all", "quota": 1, "period": "1s"}
            ]}"#,
        );
        let names = |mode, path: &[u8]| {
            let mut request = Request {
                path: path.to_vec(),
                ..Request::from("192.0.2.1")
            };
            let applying = limits.applying(mode, &mut request);
            limits
                .of(&applying)
                .map(|(limit, _)| limit.name.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(Mode::Enforce, b"/api/x"), ["api", "all"]);
        assert_eq!(names(Mode::Enforce, b"/"), ["all"]);
        assert_eq!(names(Mode::DryRun, b"/"), ["tried"]);
        assert!(limits.has_dry_runs());
    }

    proptest! {
        #[test]
        fn different_parts_make_different_keys(a in prop::collection::vec(any::<u8>(), 0..6), b in prop::collection::vec(any::<u8>(), 0..6),
                                               c in prop::collection::vec(any::<u8>(), 0..6), d in prop::collection::vec(any::<u8>(), 0..6)) {
            let limits = one(r#""key": ["header:a", "cookie:b"]"#);
            let of = |header: &[u8], cookie: &[u8]| {
                key(&limits, Request { header: Some(header.to_vec()), cookie: Some(cookie.to_vec()), ..Request::from("192.0.2.1") })
            };
            prop_assert_eq!(of(&a, &b) == of(&c, &d), (a, b) == (c, d));
        }
    }
}
