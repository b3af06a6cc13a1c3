//! Ordered rules: the first that fits decides.

use std::net::IpAddr;

use weir_plugin_common::{NetworkSet, Scope, ScopeFacts, Wildcard, WildcardSet};

/// The rules, ready for matching. `T` is the handle of a host table.
#[derive(Debug)]
pub struct Policy<T> {
    /// In order.
    pub rules: Vec<Rule<T>>,
    /// What happens when none fits.
    pub default: Action,
    /// Whether refusals are carried out at all.
    pub mode: Mode,
    /// The text of a refusal.
    pub body: String,
}

/// One rule. All kinds must fit; a kind without entries does.
#[derive(Debug)]
pub struct Rule<T> {
    /// Names the rule in notes.
    pub id: String,
    /// What happens when the rule fits.
    pub action: Action,
    /// Whether this rule decides, or is only noted.
    pub mode: Mode,
    /// Hosts, paths and methods.
    pub scope: Scope,
    /// Any of these; a request without the header has an empty one.
    pub user_agents: WildcardSet,
    /// All of these.
    pub headers: Vec<HeaderMatch>,
    /// Where the client is.
    pub clients: ClientMatch<T>,
}

/// What a rule asks of the client's address.
#[derive(Debug)]
pub enum ClientMatch<T> {
    /// Nothing.
    Any,
    /// To be in one of the networks or in one of the host's tables.
    In {
        /// Written in the configuration.
        networks: NetworkSet,
        /// Held by the host.
        tables: Vec<T>,
    },
}

/// What a rule asks of one header.
#[derive(Debug)]
pub struct HeaderMatch {
    /// In lower case.
    pub name: String,
    /// The condition.
    pub test: HeaderTest,
}

/// The condition on a header's values.
#[derive(Debug)]
pub enum HeaderTest {
    /// There is one.
    Present,
    /// There is none.
    Absent,
    /// Any value fits, so that repeating a header does not hide one.
    Value(Wildcard),
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It goes on.
    Allow,
    /// It does not.
    Refuse(Refusal),
}

/// How a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// With an answer of this status.
    Status(u16),
    /// With a closed connection.
    Close,
}

/// Whether a refusal is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Yes.
    Enforce,
    /// No: it is noted for the access log, and the request goes on.
    DryRun,
}

impl Mode {
    /// The mode that a `dry_run` key stands for.
    #[must_use]
    pub fn from_dry_run(dry_run: bool) -> Self {
        if dry_run { Self::DryRun } else { Self::Enforce }
    }
}

/// What is known about a request, each part only when it is asked for: asking may be a call out of the plugin.
pub trait Facts<T>: ScopeFacts {
    /// The client's address.
    fn client_ip(&mut self) -> IpAddr;
    /// The value of `User-Agent`, empty without one.
    fn user_agent(&mut self) -> &[u8];
    /// All values of a header.
    fn header_values(&mut self, name: &str) -> Vec<Vec<u8>>;
    /// The value that a host table has for the address.
    fn lookup(&mut self, table: &T, client: IpAddr) -> Option<Vec<u8>>;
}

/// What the rules say about one request.
#[derive(Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// What happens.
    pub action: Action,
    /// Why; nothing when no rule fitted and the default allows.
    pub reason: Option<Reason<'a>>,
    /// Rules that would have refused, were they not in dry run, in order. Empty where nothing fits: no allocation.
    pub would_refuse: Vec<Reason<'a>>,
}

/// The rule that fitted.
#[derive(Debug, PartialEq, Eq)]
pub struct Reason<'a> {
    /// The rule's id, or `default`.
    pub rule: &'a str,
    /// What the table said of the client's network, where a table made the rule fit.
    pub entry: Option<Vec<u8>>,
}

impl<T> Policy<T> {
    /// Whether no request can be refused, or noted.
    #[must_use]
    pub fn allows_everything(&self) -> bool {
        self.rules.is_empty() && self.default == Action::Allow
    }

