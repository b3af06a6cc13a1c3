//! `[[route]]`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method};
use regex::bytes::{Regex, RegexBuilder};
use toml::de::DeValue;

use super::super::raw::{At, Table, kind_of};
use super::super::settings;
use super::super::suggest::nearest;
use super::super::{
    CacheRules, HeaderMatch, HostHeader, HostPattern, Https, Limits, PathPattern, Route, Timeouts, Upstream,
};
use super::Names;
use super::cache::route_rules;
use super::upstream::is_host_name;

pub(super) fn routes(
    root: &Table<'_>,
    upstreams: &[Upstream],
    timeouts: &Timeouts,
    limits: &Limits,
    cache_rules: &Arc<CacheRules>,
) -> Vec<Route> {
    let indices: HashMap<&str, usize> = upstreams
        .iter()
        .enumerate()
        .rev()
        .map(|(index, upstream)| (&*upstream.name, index))
        .collect();
    let mut taken = Taken::default();
    let mut names = Names::of("routes");
    let mut routes: Vec<Route> = Vec::new();
    for table in root.tables("route", &settings::ROUTE) {
        let upstream_name = table.required_text("upstream");
        let upstream = upstream_name
            .as_ref()
            .and_then(|name| find_upstream(&table, &indices, name));
        let name = table.text("name").or(upstream_name);
        if let Some(name) = &name {
            names.check(&table, name);
        }
        let path = path(&table);
        let strip_prefix = strip_prefix(&table, &path);
        let route = Route {
            name: name.map_or("", |name| name.value).into(),
            hosts: host_patterns(&table, "hosts"),
            path,
            methods: methods(&table),
            headers: headers(&table),
            upstream: upstream.unwrap_or_default(),
            cache: table.flag("cache"),
            cache_rules: route_rules(cache_rules, &table),
            slice: table.has("slice").then(|| table.size("slice")),
            compress: table.flag("compress"),
            plugins: table.flag("plugins"),
            host_header: host_header(&table),
            strip_prefix,
            timeouts: overridden(
                timeouts,
                &table.table_or_defaults("timeouts", &settings::ROUTE_TIMEOUTS),
            ),
            retries: table.integer("retries"),
            max_body: table.size_or("max_body", limits.body),
            https: table.choice_if_given("https").map(|word| match word {
                "redirect" => Https::Redirect,
                _ => Https::Any,
            }),
        };
        refuse_unreachable(&table, &route, &routes, &taken);
        taken.add(routes.len(), &route);
        routes.push(route);
    }
    routes
}

pub(super) fn find_upstream(table: &Table<'_>, indices: &HashMap<&str, usize>, name: &At<&str>) -> Option<usize> {
    const SHOWN: usize = 8;
    let found = indices.get(name.value).copied();
    if found.is_none() {
        let mut names: Vec<_> = indices.keys().copied().filter(|name| !name.is_empty()).collect();
        names.sort_unstable();
        let label = match nearest(name.value, names.iter().copied()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None if names.is_empty() => "add an [[upstream]] with this name".to_owned(),
            None => {
                let more = if names.len() > SHOWN { ", …" } else { "" };
                let names: Vec<_> = names.iter().take(SHOWN).map(|name| format!("\"{name}\"")).collect();
                format!("there are {}{more}", names.join(", "))
            }
        };
        table.problem(
            name.span.clone(),
            format!("there is no upstream `{}`", name.value),
            label,
        );
    }
    found
}

pub(super) fn host_patterns(table: &Table<'_>, key: &str) -> Vec<HostPattern> {
    let mut hosts = Vec::new();
    let mut seen = HashSet::new();
    for At { value, span } in table.texts(key) {
        // The root's dot is left out of what requests are compared by.
        let lower = value.strip_suffix('.').unwrap_or(value).to_ascii_lowercase();
        let host = match lower.strip_prefix("*.") {
            Some(suffix) => HostPattern::Suffix(suffix.to_owned()),
            None => HostPattern::Exact(lower.clone()),
        };
        let name = match &host {
            HostPattern::Exact(name) | HostPattern::Suffix(name) => name,
        };
        if !is_host_name(name) && !is_ip_literal(name) {
            let label = match name {
                name if name.contains("://") => "without scheme: \"example.org\"",
                name if name.contains('*') => "a wildcard stands for the first labels only: \"*.example.org\"",
                name if name.contains(':') => "without port: \"example.org\"",
                name if !name.is_ascii() => "international names are written in their ASCII form (\"xn--…\")",
                _ => "\"example.org\" or \"*.example.org\"",
            };
            table.problem(span, format!("\"{value}\" is no host name"), label);
        } else if !seen.insert(lower.clone()) {
            table.problem(span, format!("\"{value}\" is listed twice"), "remove it");
        } else {
            hosts.push(host);
        }
    }
    hosts
}

