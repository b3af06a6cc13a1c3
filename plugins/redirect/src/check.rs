//! That redirects come to rest, and that the entries of tables make sense: the rules are followed when a bundle is deployed, an
//! entry of a table, which the host holds, when it fires.
//!
//! A place is a scheme, a host and a path; queries are left out, because nothing here matches on one. A redirect to another
//! host is followed only where that host is served here: it is in `own_hosts`, or a rule names it.

use std::collections::BTreeSet;
use std::fmt;

use weir_plugin_common::{HostPattern, Problems};

use crate::loops::{self, Chain};
use crate::redirects::{Redirects, TableKey, TableRule};
use crate::rules::{Answer, Matcher, Origins, Rule};
use crate::sample;
use crate::table;
use crate::target::{Origin, Scheme, Target};

/// Where a client is while its redirects are followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    scheme: Option<Scheme>,
    host: Option<String>,
    path: Vec<u8>,
}

impl Place {
    /// Where the client is that sends a request.
    pub fn of<T>(redirects: &Redirects<T>, path: &[u8], from: &mut impl Origins) -> Self {
        Self {
            scheme: if redirects.rules.look_at_scheme() {
                from.scheme()
            } else {
                None
            },
            host: from.host().map(str::to_owned),
            path: path.to_vec(),
        }
    }
}

impl Origins for Place {
    fn host(&mut self) -> Option<&str> {
        self.host.as_deref()
    }

    fn scheme(&mut self) -> Option<Scheme> {
        self.scheme
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.scheme, &self.host) {
            (Some(Scheme::Http), Some(_)) => f.write_str("http://")?,
            (Some(Scheme::Https), Some(_)) => f.write_str("https://")?,
            _ => {}
        }
        write!(
            f,
            "{}{}",
            self.host.as_deref().unwrap_or_default(),
            String::from_utf8_lossy(&self.path)
        )
    }
}

/// A rule is followed from this many hosts at most.
const MOST_HOSTS: usize = 16;
/// After this many problems the rest is not looked for.
const MOST_PROBLEMS: usize = 20;

impl<T> Redirects<T> {
    /// Follows every rule of the configuration, through rules and tables, and notes those that do not come to rest. `lookup` is
    /// the host's.
    pub fn check_rules(&self, lookup: &mut impl FnMut(&T, &[u8]) -> Option<Vec<u8>>, problems: &mut Problems) {
        let mut known: Vec<BTreeSet<String>> = Vec::new();
        for (index, rule) in self.rules.all().iter().enumerate() {
            let Some(chain) = self
                .starts(rule)
                .into_iter()
                .find_map(|start| self.endless(start, lookup))
            else {
                continue;
            };
            // A loop of three rules is one mistake, not three.
            let rules = chain.hops.iter().map(|(rule, _)| rule.clone()).collect();
            if !known.contains(&rules) && known.len() < MOST_PROBLEMS {
                problems.add(format_args!("rules[{index}]"), chain);
                known.push(rules);
            }
        }
    }

    /// Reads every entry of a table and follows it, noting those that make no sense or do not come to rest.
    pub fn check_entries(
        &self,
        table: &TableRule<T>,
        entries: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
        lookup: &mut impl FnMut(&T, &[u8]) -> Option<Vec<u8>>,
        problems: &mut Problems,
    ) {
        let mut found = 0;
        for (key, value) in entries {
            let shown = || format!("{} {}", table.id, String::from_utf8_lossy(&key));
            if let Err(problem) = table::parse_entry(&value) {
                problems.add(shown(), problem);
                found += 1;
            } else if let Some(chain) = self.endless(table.place(&key), lookup) {
                problems.add(shown(), chain);
                found += 1;
            }
            if found == MOST_PROBLEMS {
                problems.add(
                    &table.id,
                    format_args!("{found} entries are wrong; the rest was not looked at"),
                );
                return;
            }
        }
    }

    /// The chain of redirects from a place, if it does not come to rest.
    pub fn endless(&self, start: Place, lookup: &mut impl FnMut(&T, &[u8]) -> Option<Vec<u8>>) -> Option<Chain<Place>> {
        loops::find(start, |place| self.step(place, lookup))
    }