    /// What the rules say of clients, where that is a condition of every rule and nothing happens without one: requests of other
    /// clients are allowed, and leave no trace. `None` where a request of any client may concern a rule.
    #[must_use]
    pub fn clients(&self) -> Option<Vec<(&NetworkSet, &[T])>> {
        if self.default != Action::Allow {
            return None;
        }
        let clients = self.rules.iter().map(|rule| match &rule.clients {
            ClientMatch::Any => None,
            ClientMatch::In { networks, tables } => Some((networks, tables.as_slice())),
        });
        clients.collect()
    }

    /// Asks the rules in order.
    pub fn decide(&self, facts: &mut impl Facts<T>) -> Decision<'_> {
        let mut would_refuse = Vec::new();
        for rule in &self.rules {
            let Fit::Yes { entry } = rule.fits(facts) else { continue };
            let reason = Reason { rule: &rule.id, entry };
            match (rule.action, rule.mode) {
                (Action::Refuse(_), Mode::DryRun) => would_refuse.push(reason),
                (action, _) => return self.conclude(action, Some(reason), would_refuse),
            }
        }
        let reason = match self.default {
            Action::Allow => None,
            Action::Refuse(_) => Some(Reason {
                rule: "default",
                entry: None,
            }),
        };
        self.conclude(self.default, reason, would_refuse)
    }

    fn conclude<'a>(
        &self,
        action: Action,
        reason: Option<Reason<'a>>,
        mut would_refuse: Vec<Reason<'a>>,
    ) -> Decision<'a> {
        match (action, self.mode) {
            (Action::Refuse(_), Mode::DryRun) => {
                would_refuse.extend(reason);
                Decision {
                    action: Action::Allow,
                    reason: None,
                    would_refuse,
                }
            }
            _ => Decision {
                action,
                reason,
                would_refuse,
            },
        }
    }
}

enum Fit {
    No,
    Yes { entry: Option<Vec<u8>> },
}

impl<T> Rule<T> {
    /// Cheap conditions first; a host table is asked only when everything else fits.
    fn fits(&self, facts: &mut impl Facts<T>) -> Fit {
        let rest_fits = self.scope.matches(facts)
            && (self.user_agents.is_empty() || self.user_agents.matches(facts.user_agent()))
            && self.headers.iter().all(|header| header.fits(facts));
        if !rest_fits {
            return Fit::No;
        }
        let ClientMatch::In { networks, tables } = &self.clients else {
            return Fit::Yes { entry: None };
        };
        let client = facts.client_ip();
        if networks.contains(client) {
            return Fit::Yes { entry: None };
        }
        match tables.iter().find_map(|table| facts.lookup(table, client)) {
            Some(entry) => Fit::Yes { entry: Some(entry) },
            None => Fit::No,
        }
    }
}

