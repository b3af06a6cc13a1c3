//! `[[upstream]]`.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};

use http::{HeaderName, HeaderValue};
use toml::de::DeValue;

use super::super::raw::{At, Table, kind_of};
use super::super::settings;
use super::super::{
    Balance, CheckKind, Concurrency, Ejection, Endpoint, HashKey, HealthCheck, Outside, Protocol, Server, Upstream,
};
use super::Names;
use super::listener::unix_path;
use super::tls::upstream_tls;
use crate::proxy_protocol::Version;

pub(super) fn upstreams(root: &Table<'_>) -> Vec<Upstream> {
    root.require("upstream");
    let mut names = Names::of("upstreams");
    let mut upstreams = Vec::new();
    for table in root.tables("upstream", &settings::UPSTREAM) {
        let name = table.required_text("name");
        if let Some(name) = &name {
            names.check(&table, name);
        }
        if table.flag("http2") && table.choice("proxy_protocol") != "off" {
            table.problem(
                table.span.clone(),
                "`http2` and `proxy_protocol` exclude each other",
                "connections to HTTP/2 servers are shared by clients: remove one of them",
            );
        }
        upstreams.push(Upstream {
            name: name.map_or("", |name| name.value).into(),
            servers: servers(&table),
            balance: balance(&table),
            health: table.table("health", &settings::HEALTH).map(|table| health(&table)),
            ejection: ejection(&table.table_or_defaults("ejection", &settings::EJECTION)),
            tls: table
                .table("tls", &settings::UPSTREAM_TLS)
                .map(|table| upstream_tls(&table)),
            keep_alive: table.integer("keep_alive"),
            idle_timeout: table.duration("idle_timeout"),
            protocol: if table.flag("http2") {
                Protocol::Http2
            } else {
                Protocol::Http1
            },
            concurrency: Concurrency {
                total: table.integer("max_requests"),
                per_server: table.integer("max_requests_per_server"),
                queue: table.integer("queue"),
                queue_timeout: table.duration("queue_timeout"),
            },
            proxy_protocol: match table.choice("proxy_protocol") {
                "v1" => Some(Version::V1),
                "v2" => Some(Version::V2),
                _ => None,
            },
        });
    }
    upstreams
}

fn servers(upstream: &Table<'_>) -> Vec<Server> {
    const EXPECTED: &str = "a list: [\"10.0.0.1:8080\", { address = \"10.0.0.2:8080\", weight = 2 }]";
    upstream.require("servers");
    let Some(value) = upstream.other("servers") else {
        return Vec::new();
    };
    let DeValue::Array(items) = value.get_ref() else {
        upstream.wrong_kind("servers", value, EXPECTED);
        return Vec::new();
    };
    if items.is_empty() {
        upstream.problem(
            value.span(),
            "an upstream without servers",
            "at least one \"host:port\"",
        );
    }
    let mut servers: Vec<Server> = Vec::new();
    let mut seen = HashMap::new();
    for item in items {
        let (address, weight) = match item.get_ref() {
            DeValue::String(text) => (
                Some(At {
                    value: text.as_ref(),
                    span: item.span(),
                }),
                1,
            ),
            DeValue::Table(entries) => {
                let table = Table::of(upstream.context, &settings::SERVER, item.span(), entries);
                (table.required_text("address"), table.integer("weight"))
            }
            other => {
                upstream.problem(
                    item.span(),
                    format!("a server is {}", kind_of(other)),
                    format!("expected {EXPECTED}"),
                );
                continue;
            }
        };
        let Some(name) = address else { continue };
        if seen.insert(name.value, ()).is_some() {
            upstream.problem(
                name.span,
                format!("the server {} is listed twice", name.value),
                "give it a `weight` instead",
            );
            continue;
        }
        if let Some(address) = resolve(upstream, &name) {
            servers.push(Server {
                name: name.value.into(),
                address,
                weight,
            });
        }
    }
    servers
}

/// The address of `host:port`. Where a name has several, the first IPv4 address is taken: services on a name such as
/// `localhost` listen there more often than on IPv6.
fn resolve(upstream: &Table<'_>, name: &At<&str>) -> Option<Endpoint> {
    match unix_path(upstream, "address", name) {
        Some(path) => path,
        None => resolve_tcp(upstream, name).map(Endpoint::Tcp),
    }
}

