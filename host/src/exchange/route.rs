//! Which route a request takes.
//!
//! The most specific route wins, compared in this order: the host (exact before wildcard, a longer wildcard before a shorter
//! one, any host last), then the path (exact, then the longest prefix, then patterns, then none), then the number of header
//! conditions, then a route with methods before one without, then the order of the file. A route whose host and path are the
//! most specific but whose method or headers do not fit gives way to the next.

use std::cmp::Reverse;
use std::collections::HashMap;

use http::Method;

use super::subject::Subject;
use super::{Ending, Exchange, Refusal, redirect};
use crate::config::{HeaderMatch, HostPattern, Https, PathPattern, Redirect, Route};

impl Exchange {
    pub(super) fn route(&mut self) -> Result<(), Ending> {
        let routes = &self.state.snapshot.config.routes;
        let routed = self.state.router.route(routes, &self.subject);
        self.require_https(&routed)?;
        let index = match routed {
            Routed::To(index) => index,
            Routed::NotFound => return Err(Refusal::NotFound.into()),
            Routed::MethodNotAllowed(methods) => return Err(Refusal::MethodNotAllowed(methods).into()),
        };
        self.route = Some(index);
        let (route, name) = self.state.route(self.route)?;
        self.subject.route = name.clone();
        if self.body.told_length().is_some_and(|length| length > route.max_body) {
            return Err(Refusal::BodyTooLarge.into());
        }
        self.body.limit(route.max_body);
        Ok(())
    }

    /// Sends a request in clear to the same URL through TLS, where its route or else the listener says so.
    fn require_https(&mut self, routed: &Routed) -> Result<(), Ending> {
        let listener = self.busy.client().policy.redirect_https;
        let route = match routed {
            Routed::To(index) => self.state.snapshot.config.routes.get(*index),
            Routed::NotFound | Routed::MethodNotAllowed(_) => None,
        };
        let redirect = match route.and_then(|route| route.https) {
            Some(Https::Any) => None,
            Some(Https::Redirect) => Some(listener.unwrap_or(Redirect::DEFAULT)),
            None => listener,
        };
        let Some(redirect) = redirect else { return Ok(()) };
        match redirect::to_https(&self.subject, &self.state.snapshot.config.trusted_proxies, redirect) {
            Some(reply) => {
                if let Routed::To(index) = routed {
                    self.route = Some(*index);
                }
                Err(Ending::Replied(Box::new(reply)))
            }
            None => Ok(()),
        }
    }
}

/// The routes of a configuration, ranked.
#[derive(Debug)]
pub struct Router {
    /// By exact host: what may fit, most specific first, wildcard and general routes included.
    exact: HashMap<String, Vec<usize>>,
    /// Longest suffix first, each with what may fit, general routes included.
    suffixes: Vec<(String, Vec<usize>)>,
    /// Routes without hosts.
    any: Vec<usize>,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Routed {
    /// Index into the configuration's routes.
    To(usize),
    /// Nothing is there.
    NotFound,
    /// Something is there, for these methods (RFC 9110 §15.5.6).
    MethodNotAllowed(Vec<Method>),
}

impl Router {
    /// Ranks routes.
    #[must_use]
    pub fn new(routes: &[Route]) -> Self {
        let mut exact = HashMap::<String, Vec<usize>>::new();
        let mut suffixes = HashMap::<String, Vec<usize>>::new();
        for host in routes.iter().flat_map(|route| &route.hosts) {
            match host {
                HostPattern::Exact(name) => exact.entry(name.clone()).or_default(),
                HostPattern::Suffix(name) => suffixes.entry(name.clone()).or_default(),
            };
        }
        for (name, ranked) in &mut exact {
            *ranked = rank(routes, name);
        }
        let mut suffixes: Vec<_> = suffixes
            .into_keys()
            .map(|name| {
                // What fits any host under the suffix; a made-up label stands for the part that the wildcard takes.
                let ranked = rank(routes, &format!("*.{name}"));
                (name, ranked)
            })
            .collect();
        suffixes.sort_by_key(|(name, _)| Reverse(name.len()));
        Self {
            exact,
            suffixes,
            any: rank(routes, ""),
        }
    }