impl HeaderMatch {
    fn fits<T>(&self, facts: &mut impl Facts<T>) -> bool {
        let values = facts.header_values(&self.name);
        match &self.test {
            HeaderTest::Present => !values.is_empty(),
            HeaderTest::Absent => values.is_empty(),
            HeaderTest::Value(pattern) => values.iter().any(|value| pattern.matches(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::config::Config;

    /// A request, and how often the policy asked the host for something.
    struct Request {
        client: IpAddr,
        method: &'static str,
        path: &'static str,
        headers: Vec<(&'static str, &'static str)>,
        table: Vec<IpAddr>,
        asked: usize,
    }

    impl Request {
        fn from(client: &str) -> Self {
            Self {
                client: client.parse().unwrap(),
                method: "GET",
                path: "/",
                headers: Vec::new(),
                table: Vec::new(),
                asked: 0,
            }
        }
    }

    impl ScopeFacts for Request {
        fn host(&mut self) -> &str {
            self.asked += 1;
            "example.org"
        }
        fn path(&mut self) -> &[u8] {
            self.asked += 1;
            self.path.as_bytes()
        }
        fn method(&mut self) -> &str {
            self.asked += 1;
            self.method
        }
    }

    impl Facts<u32> for Request {
        fn client_ip(&mut self) -> IpAddr {
            self.asked += 1;
            self.client
        }
        fn user_agent(&mut self) -> &[u8] {
            self.asked += 1;
            self.headers
                .iter()
                .find(|header| header.0 == "user-agent")
                .map_or(b"", |header| header.1.as_bytes())
        }
        fn header_values(&mut self, name: &str) -> Vec<Vec<u8>> {
            self.asked += 1;
            self.headers
                .iter()
                .filter(|header| header.0 == name)
                .map(|header| header.1.as_bytes().to_vec())
                .collect()
        }
        fn lookup(&mut self, _: &u32, client: IpAddr) -> Option<Vec<u8>> {
            self.asked += 1;
            self.table.contains(&client).then(|| b"listed".to_vec())
        }
    }

    fn policy(rules: &str) -> Policy<u32> {
        serde_json::from_str::<Config>(rules)
            .unwrap()
            .resolve(|_| Ok(0))
            .unwrap()
    }

    #[track_caller]
    fn assert_decision(policy: &Policy<u32>, mut request: Request, action: Action, rule: Option<&str>) {
        let decision = policy.decide(&mut request);
        assert_eq!(
            (decision.action, decision.reason.map(|reason| reason.rule)),
            (action, rule)
        );
    }

    const FORBIDDEN: Action = Action::Refuse(Refusal::Status(403));

    #[test]
    fn the_first_rule_that_fits_decides() {
        let policy = policy(
            r#"{"rules": [
                {"id": "office", "action": "allow", "networks": ["10.1.0.0/16"]},
                {"id": "internal", "action": "deny", "networks": ["10.0.0.0/8"]}
            ]}"#,
        );
        assert_decision(&policy, Request::from("10.1.2.3"), Action::Allow, Some("office"));
        assert_decision(&policy, Request::from("10.2.2.3"), FORBIDDEN, Some("internal"));
        assert_decision(&policy, Request::from("192.0.2.1"), Action::Allow, None);
    }

    #[test]
    fn the_default_may_deny() {
        let policy = policy(r#"{"default": "deny", "status": 404, "rules": []}"#);
        assert_decision(
            &policy,
            Request::from("10.1.2.3"),
            Action::Refuse(Refusal::Status(404)),
            Some("default"),
        );
    }

    #[test]
    fn all_kinds_must_fit() {
        let policy = policy(
            r#"{"rules": [{"id": "r", "action": "deny", "networks": ["10.0.0.0/8"], "methods": ["POST"], "paths": ["/admin"],
                "user_agents": ["*curl*"], "headers": [{"name": "x-a"}, {"name": "x-b", "absent": true}, {"name": "x-c", "value": "1*"}]}]}"#,
        );
        let fitting = || Request {
            method: "POST",
            path: "/admin/x",
            headers: vec![("user-agent", "Curl/8"), ("x-a", ""), ("x-c", "12")],
            ..Request::from("10.0.0.1")
        };
        assert_decision(&policy, fitting(), FORBIDDEN, Some("r"));
        assert_decision(
            &policy,
            Request {
                method: "GET",
                ..fitting()
            },
            Action::Allow,
            None,
        );
        assert_decision(&policy, Request { path: "/", ..fitting() }, Action::Allow, None);
        assert_decision(
            &policy,
            Request {
                client: "192.0.2.1".parse().unwrap(),
                ..fitting()
            },
            Action::Allow,
            None,
        );
        for headers in [
            vec![("user-agent", "x"), ("x-a", ""), ("x-c", "12")],
            vec![("user-agent", "curl"), ("x-c", "12")],
            vec![("user-agent", "curl"), ("x-a", ""), ("x-c", "2")],
            vec![("user-agent", "curl"), ("x-a", ""), ("x-b", ""), ("x-c", "12")],
        ] {
            assert_decision(&policy, Request { headers, ..fitting() }, Action::Allow, None);
        }
    }