/// `[::1]`, as in a Host header.
fn is_ip_literal(host: &str) -> bool {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok())
}

fn path(table: &Table<'_>) -> PathPattern {
    let given: Vec<_> = ["path", "path_prefix", "path_pattern"]
        .into_iter()
        .filter(|key| table.has(key))
        .collect();
    if let [first, .., last] = given.as_slice()
        && let Some(value) = table.other(last)
    {
        table.problem(
            value.span(),
            format!("a route has `{first}` and `{last}`"),
            "keep one of them",
        );
    }
    if let Some(text) = table.text("path") {
        check_path(table, "path", &text);
        return PathPattern::Exact(text.value.to_owned());
    }
    if let Some(text) = table.text("path_pattern")
        && let Some(pattern) = pattern(table, &text)
    {
        return PathPattern::Pattern(pattern);
    }
    match table.text("path_prefix") {
        Some(text) => {
            check_path(table, "path_prefix", &text);
            match text.value.trim_end_matches('/') {
                "" => PathPattern::Prefix("/".to_owned()),
                prefix => PathPattern::Prefix(prefix.to_owned()),
            }
        }
        None => PathPattern::Prefix("/".to_owned()),
    }
}

fn check_path(table: &Table<'_>, key: &str, text: &At<&str>) {
    let bytes = text.value.as_bytes();
    let label = if !text.value.starts_with('/') {
        "a path begins with `/`"
    } else if bytes.contains(&b'?') || bytes.contains(&b'#') {
        "a path has no query and no fragment"
    } else if text.value.contains('*') && key != "path_pattern" {
        "`*` has no meaning here; use `path_prefix` or `path_pattern`"
    } else if !bytes.iter().all(u8::is_ascii_graphic) {
        "as it stands in a request: other characters percent-encoded"
    } else {
        return;
    };
    table.problem(text.span.clone(), format!("`{key}` is no path"), label);
}

/// The pattern, anchored at both ends.
fn pattern(table: &Table<'_>, text: &At<&str>) -> Option<Regex> {
    /// A pattern over a path needs far less; it bounds the work that a configuration can ask for.
    const LARGEST: usize = 1 << 20;
    let build = |pattern: &str| {
        RegexBuilder::new(pattern)
            .size_limit(LARGEST)
            .dfa_size_limit(LARGEST)
            .build()
    };
    match build(text.value).and_then(|_| build(&format!(r"\A(?:{})\z", text.value))) {
        Ok(regex) => Some(regex),
        Err(error) => {
            let reason = match &error {
                regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
                // The last line of the error says what is wrong; those above repeat the pattern.
                other => {
                    let text = other.to_string();
                    let last = text.lines().last().unwrap_or_default().trim();
                    last.strip_prefix("error: ").unwrap_or(last).to_owned()
                }
            };
            table.problem(text.span.clone(), "`path_pattern` is no regular expression", reason);
            None
        }
    }
}

fn methods(table: &Table<'_>) -> Vec<Method> {
    let mut methods = Vec::new();
    for At { value, span } in table.texts("methods") {
        match Method::from_bytes(value.as_bytes()) {
            Ok(_) if value.bytes().any(|byte| byte.is_ascii_lowercase()) => {
                let label = format!("methods are written in capitals: \"{}\"", value.to_ascii_uppercase());
                table.problem(span, format!("no client sends the method \"{value}\""), label);
            }
            Ok(method) if methods.contains(&method) => {
                table.problem(span, format!("\"{value}\" is listed twice"), "remove it");
            }
            Ok(method) => methods.push(method),
            Err(_) => table.problem(span, format!("\"{value}\" is no method"), "for example \"GET\""),
        }
    }
    methods
}

fn headers(table: &Table<'_>) -> Vec<HeaderMatch> {
    const EXPECTED: &str = "a table: { \"x-canary\" = \"1\", authorization = true }";
    let Some(value) = table.other("headers") else {
        return Vec::new();
    };
    let DeValue::Table(entries) = value.get_ref() else {
        table.wrong_kind("headers", value, EXPECTED);
        return Vec::new();
    };
    let mut headers: Vec<HeaderMatch> = Vec::new();
    for (key, value) in entries.iter() {
        let Ok(name) = HeaderName::from_bytes(key.get_ref().as_bytes()) else {
            table.problem(
                key.span(),
                format!("`{}` is no header name", key.get_ref()),
                "letters, digits and `-`",
            );
            continue;
        };
        if headers.iter().any(|header| header.name == name) {
            table.problem(
                key.span(),
                format!("the header `{name}` is listed twice"),
                "names compare without case",
            );
        }
        let value = match value.get_ref() {
            DeValue::Boolean(true) => None,
            DeValue::String(text) => match HeaderValue::from_str(text) {
                Ok(value) => Some(value),
                Err(_) => {
                    table.problem(value.span(), "the value cannot stand in a header", "visible characters");
                    continue;
                }
            },
            other => {
                let message = format!("the header `{name}` is compared with {}", kind_of(other));
                table.problem(value.span(), message, "a string, or true to ask only for its presence");
                continue;
            }
        };
        headers.push(HeaderMatch { name, value });
    }
    headers
}

