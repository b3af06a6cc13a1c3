//! What a rule is about: hosts, paths and methods.

use std::borrow::Cow;

use crate::{HostPattern, PathPattern, Problems};

/// Where a rule applies. A kind without entries fits everything; all kinds must fit, any entry of a kind does.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    hosts: Vec<HostPattern>,
    paths: Vec<PathPattern>,
    methods: Vec<String>,
}

/// The parts of a request that a scope asks for, each only when it is needed: asking may be a call out of the plugin.
pub trait ScopeFacts {
    /// The host in lower case, without port.
    fn host(&mut self) -> &str;
    /// The path in normal form.
    fn path(&mut self) -> &[u8];
    /// The method.
    fn method(&mut self) -> &str;
}

impl Scope {
    /// Reads the patterns under `key` (`rules[2]`), noting what is wrong.
    pub fn new(key: &str, hosts: &[String], paths: &[String], methods: &[String], problems: &mut Problems) -> Self {
        Self {
            hosts: problems.take_all(&format!("{key}hosts"), hosts, HostPattern::parse),
            paths: problems.take_all(&format!("{key}paths"), paths, PathPattern::parse),
            methods: problems.take_all(&format!("{key}methods"), methods, parse_method),
        }
    }

    /// Whether everything fits.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.hosts.is_empty() && self.paths.is_empty() && self.methods.is_empty()
    }

    /// Whether a request fits.
    pub fn matches(&self, facts: &mut impl ScopeFacts) -> bool {
        (self.methods.is_empty() || self.methods.iter().any(|method| method == facts.method()))
            && (self.paths.is_empty() || self.paths.iter().any(|path| path.matches(facts.path())))
            && (self.hosts.is_empty() || self.hosts.iter().any(|host| host.matches(facts.host())))
    }
}

/// Methods compare by case (RFC 9110 §9.1), so `get` would never fit what clients send.
fn parse_method(text: &str) -> Result<String, String> {
    if !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'-' || byte == b'_')
    {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "\"{text}\" is not a method: write it in capitals, for example POST"
        ))
    }
}

/// Facts that are known already, for tests and for callers that have them at hand.
impl ScopeFacts for (&str, Cow<'_, [u8]>, &str) {
    fn host(&mut self) -> &str {
        self.0
    }

    fn path(&mut self) -> &[u8] {
        &self.1
    }

    fn method(&mut self) -> &str {
        self.2
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn scope(hosts: &[&str], paths: &[&str], methods: &[&str]) -> Result<Scope, String> {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let mut problems = Problems::new();
        let scope = Scope::new("rules[2].", &own(hosts), &own(paths), &own(methods), &mut problems);
        problems.finish(scope)
    }

    fn fits(scope: &Scope, host: &str, path: &str, method: &str) -> bool {
        scope.matches(&mut (host, crate::normalize_path(path.as_bytes()), method))
    }

    #[test]
    fn all_kinds_must_fit_and_any_entry_does() {
        let scope = scope(&["a.example", "b.example"], &["/api"], &["POST", "PUT"]).unwrap();
        assert!(fits(&scope, "b.example", "/api/x", "PUT"));
        assert!(!fits(&scope, "c.example", "/api/x", "PUT"));
        assert!(!fits(&scope, "b.example", "/", "PUT"));
        assert!(!fits(&scope, "b.example", "/api/x", "GET"));
    }

    #[test]
    fn an_empty_scope_is_everything() {
        let scope = scope(&[], &[], &[]).unwrap();
        assert!(scope.is_everything());
        assert!(fits(&scope, "any", "/", "GET"));
    }

    #[test]
    fn problems_name_the_entry() {
        let problem = scope(&["a b"], &["x"], &["get"]).unwrap_err();
        assert!(
            problem.contains("rules[2].hosts[0]: \"a b\" is not a host"),
            "{problem}"
        );
        assert!(
            problem.contains("rules[2].paths[0]: \"x\" is not a path pattern"),
            "{problem}"
        );
        assert!(
            problem.contains("rules[2].methods[0]: \"get\" is not a method"),
            "{problem}"
        );
    }
}