    #[test]
    fn any_value_of_a_repeated_header_fits() {
        let policy =
            policy(r#"{"rules": [{"id": "r", "action": "deny", "headers": [{"name": "x-a", "value": "bad"}]}]}"#);
        let repeated = Request {
            headers: vec![("x-a", "good"), ("x-a", "bad")],
            ..Request::from("10.0.0.1")
        };
        assert_decision(&policy, repeated, FORBIDDEN, Some("r"));
    }

    #[test]
    fn networks_and_tables_are_one_kind() {
        let policy =
            policy(r#"{"rules": [{"id": "r", "action": "deny", "networks": ["10.0.0.0/8"], "tables": ["deny"]}]}"#);
        assert_decision(&policy, Request::from("10.0.0.1"), FORBIDDEN, Some("r"));
        let mut listed = Request {
            table: vec!["2001:db8::1".parse().unwrap()],
            ..Request::from("2001:db8::1")
        };
        assert_eq!(
            policy.decide(&mut listed).reason,
            Some(Reason {
                rule: "r",
                entry: Some(b"listed".to_vec())
            })
        );
        assert_decision(&policy, Request::from("192.0.2.1"), Action::Allow, None);
    }

    #[test]
    fn a_missing_user_agent_is_an_empty_one() {
        let policy = policy(r#"{"rules": [{"id": "nameless", "action": "close", "user_agents": [""]}]}"#);
        assert_decision(
            &policy,
            Request::from("10.0.0.1"),
            Action::Refuse(Refusal::Close),
            Some("nameless"),
        );
        let named = Request {
            headers: vec![("user-agent", "x")],
            ..Request::from("10.0.0.1")
        };
        assert_decision(&policy, named, Action::Allow, None);
    }

    #[test]
    fn a_rule_in_dry_run_is_noted_and_the_next_ones_are_asked() {
        let policy = policy(
            r#"{"rules": [
                {"id": "new", "action": "deny", "networks": ["10.0.0.0/8"], "dry_run": true},
                {"id": "old", "action": "deny", "networks": ["10.0.0.0/16"]}
            ]}"#,
        );
        let mut request = Request::from("10.0.0.1");
        let decision = policy.decide(&mut request);
        assert_eq!(decision.action, FORBIDDEN);
        assert_eq!(
            decision.would_refuse,
            [Reason {
                rule: "new",
                entry: None
            }]
        );
        assert_decision(&policy, Request::from("10.1.0.1"), Action::Allow, None);
    }

    #[test]
    fn a_policy_in_dry_run_refuses_nothing() {
        let policy = policy(
            r#"{"dry_run": true, "default": "deny", "rules": [{"id": "r", "action": "deny", "networks": ["10.0.0.0/8"]}]}"#,
        );
        let mut denied = Request::from("10.0.0.1");
        let decision = policy.decide(&mut denied);
        assert_eq!(
            (decision.action, decision.would_refuse.first().map(|reason| reason.rule)),
            (Action::Allow, Some("r"))
        );
        let mut other = Request::from("192.0.2.1");
        assert_eq!(
            policy.decide(&mut other).would_refuse,
            [Reason {
                rule: "default",
                entry: None
            }]
        );
    }

    #[test]
    fn the_host_is_asked_only_for_what_decides() {
        let networks = policy(r#"{"rules": [{"id": "r", "action": "deny", "networks": ["10.0.0.0/8"]}]}"#);
        let table = policy(r#"{"rules": [{"id": "r", "action": "deny", "paths": ["/admin"], "tables": ["deny"]}]}"#);
        for (policy, asked) in [(&networks, 1), (&table, 1)] {
            let mut request = Request::from("192.0.2.1");
            assert_eq!(policy.decide(&mut request).action, Action::Allow);
            assert_eq!(request.asked, asked);
        }
    }

    #[test]
    fn a_policy_about_clients_names_them() {
        let clients = |json: &str| {
            let config: Config = serde_json::from_str(json).unwrap();
            let policy = config.resolve(|_| Ok(0)).unwrap();
            let clients = policy.clients()?;
            let tables: Vec<u32> = clients.iter().flat_map(|(_, tables)| tables.iter().copied()).collect();
            Some((
                clients.iter().flat_map(|(networks, _)| networks.ranges()).count(),
                tables,
            ))
        };
        let listed = r#"{"id": "a", "action": "deny", "tables": ["deny"]}"#;
        let office = r#"{"id": "b", "action": "allow", "networks": ["192.0.2.0/24", "2001:db8::/32"]}"#;
        let agent = r#"{"id": "c", "action": "deny", "user_agents": ["*bot*"]}"#;
        assert_eq!(
            clients(&format!(r#"{{"rules": [{listed}, {office}]}}"#)),
            Some((2, vec![0]))
        );
        assert_eq!(clients(&format!(r#"{{"rules": [{listed}, {agent}]}}"#)), None);
        assert_eq!(clients(&format!(r#"{{"default": "deny", "rules": [{office}]}}"#)), None);
    }
}