fn resolve_tcp(upstream: &Table<'_>, name: &At<&str>) -> Option<SocketAddr> {
    let refuse = |message: String, label: &str| {
        upstream.problem(name.span.clone(), message, label);
        None
    };
    if let Ok(address) = name.value.parse::<SocketAddr>() {
        return match address.port() {
            0 => refuse(
                "a server's port is not 0".to_owned(),
                "the port that the server listens on",
            ),
            _ => Some(address),
        };
    }
    let Some((host, port)) = name.value.rsplit_once(':') else {
        let label = match name.value.starts_with('/') {
            true => "a Unix socket is written \"unix:/run/app.sock\"",
            false => "a server is written \"host:port\"",
        };
        return refuse(format!("`{}` has no port", name.value), label);
    };
    if name.value.contains("://") || name.value.contains('/') {
        return refuse(
            format!("`{}` is a URL", name.value),
            "a server is written \"host:port\"; TLS is [upstream.tls]",
        );
    }
    if host.contains(':') || name.value.parse::<IpAddr>().is_ok() {
        return refuse(
            format!("`{}` is no server", name.value),
            "an IPv6 address is written \"[::1]:8080\"",
        );
    }
    let Some(port) = port.parse::<u16>().ok().filter(|port| *port != 0) else {
        return refuse(format!("`{port}` is no port"), "a number from 1 to 65535");
    };
    if !is_host_name(host) {
        return refuse(format!("`{host}` is no host name"), "letters, digits, `-` and `.`");
    }
    if upstream.context.outside == Outside::Ignore {
        return Some(SocketAddr::from(([0, 0, 0, 0], port)));
    }
    match (host, port).to_socket_addrs() {
        Ok(addresses) => {
            let addresses: Vec<_> = addresses.collect();
            let preferred = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
            match preferred {
                Some(address) => Some(*address),
                None => refuse(
                    format!("the host `{host}` has no address"),
                    "a name that resolves, or an IP address",
                ),
            }
        }
        Err(error) => {
            upstream.context.problems.note_with_help(
                name.span.clone(),
                format!("the host `{host}` does not resolve"),
                "a name that resolves, or an IP address",
                format!("{error}"),
            );
            None
        }
    }
}

/// Underscores are no part of host names (RFC 952) but stand in the names of containers.
pub(super) fn is_host_name(host: &str) -> bool {
    const LONGEST: usize = 253;
    const LONGEST_LABEL: usize = 63;
    let host = host.strip_suffix('.').unwrap_or(host);
    host.len() <= LONGEST
        && host.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= LONGEST_LABEL
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        })
}

fn balance(upstream: &Table<'_>) -> Balance {
    let hash = upstream.text_or_default("hash");
    let key = hash_key(upstream, &hash);
    let balance = match upstream.choice("balance") {
        "consistent-hash" => return Balance::ConsistentHash(key),
        "least-requests" => Balance::LeastRequests,
        _ => Balance::RoundRobin,
    };
    if upstream.has("hash") {
        upstream.problem(
            hash.span,
            "`hash` has no effect here",
            "set balance = \"consistent-hash\", or remove it",
        );
    }
    balance
}

fn hash_key(upstream: &Table<'_>, text: &At<&str>) -> HashKey {
    const EXPECTED: &str = "\"client-ip\", \"target\", \"header:NAME\" or \"cookie:NAME\"";
    match text.value.split_once(':') {
        None if text.value == "client-ip" => return HashKey::ClientIp,
        None if text.value == "target" => return HashKey::Target,
        Some(("header", name)) => {
            if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
                return HashKey::Header(name);
            }
        }
        Some(("cookie", name)) if !name.is_empty() && name.bytes().all(super::is_token) => {
            return HashKey::Cookie(name.to_owned());
        }
        _ => {}
    }
    upstream.problem(
        text.span.clone(),
        format!("`hash` cannot be \"{}\"", text.value),
        EXPECTED,
    );
    HashKey::ClientIp
}

fn health(table: &Table<'_>) -> HealthCheck {
    let path = table.text_or_default("path");
    if http::uri::PathAndQuery::try_from(path.value).is_err() || !path.value.starts_with('/') {
        table.problem(path.span, "`path` is no path", "begins with `/`, without spaces");
    }
    let host = table
        .text("host")
        .and_then(|host| match HeaderValue::from_str(host.value) {
            Ok(value) => Some(value),
            Err(_) => {
                table.problem(host.span, "`host` cannot stand in a header", "a host name");
                None
            }
        });
    HealthCheck {
        kind: match table.choice("kind") {
            "tcp" => CheckKind::Tcp,
            _ => CheckKind::Http,
        },
        path: path.value.to_owned(),
        host,
        interval: table.duration("interval"),
        timeout: table.duration("timeout"),
        healthy_after: table.integer("healthy_after"),
        unhealthy_after: table.integer("unhealthy_after"),
        statuses: statuses(table),
    }
}

fn statuses(table: &Table<'_>) -> Vec<(u16, u16)> {
    if !table.has("statuses") {
        return vec![(200, 399)];
    }
    let mut ranges = Vec::new();
    for At { value, span } in table.texts("statuses") {
        let (first, last) = value.split_once('-').unwrap_or((value, value));
        match (first.trim().parse(), last.trim().parse()) {
            (Ok(first), Ok(last)) if (100..=599).contains(&first) && (first..=599).contains(&last) => {
                ranges.push((first, last));
            }
            _ => table.problem(
                span,
                format!("\"{value}\" is no status"),
                "100 to 599: \"200\" or \"200-299\"",
            ),
        }
    }
    ranges
}

fn ejection(table: &Table<'_>) -> Ejection {
    Ejection {
        failures: table.integer("failures"),
        duration: table.duration("duration"),
        max_percent: table.integer("max_percent"),
    }
}
