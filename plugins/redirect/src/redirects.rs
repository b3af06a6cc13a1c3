//! The decision about one request: the rules in their order, then the tables.

use weir_plugin_common::HostPattern;

use crate::check::Place;
use crate::query::{self, QueryMode};
use crate::rules::{Answer as RuleAnswer, Origins, Rules};
use crate::table::{self, Entry};
use crate::target::{Origin, Scheme, Target};

/// Everything that redirects. `T` is the handle of a host table.
#[derive(Debug)]
pub struct Redirects<T> {
    /// Asked first.
    pub rules: Rules,
    /// Asked when no rule fits.
    pub tables: Vec<TableRule<T>>,
    /// The name of the header that names what fired, in lower case.
    pub rule_header: Option<String>,
    /// Hosts that are served here, for following redirects from one host to another.
    pub own_hosts: Vec<HostPattern>,
}

/// A host table and what holds for all of its entries.
#[derive(Debug)]
pub struct TableRule<T> {
    /// `table:NAME`.
    pub id: String,
    /// The host's handle.
    pub table: T,
    /// What its keys are.
    pub key: TableKey,
    /// The status of an entry that has none.
    pub status: u16,
    /// What becomes of the request's query.
    pub query: QueryMode,
}

/// What the keys of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKey {
    /// The path, as received.
    Path,
    /// The host in lower case, and behind it the path.
    HostAndPath,
}

/// What is known about a request besides its path, each part only when it is asked for.
pub trait Facts<T>: Origins {
    /// Without the `?`.
    fn query(&mut self) -> Option<Vec<u8>>;
    /// The value of a key in a host table.
    fn lookup(&mut self, table: &T, key: &[u8]) -> Option<Vec<u8>>;
}

/// What is to happen.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// Nothing has moved.
    Pass,
    /// It has moved, or is gone.
    Answer(Answer<'a>),
    /// The redirect would lead back here, so it is not made.
    Loop {
        /// What would have fired.
        rule: &'a str,
    },
    /// The value of a table's entry makes no sense.
    BadEntry {
        /// The table.
        rule: &'a str,
        /// What is wrong.
        problem: String,
    },
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// What fired: a rule's id, or `table:NAME`.
    pub rule: &'a str,
    /// 301, 302, 303, 307, 308, or 410 without a location.
    pub status: u16,
    /// The value of `Location`.
    pub location: Option<Vec<u8>>,
}

impl<T> Redirects<T> {
    /// Whether nothing can fire.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.tables.is_empty()
    }

    /// Asks the rules, then the tables. A request that nothing fits costs a lookup a table, and nothing is allocated but the
    /// key where it has the host in it.
    pub fn decide(&self, path: &[u8], facts: &mut impl Facts<T>) -> Decision<'_> {
        if let Some(fired) = self.rules.find(path, facts) {
            let rule = fired.rule.id.as_str();
            return match &fired.rule.answer {
                RuleAnswer::Gone => Decision::Answer(Answer {
                    rule,
                    status: 410,
                    location: None,
                }),
                RuleAnswer::Redirect { status, target } => {
                    let url = target.expand(path, |group| fired.group(group));
                    lead(rule, *status, target.origin(), fired.rule.query, url, path, facts)
                }
            };
        }
        for table in &self.tables {
            if let Some(value) = table.lookup(path, facts) {
                return match table::parse_entry(&value) {
                    Err(problem) => Decision::BadEntry {
                        rule: &table.id,
                        problem,
                    },
                    Ok(_) if self.is_endless(path, facts) => Decision::Loop { rule: &table.id },
                    Ok(entry) => table.answer(&entry, path, facts),
                };
            }
        }
        Decision::Pass
    }

    /// Follows an entry that fires, because nobody could when the bundle was deployed: the host does not list its tables. Most
    /// targets are no key, which one lookup tells.
    fn is_endless(&self, path: &[u8], facts: &mut impl Facts<T>) -> bool {
        let start = Place::of(self, path, facts);
        self.endless(start, &mut |table, key| facts.lookup(table, key))
            .is_some()
    }
}

impl<T> TableRule<T> {
    fn lookup(&self, path: &[u8], facts: &mut impl Facts<T>) -> Option<Vec<u8>> {
        match self.key {
            TableKey::Path => facts.lookup(&self.table, path),
            TableKey::HostAndPath => {
                let key = [facts.host()?.as_bytes(), path].concat();
                facts.lookup(&self.table, &key)
            }
        }
    }

    fn answer(&self, entry: &Entry, path: &[u8], facts: &mut impl Facts<T>) -> Decision<'_> {
        match &entry.target {
            None => Decision::Answer(Answer {
                rule: &self.id,
                status: 410,
                location: None,
            }),
            Some(target) => {
                let url = target.expand(path, |_| None);
                lead(
                    &self.id,
                    entry.status.unwrap_or(self.status),
                    target.origin(),
                    self.query,
                    url,
                    path,
                    facts,
                )
            }
        }
    }
}