    /// What fires at a place, and where it leads. Nothing, where the client rests, leaves, or the entry makes no sense.
    fn step(&self, place: &Place, lookup: &mut impl FnMut(&T, &[u8]) -> Option<Vec<u8>>) -> Option<(String, Place)> {
        let mut from = place.clone();
        if let Some(fired) = self.rules.find(&place.path, &mut from) {
            let Answer::Redirect { target, .. } = &fired.rule.answer else {
                return None;
            };
            let url = target.expand(&place.path, |group| fired.group(group));
            return Some((fired.rule.id.clone(), self.next(place, target, &url)?));
        }
        self.tables.iter().find_map(|table| {
            let value = match (table.key, &place.host) {
                (TableKey::Path, _) => lookup(&table.table, &place.path),
                (TableKey::HostAndPath, Some(host)) => lookup(&table.table, &[host.as_bytes(), &place.path].concat()),
                (TableKey::HostAndPath, None) => None,
            };
            let target = table::parse_entry(&value?).ok()?.target?;
            let url = target.expand(&place.path, |_| None);
            Some((table.id.clone(), self.next(place, &target, &url)?))
        })
    }

    fn next(&self, place: &Place, target: &Target, url: &[u8]) -> Option<Place> {
        let path = Target::path_and_query(url).0.to_vec();
        match target.origin() {
            Origin::Same => Some(Place { path, ..place.clone() }),
            Origin::Named { scheme, authority } => {
                let host = match authority.rsplit_once(':') {
                    Some((host, port)) if !port.ends_with(']') => host,
                    _ => authority,
                };
                let is_here = place.host.as_deref() == Some(host) || self.serves(host);
                // Where no rule looks at the scheme, two schemes are one place.
                let scheme = self.rules.look_at_scheme().then_some(*scheme);
                is_here.then(|| Place {
                    scheme,
                    host: Some(host.to_owned()),
                    path,
                })
            }
        }
    }

    fn serves(&self, host: &str) -> bool {
        self.own_hosts
            .iter()
            .chain(self.rules.all().iter().flat_map(|rule| &rule.hosts))
            .any(|pattern| pattern.matches(host))
    }

    /// Requests that a rule may fire on: each of its example paths from each of its hosts.
    fn starts(&self, rule: &Rule) -> Vec<Place> {
        let paths = match &rule.matcher {
            Matcher::Exact(path) => vec![path.to_vec()],
            Matcher::Pattern(pattern) => sample::paths(pattern.syntax())
                .into_iter()
                .filter(|path| pattern.matches(path))
                .collect(),
        };
        let schemes = match (rule.scheme, self.rules.look_at_scheme()) {
            (Some(scheme), _) => vec![Some(scheme)],
            (None, true) => vec![Some(Scheme::Http), Some(Scheme::Https)],
            (None, false) => vec![None],
        };
        let hosts = self.hosts(rule);
        let origins = schemes
            .iter()
            .flat_map(|scheme| hosts.iter().map(move |host| (*scheme, host)));
        origins
            .flat_map(|(scheme, host)| {
                paths.iter().map(move |path| Place {
                    scheme,
                    host: host.clone(),
                    path: path.clone(),
                })
            })
            .collect()
    }

    /// The hosts of a rule; for one that holds everywhere, any host and those that are named anywhere.
    fn hosts(&self, rule: &Rule) -> Vec<Option<String>> {
        let example = |pattern: &HostPattern| match pattern {
            HostPattern::Exact(host) => host.clone(),
            HostPattern::Below(suffix) => format!("any{suffix}"),
        };
        if !rule.hosts.is_empty() {
            return rule.hosts.iter().map(|pattern| Some(example(pattern))).collect();
        }
        let named = self
            .own_hosts
            .iter()
            .chain(self.rules.all().iter().flat_map(|rule| &rule.hosts));
        let named: BTreeSet<_> = named.map(example).collect();
        std::iter::once(None)
            .chain(named.into_iter().map(Some))
            .take(MOST_HOSTS)
            .collect()
    }
}

