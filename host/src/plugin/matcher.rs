//! Which exchanges a plugin sees, decided without asking it.

use crate::bundle::manifest::Match;
use crate::config::{HostPattern, PathPattern};
use crate::exchange::subject::Subject;

impl Match {
    /// Whether every given kind fits. Allocates nothing.
    #[must_use]
    pub fn fits(&self, subject: &Subject) -> bool {
        any(&self.methods, |method| *method == subject.request.method)
            && any(&self.hosts, |pattern| host_fits(pattern, &subject.host))
            && any(&self.paths, |pattern| path_fits(pattern, subject.request.uri.path()))
            && any(&self.headers, |name| subject.request.headers.contains_key(name))
            && any(&self.routes, |route| **route == *subject.route)
    }
}

/// A kind that is not given fits everything.
fn any<T>(entries: &[T], fits: impl Fn(&T) -> bool) -> bool {
    entries.is_empty() || entries.iter().any(fits)
}

fn host_fits(pattern: &HostPattern, host: &[u8]) -> bool {
    match pattern {
        HostPattern::Exact(name) => host == name.as_bytes(),
        HostPattern::Suffix(suffix) => host
            .strip_suffix(suffix.as_bytes())
            .is_some_and(|rest| rest.len() > 1 && rest.ends_with(b".")),
    }
}

fn path_fits(pattern: &PathPattern, path: &str) -> bool {
    match pattern {
        PathPattern::Exact(exact) => path == exact,
        PathPattern::Prefix(prefix) => {
            let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
            path.strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
        PathPattern::Pattern(pattern) => pattern.is_match(path.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::plugin::subjects::subject;

    #[test]
    fn a_prefix_ends_with_a_segment() {
        let fits = |prefix: &str, path: &str| path_fits(&PathPattern::Prefix(prefix.to_owned()), path);
        assert!(fits("/api", "/api"));
        assert!(fits("/api", "/api/v1"));
        assert!(fits("/api/", "/api/v1"));
        assert!(fits("/", "/anything"));
        assert!(!fits("/api", "/apis"));
        assert!(!fits("/api", "/ap"));
    }

    #[test]
    fn a_wildcard_stands_for_at_least_one_label() {
        let fits = |host: &str| host_fits(&HostPattern::Suffix("example.org".to_owned()), host.as_bytes());
        assert!(fits("a.example.org"));
        assert!(fits("a.b.example.org"));
        assert!(!fits("example.org"));
        assert!(!fits(".example.org"));
        assert!(!fits("badexample.org"));
    }

    #[test]
    fn every_given_kind_has_to_fit() {
        let subject = subject("GET", "/api/x", &[("authorization", "x")]);
        assert!(Match::default().fits(&subject));
        let both = Match {
            paths: vec![PathPattern::Prefix("/api".into())],
            headers: vec!["authorization".parse().unwrap()],
            ..Match::default()
        };
        assert!(both.fits(&subject));
        assert!(
            !Match {
                methods: vec![http::Method::POST],
                ..both.clone()
            }
            .fits(&subject)
        );
        assert!(
            !Match {
                routes: vec!["other".into()],
                ..both
            }
            .fits(&subject)
        );
    }
}