/// Adds the query, and answers, unless the client would come straight back.
fn lead<'a, T>(
    rule: &'a str,
    status: u16,
    origin: &Origin,
    mode: QueryMode,
    mut url: Vec<u8>,
    path: &[u8],
    facts: &mut impl Facts<T>,
) -> Decision<'a> {
    let query = facts.query();
    query::add(mode, query.as_deref(), &mut url);
    if is_origin(origin, facts) && Target::path_and_query(&url) == (path, query.as_deref().unwrap_or_default()) {
        return Decision::Loop { rule };
    }
    Decision::Answer(Answer {
        rule,
        status,
        location: Some(url),
    })
}

/// Whether a target's origin is the request's. A port that is not the scheme's own makes it another one: which port the client
/// used is not known here.
fn is_origin<T>(origin: &Origin, facts: &mut impl Facts<T>) -> bool {
    match origin {
        Origin::Same => true,
        Origin::Named { scheme, authority } => {
            let default_port = match scheme {
                Scheme::Http => ":80",
                Scheme::Https => ":443",
            };
            Some(*scheme) == facts.scheme()
                && Some(authority.strip_suffix(default_port).unwrap_or(authority)) == facts.host()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::HashMap;

    use super::*;
    use crate::config::Config;

    struct Request {
        scheme: Scheme,
        host: &'static str,
        query: Option<&'static str>,
        table: HashMap<&'static str, &'static str>,
        asked: usize,
    }

    impl Default for Request {
        fn default() -> Self {
            Self {
                scheme: Scheme::Https,
                host: "example.org",
                query: None,
                table: HashMap::new(),
                asked: 0,
            }
        }
    }

    impl Origins for Request {
        fn host(&mut self) -> Option<&str> {
            self.asked += 1;
            Some(self.host)
        }
        fn scheme(&mut self) -> Option<Scheme> {
            self.asked += 1;
            Some(self.scheme)
        }
    }

    impl Facts<()> for Request {
        fn query(&mut self) -> Option<Vec<u8>> {
            self.asked += 1;
            self.query.map(|query| query.as_bytes().to_vec())
        }
        fn lookup(&mut self, (): &(), key: &[u8]) -> Option<Vec<u8>> {
            self.asked += 1;
            self.table
                .get(std::str::from_utf8(key).unwrap())
                .map(|value| value.as_bytes().to_vec())
        }
    }

    fn redirects(json: &str) -> Redirects<()> {
        serde_json::from_str::<Config>(json)
            .unwrap()
            .resolve(|_| Ok(()), |(), _| None)
            .unwrap()
    }

    /// What fired, the status, and the location.
    fn decided(redirects: &Redirects<()>, path: &str, mut request: Request) -> Option<(String, u16, String)> {
        match redirects.decide(path.as_bytes(), &mut request) {
            Decision::Pass => None,
            Decision::Answer(answer) => {
                let location = answer
                    .location
                    .map(|url| String::from_utf8(url).unwrap())
                    .unwrap_or_default();
                Some((answer.rule.to_owned(), answer.status, location))
            }
            other => panic!("{other:?}"),
        }
    }

    fn fired(rule: &str, status: u16, location: &str) -> Option<(String, u16, String)> {
        Some((rule.to_owned(), status, location.to_owned()))
    }

    #[test]
    fn the_first_rule_in_the_order_written_fires() {
        let redirects = redirects(
            r#"{"rules": [
                {"id": "year", "pattern": "^/blog/(?<year>[0-9]{4})/(.*)$", "to": "/archive/$2?year=${year}", "status": 308},
                {"id": "one", "from": "/blog/2020/one", "to": "/never"},
                {"id": "two", "from": "/old", "to": "/two"},
                {"id": "any", "pattern": "^/ol", "to": "/never"},
                {"id": "gone", "from": "/gone", "status": 410}
            ]}"#,
        );
        assert_eq!(
            decided(&redirects, "/blog/2020/one", Request::default()),
            fired("year", 308, "/archive/one?year=2020")
        );
        assert_eq!(
            decided(&redirects, "/old", Request::default()),
            fired("two", 301, "/two")
        );
        assert_eq!(decided(&redirects, "/gone", Request::default()), fired("gone", 410, ""));
        assert_eq!(decided(&redirects, "/blog/20/one", Request::default()), None);
    }

    #[test]
    fn rules_may_hold_for_some_hosts_and_one_scheme() {
        let redirects = redirects(
            r#"{"rules": [
                {"id": "tls", "pattern": "^/(.*)", "to": "https://www.example.org/$1", "scheme": "http", "hosts": ["*.example.org", "example.org"]},
                {"id": "apex", "pattern": "^/(.*)", "to": "https://www.example.org/$1", "hosts": ["example.org"]}
            ]}"#,
        );
        let from = |scheme, host| Request {
            scheme,
            host,
            query: Some("a=b"),
            ..Request::default()
        };
        let to = "https://www.example.org/x?a=b";
        assert_eq!(
            decided(&redirects, "/x", from(Scheme::Http, "www.example.org")),
            fired("tls", 301, to)
        );
        assert_eq!(
            decided(&redirects, "/x", from(Scheme::Https, "example.org")),
            fired("apex", 301, to)
        );
        assert_eq!(decided(&redirects, "/x", from(Scheme::Https, "www.example.org")), None);
        assert_eq!(decided(&redirects, "/x", from(Scheme::Http, "other.example")), None);
    }

    #[test]
    fn tables_are_asked_after_the_rules() {
        let redirects = redirects(
            r#"{"status": 302, "rules": [{"id": "r", "from": "/a", "to": "/rule"}],
                "tables": [{"name": "moved"}, {"name": "by-host", "key": "host-path", "status": 307, "query": "drop"}]}"#,
        );
        let request = || Request {
            query: Some("q"),
            table: [
                ("/a", "/table"),
                ("/b", "/table"),
                ("/c", "308 https://example.com/c"),
                ("/d", "410"),
                ("example.org/e", "/by-host"),
            ]
            .into(),
            ..Request::default()
        };
        assert_eq!(decided(&redirects, "/a", request()), fired("r", 302, "/rule?q"));
        assert_eq!(
            decided(&redirects, "/b", request()),
            fired("table:moved", 302, "/table?q")
        );
        assert_eq!(
            decided(&redirects, "/c", request()),
            fired("table:moved", 308, "https://example.com/c?q")
        );
        assert_eq!(decided(&redirects, "/d", request()), fired("table:moved", 410, ""));
        assert_eq!(
            decided(&redirects, "/e", request()),
            fired("table:by-host", 307, "/by-host")
        );
        assert_eq!(decided(&redirects, "/f", request()), None);
    }

    #[test]
    fn a_rule_that_leads_to_the_request_itself_is_not_made() {
        // Not found at deploy: nothing says that the host is served here.
        let redirects =
            redirects(r#"{"rules": [{"id": "r", "pattern": "^/(.*)$", "to": "https://www.example.org/$1"}]}"#);
        let www = Request {
            host: "www.example.org",
            query: Some("x"),
            ..Request::default()
        };
        assert_eq!(redirects.decide(b"/a", &mut { www }), Decision::Loop { rule: "r" });
        let location = "https://www.example.org/a?x";
        let apex = Request {
            query: Some("x"),
            ..Request::default()
        };
        assert_eq!(decided(&redirects, "/a", apex), fired("r", 301, location));
    }

    #[test]
    fn an_entry_that_leads_back_is_not_followed() {
        let redirects = redirects(
            r#"{"rules": [{"id": "r", "from": "/rule", "to": "/from-rule"}], "tables": [{"name": "moved"}]}"#,
        );
        let request = || Request {
            table: [
                ("/a", "/b"),
                ("/b", "https://example.org/c"),
                ("/c", "/rule"),
                ("/from-rule", "/a"),
                ("/in", "/a"),
                ("/out", "/x"),
            ]
            .into(),
            ..Request::default()
        };
        for path in ["/a", "/b", "/c", "/from-rule", "/in"] {
            assert_eq!(
                redirects.decide(path.as_bytes(), &mut request()),
                Decision::Loop { rule: "table:moved" },
                "{path}"
            );
        }
        assert_eq!(decided(&redirects, "/out", request()), fired("table:moved", 301, "/x"));
    }

    #[test]
    fn an_entry_that_leads_to_itself_is_not_followed() {
        let redirects = redirects(r#"{"tables": [{"name": "moved"}]}"#);
        for (value, is_loop) in [
            ("/a", true),
            ("/a#top", true),
            ("/a?x", true),
            ("https://example.org/a", true),
            ("https://example.org:443/a", true),
            ("https://example.org/b", false),
            ("https://other.example/a", false),
        ] {
            let mut request = Request {
                table: [("/a", value)].into(),
                ..Request::default()
            };
            let decision = redirects.decide(b"/a", &mut request);
            assert_eq!(
                matches!(decision, Decision::Loop { rule: "table:moved" }),
                is_loop,
                "{value} {decision:?}"
            );
        }
    }

    #[test]
    fn an_entry_that_makes_no_sense_is_reported_and_passed_over() {
        let redirects = redirects(r#"{"tables": [{"name": "moved"}]}"#);
        let mut request = Request {
            table: [("/a", "//evil.example")].into(),
            ..Request::default()
        };
        let Decision::BadEntry { rule, problem } = redirects.decide(b"/a", &mut request) else {
            panic!("not reported")
        };
        assert_eq!(rule, "table:moved");
        assert!(problem.contains("is not a target"), "{problem}");
    }

    #[test]
    fn a_request_that_nothing_fits_costs_one_lookup_a_table() {
        let redirects = redirects(
            r#"{"rules": [{"id": "a", "from": "/a", "to": "/b", "hosts": ["example.org"]}, {"id": "p", "pattern": "^/old/", "to": "/new/"}],
                "tables": [{"name": "moved"}]}"#,
        );
        let mut request = Request::default();
        assert_eq!(redirects.decide(b"/x", &mut request), Decision::Pass);
        assert_eq!(request.asked, 1);
    }
}