impl<T> TableRule<T> {
    /// The request that a key stands for.
    fn place(&self, key: &[u8]) -> Place {
        let path_at = match self.key {
            TableKey::Path => 0,
            TableKey::HostAndPath => key.iter().position(|byte| *byte == b'/').unwrap_or(key.len()),
        };
        let (host, path) = key.split_at(path_at);
        let host = (!host.is_empty()).then(|| String::from_utf8_lossy(host).into_owned());
        Place {
            scheme: None,
            host,
            path: path.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::HashMap;

    use super::*;
    use crate::config::Config;

    fn check(json: &str) -> Result<(), String> {
        check_with_table(json, &[])
    }

    fn check_with_table(json: &str, entries: &[(&str, &str)]) -> Result<(), String> {
        let entries: HashMap<_, _> = entries
            .iter()
            .map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect();
        let lookup = |_: &(), key: &[u8]| entries.get(key).cloned();
        serde_json::from_str::<Config>(json)
            .unwrap()
            .resolve(|_| Ok(()), lookup)
            .map(|_| ())
    }

    fn check_entries(json: &str, entries: &[(&str, &str)]) -> Result<(), String> {
        let redirects = serde_json::from_str::<Config>(json)
            .unwrap()
            .resolve(|_| Ok(()), |(), _| None)
            .unwrap();
        let own = |(key, value): &(&str, &str)| (key.as_bytes().to_vec(), value.as_bytes().to_vec());
        let map: HashMap<_, _> = entries.iter().map(own).collect();
        let mut problems = Problems::new();
        let table = redirects.tables.first().unwrap();
        redirects.check_entries(
            table,
            entries.iter().map(own),
            &mut |_: &(), key: &[u8]| map.get(key).cloned(),
            &mut problems,
        );
        problems.finish(())
    }

    #[test]
    fn a_loop_of_exact_rules_is_shown_once() {
        let problem = check(
            r#"{"rules": [{"id": "one", "from": "/a", "to": "/b"}, {"id": "two", "from": "/b", "to": "/a?x#y"},
                {"id": "fine", "from": "/c", "to": "/d"}]}"#,
        );
        assert_eq!(
            problem.unwrap_err(),
            "rules[0]: redirects in a loop: /a -(one)-> /b -(two)-> /a"
        );
    }

