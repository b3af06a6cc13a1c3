//! The query of a request that may be cached, tidied as the route's rules say: what goes upstream is what the cache's key has,
//! so that no parameter can change a response without being in the key.

use http::Method;
use http::uri::PathAndQuery;

use super::subject::Subject;
use crate::config::{CacheRules, Query};

/// Tidies the target that goes upstream. Costs a comparison where the rules leave queries alone.
pub fn tidy(subject: &mut Subject, rules: &CacheRules) {
    if rules.query == Query::Exact && rules.ignore_query.is_empty() {
        return;
    }
    if subject.request.method != Method::GET && subject.request.method != Method::HEAD {
        return;
    }
    let target = subject
        .upstream_target
        .as_ref()
        .or_else(|| subject.request.uri.path_and_query());
    if let Some(tidied) = target.and_then(|target| tidied(target, rules)) {
        subject.upstream_target = Some(tidied);
    }
}

/// `None` where nothing changes.
fn tidied(target: &PathAndQuery, rules: &CacheRules) -> Option<PathAndQuery> {
    let query = target.query()?;
    let mut kept: Vec<&str> = Vec::new();
    if rules.query != Query::Removed {
        let ignored = |parameter: &&str| {
            let name = parameter.split('=').next().unwrap_or_default();
            rules.ignore_query.iter().any(|pattern| pattern.fits(name))
        };
        kept.extend(query.split('&').filter(|parameter| !ignored(parameter)));
    }
    if rules.query == Query::Sorted {
        kept.retain(|parameter| !parameter.is_empty());
        // By name alone and stably: the order of two parameters of one name means something.
        kept.sort_by_key(|parameter| parameter.split('=').next());
    }
    let tidied = kept.join("&");
    if tidied == query {
        return None;
    }
    let text = if tidied.is_empty() {
        target.path().to_owned()
    } else {
        format!("{}?{tidied}", target.path())
    };
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::ParameterPattern;

    fn tidied_by(query: Query, ignored: &[&str], target: &str) -> String {
        let pattern = |name: &&str| match name.strip_suffix('*') {
            Some(prefix) => ParameterPattern::Prefix(prefix.to_owned()),
            None => ParameterPattern::Exact((*name).to_owned()),
        };
        let rules = CacheRules {
            query,
            ignore_query: ignored.iter().map(pattern).collect(),
            ..CacheRules::default()
        };
        let target: PathAndQuery = target.parse().unwrap();
        tidied(&target, &rules).unwrap_or(target).to_string()
    }

    #[test]
    fn queries_are_sorted_stripped_or_removed() {
        for (query, ignored, target, expected) in [
            (Query::Exact, &["x"][..], "/?b=1&a=2", "/?b=1&a=2"),
            (
                Query::Exact,
                &["utm_*", "fbclid"],
                "/p?utm_source=x&b=1&fbclid&c",
                "/p?b=1&c",
            ),
            (Query::Exact, &["utm_*"], "/p?utm_source=x", "/p"),
            (Query::Exact, &["b"], "/?ab=1&b=2&bc=3&B=4", "/?ab=1&bc=3&B=4"),
            (Query::Sorted, &[], "/?b=1&a=2&&b=0", "/?a=2&b=1&b=0"),
            (Query::Sorted, &["a"], "/?b=1&a=2", "/?b=1"),
            (Query::Sorted, &[], "/", "/"),
            (Query::Removed, &[], "/p?b=1&a=2", "/p"),
        ] {
            assert_eq!(
                tidied_by(query, ignored, target),
                expected,
                "{query:?} {ignored:?} {target}"
            );
        }
    }
}