    /// The route for a request.
    #[must_use]
    pub fn route(&self, routes: &[Route], subject: &Subject) -> Routed {
        let path = subject.request.uri.path();
        let mut others = Vec::new();
        for &index in self.candidates(&subject.host) {
            let Some(route) = routes.get(index) else { continue };
            if !path_fits(&route.path, path) || !headers_fit(&route.headers, subject) {
                continue;
            }
            if route.methods.is_empty() || method_fits(&route.methods, &subject.request.method) {
                return Routed::To(index);
            }
            others.extend(route.methods.iter().cloned());
        }
        if others.is_empty() {
            Routed::NotFound
        } else {
            Routed::MethodNotAllowed(others)
        }
    }

    fn candidates(&self, host: &[u8]) -> &[usize] {
        if self.exact.is_empty() && self.suffixes.is_empty() {
            return &self.any;
        }
        let Ok(host) = std::str::from_utf8(host) else {
            return &self.any;
        };
        if !self.exact.is_empty()
            && let Some(ranked) = self.exact.get(host)
        {
            return ranked;
        }
        let suffix = self.suffixes.iter().find(|(suffix, _)| under(host, suffix));
        suffix.map_or(&self.any, |(_, ranked)| ranked)
    }
}

/// The routes that fit `host`, most specific first.
fn rank(routes: &[Route], host: &str) -> Vec<usize> {
    let mut ranked: Vec<_> = routes
        .iter()
        .enumerate()
        .filter_map(|(index, route)| Some((host_rank(route, host)?, index)))
        .map(|(host, index)| {
            (
                (
                    Reverse(host),
                    Reverse(path_rank(&routes[index])),
                    Reverse(extras(&routes[index])),
                ),
                index,
            )
        })
        .collect();
    ranked.sort();
    ranked.into_iter().map(|(_, index)| index).collect()
}

/// How specifically a route names a host; `None` when it does not fit.
fn host_rank(route: &Route, host: &str) -> Option<usize> {
    if route.hosts.is_empty() {
        return Some(0);
    }
    let fits = |pattern: &HostPattern| match pattern {
        HostPattern::Exact(name) if name == host => Some(usize::MAX),
        HostPattern::Suffix(suffix) if under(host, suffix) => Some(suffix.len() + 1),
        _ => None,
    };
    route.hosts.iter().filter_map(fits).max()
}

/// Whether `host` is a label and a dot before `suffix`.
fn under(host: &str, suffix: &str) -> bool {
    host.len() > suffix.len() + 1
        && host.ends_with(suffix)
        && host.as_bytes().get(host.len() - suffix.len() - 1) == Some(&b'.')
}

fn path_rank(route: &Route) -> (u8, usize) {
    match &route.path {
        PathPattern::Exact(path) => (3, path.len()),
        PathPattern::Prefix(prefix) if prefix == "/" || prefix.is_empty() => (0, 0),
        PathPattern::Prefix(prefix) => (2, prefix.len()),
        PathPattern::Pattern(_) => (1, 0),
    }
}

fn extras(route: &Route) -> (usize, bool) {
    (route.headers.len(), !route.methods.is_empty())
}

fn path_fits(pattern: &PathPattern, path: &str) -> bool {
    match pattern {
        PathPattern::Exact(exact) => exact == path,
        PathPattern::Prefix(prefix) => {
            let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
            // The root also takes `OPTIONS *`, which has no path (RFC 9112 §3.2.4).
            prefix.is_empty()
                || path
                    .strip_prefix(prefix)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
        PathPattern::Pattern(regex) => regex.is_match(path.as_bytes()),
    }
}

/// A route for GET also answers HEAD (RFC 9110 §9.3.2).
fn method_fits(methods: &[Method], method: &Method) -> bool {
    methods.contains(method) || (method == Method::HEAD && methods.contains(&Method::GET))
}

fn headers_fit(wanted: &[HeaderMatch], subject: &Subject) -> bool {
    wanted.iter().all(|header| {
        let mut values = subject.request.headers.get_all(&header.name).iter();
        match &header.value {
            Some(wanted) => values.any(|value| value == wanted),
            None => values.next().is_some(),
        }
    })
}