    #[test]
    fn a_pattern_that_leads_to_itself_is_found() {
        for (rule, expected) in [
            (
                r#""pattern": "^/shop(/.*)?$", "to": "/shop/index""#,
                "rules[0]: redirects in a loop: /shop -(r)-> /shop/index -(r)-> /shop/index",
            ),
            (
                r#""pattern": "^/(.*)$", "to": "/new/$1""#,
                "rules[0]: redirects 10 times without coming to rest: / -(r)-> /new/ -(r)-> ",
            ),
            (
                r#""pattern": "(?i)^/Blog/([0-9]{4})$", "to": "/blog/$1""#,
                "rules[0]: redirects in a loop: ",
            ),
        ] {
            let problem = check(&format!(r#"{{"rules": [{{"id": "r", {rule}}}]}}"#)).unwrap_err();
            assert!(problem.starts_with(expected), "{problem}");
        }
    }

    #[test]
    fn patterns_and_exact_rules_are_followed_together() {
        let problem = check(
            r#"{"rules": [{"id": "p", "pattern": "^/old/([a-z]+)$", "to": "/new/$1"}, {"id": "e", "from": "/new/a", "to": "/old/a"}]}"#,
        );
        assert_eq!(
            problem.unwrap_err(),
            "rules[0]: redirects in a loop: /old/a -(p)-> /new/a -(e)-> /old/a"
        );
    }

    #[test]
    fn redirects_that_rest_or_leave_are_fine() {
        for rules in [
            r#"{"id": "r", "pattern": "^/old/(.*)$", "to": "/new/$1"}"#,
            r#"{"id": "r", "pattern": "^/(.*)$", "to": "https://elsewhere.example/$1"}"#,
            r#"{"id": "r", "pattern": "^/(.*)$", "to": "https://www.example.org/$1", "hosts": ["example.org"]}"#,
            r#"{"id": "r", "pattern": "^/(.*)$", "to": "https://example.org/$1", "hosts": ["example.org"], "scheme": "http"}"#,
            r#"{"id": "a", "from": "/a", "to": "/b", "hosts": ["one.example"]}, {"id": "b", "from": "/b", "to": "/a", "hosts": ["two.example"]}"#,
            r#"{"id": "a", "from": "/a", "to": "/b"}, {"id": "b", "from": "/b", "status": 410}"#,
        ] {
            assert_eq!(check(&format!(r#"{{"rules": [{rules}]}}"#)), Ok(()), "{rules}");
        }
    }

    #[test]
    fn loops_over_hosts_are_followed_where_the_host_is_served() {
        let rules = r#""rules": [{"id": "r", "pattern": "^/(.*)$", "to": "https://www.example.org/$1"}]"#;
        assert_eq!(check(&format!("{{{rules}}}")), Ok(()));
        let problem = check(&format!(r#"{{"own_hosts": ["*.example.org"], {rules}}}"#)).unwrap_err();
        assert!(
            problem.contains("www.example.org/ -(r)-> www.example.org/"),
            "{problem}"
        );
        let problem = check(
            r#"{"rules": [{"id": "www", "pattern": "^/(.*)$", "to": "https://www.example.org/$1", "hosts": ["example.org"]},
                {"id": "apex", "pattern": "^/(.*)$", "to": "https://example.org/$1", "hosts": ["www.example.org"]}]}"#,
        );
        assert_eq!(
            problem.unwrap_err(),
            "rules[0]: redirects in a loop: example.org/ -(www)-> www.example.org/ -(apex)-> example.org/"
        );
    }

    #[test]
    fn a_loop_over_schemes_is_found() {
        let problem = check(
            r#"{"rules": [{"id": "up", "pattern": "^/(.*)$", "to": "https://example.org/$1", "hosts": ["example.org"], "scheme": "http"},
                {"id": "down", "from": "/", "to": "http://example.org/", "hosts": ["example.org"], "scheme": "https"}]}"#,
        );
        assert_eq!(
            problem.unwrap_err(),
            "rules[0]: redirects in a loop: http://example.org/ -(up)-> https://example.org/ -(down)-> http://example.org/"
        );
    }

    #[test]
    fn rules_are_followed_through_tables() {
        let json = r#"{"rules": [{"id": "r", "from": "/a", "to": "/b"}], "tables": [{"name": "moved"}]}"#;
        let problem = check_with_table(json, &[("/b", "/a")]);
        assert_eq!(
            problem.unwrap_err(),
            "rules[0]: redirects in a loop: /a -(r)-> /b -(table:moved)-> /a"
        );
        assert_eq!(check_with_table(json, &[("/b", "/c")]), Ok(()));
    }

    #[test]
    fn entries_of_tables_are_read_and_followed() {
        let json = r#"{"tables": [{"name": "moved", "key": "host-path"}]}"#;
        let entries = [
            ("example.org/a", "/b"),
            ("example.org/b", "308 https://example.org/a"),
            ("example.org/c", "c"),
            ("example.org/d", "/e"),
        ];
        let problem = check_entries(json, &entries).unwrap_err();
        let lines: Vec<_> = problem.lines().collect();
        assert_eq!(lines.len(), 3, "{problem}");
        assert!(lines[0].starts_with(
            "table:moved example.org/a: redirects in a loop: example.org/a -(table:moved)-> example.org/b"
        ));
        assert!(lines[2].starts_with("table:moved example.org/c: \"c\" is not a target"));
        assert_eq!(check_entries(json, &entries[3..]), Ok(()));
    }

    #[test]
    fn a_table_full_of_mistakes_is_cut_short() {
        let entries: Vec<_> = (0..100).map(|_| ("/a", "/a")).collect();
        let problem = check_entries(r#"{"tables": [{"name": "moved"}]}"#, &entries).unwrap_err();
        assert_eq!(problem.lines().count(), MOST_PROBLEMS + 1);
    }
}