fn host_header(table: &Table<'_>) -> HostHeader {
    const EXPECTED: &str = "\"client\", \"server\" or \"=app.internal\"";
    let At { value, span } = table.text_or_default("host_header");
    match value {
        "client" => HostHeader::Client,
        "server" => HostHeader::Server,
        fixed => {
            let host = fixed
                .strip_prefix('=')
                .filter(|host| host.parse::<http::uri::Authority>().is_ok());
            match host.and_then(|host| HeaderValue::from_str(host).ok()) {
                Some(host) => HostHeader::Fixed(host),
                None => {
                    table.problem(span, format!("`host_header` cannot be \"{fixed}\""), EXPECTED);
                    HostHeader::Client
                }
            }
        }
    }
}

fn strip_prefix(table: &Table<'_>, path: &PathPattern) -> Option<String> {
    let text = table.text("strip_prefix")?;
    check_path(table, "strip_prefix", &text);
    let prefix = text.value.trim_end_matches('/');
    let begins = match path {
        PathPattern::Exact(path) | PathPattern::Prefix(path) => path
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        PathPattern::Pattern(_) => true,
    };
    if !begins {
        let label = format!("add path_prefix = \"{prefix}\"");
        table.problem(
            text.span,
            "not all requests of this route begin with `strip_prefix`",
            label,
        );
    }
    // `/` itself removes nothing.
    (!prefix.is_empty()).then(|| prefix.to_owned())
}

fn overridden(timeouts: &Timeouts, table: &Table<'_>) -> Timeouts {
    Timeouts {
        body: table.duration_or("body", timeouts.body),
        connect: table.duration_or("connect", timeouts.connect),
        response: table.duration_or("response", timeouts.response),
        idle: table.duration_or("idle", timeouts.idle),
        tunnel: table.duration_or("tunnel", timeouts.tunnel),
        ..timeouts.clone()
    }
}

/// Which routes take a host and path, so that a file of many routes is compared in one pass.
#[derive(Default)]
struct Taken(HashMap<(String, String), Vec<usize>>);

impl Taken {
    fn add(&mut self, index: usize, route: &Route) {
        for host in host_keys(route) {
            self.0.entry((host, path_key(&route.path))).or_default().push(index);
        }
    }
}

/// A route gets no request when earlier ones of equal rank take all of its hosts.
fn refuse_unreachable(table: &Table<'_>, route: &Route, earlier: &[Route], taken: &Taken) {
    let path = path_key(&route.path);
    let taken_by = |host: String| {
        let candidates = taken.0.get(&(host, path.clone()))?;
        candidates
            .iter()
            .filter_map(|index| earlier.get(*index))
            .find(|other| takes_methods(other, route) && same_headers(other, route))
    };
    let takers: Option<Vec<&Route>> = host_keys(route).into_iter().map(taken_by).collect();
    if let Some(taker) = takers.as_ref().and_then(|takers| takers.first()) {
        let message = format!("the route `{}` never gets a request", route.name);
        let label = format!(
            "the route `{}` above takes all of them: same hosts, path, methods and headers",
            taker.name
        );
        table.problem(table.span.clone(), message, label);
    }
}

/// A route without hosts is one for every host, which ranks differently from any named one.
fn host_keys(route: &Route) -> Vec<String> {
    if route.hosts.is_empty() {
        return vec!["*".to_owned()];
    }
    let key = |host: &HostPattern| match host {
        HostPattern::Exact(name) => name.clone(),
        HostPattern::Suffix(name) => format!("*.{name}"),
    };
    route.hosts.iter().map(key).collect()
}

fn path_key(path: &PathPattern) -> String {
    match path {
        PathPattern::Exact(path) => format!("={path}"),
        PathPattern::Prefix(path) => path.clone(),
        PathPattern::Pattern(pattern) => format!("~{}", pattern.as_str()),
    }
}

/// A route with methods outranks one without, so that only a route of its kind can take them.
fn takes_methods(earlier: &Route, route: &Route) -> bool {
    earlier.methods.is_empty() == route.methods.is_empty()
        && route.methods.iter().all(|method| earlier.methods.contains(method))
}

fn same_headers(left: &Route, right: &Route) -> bool {
    let equal = |one: &HeaderMatch, other: &HeaderMatch| one.name == other.name && one.value == other.value;
    left.headers.len() == right.headers.len()
        && left
            .headers
            .iter()
            .all(|one| right.headers.iter().any(|other| equal(one, other)))
}
