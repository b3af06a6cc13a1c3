//! From tables of values to the types that the workers read: names are looked up, files read, defaults filled in.

mod cache;
mod certificate;
mod compression;
mod http2;
mod listener;
mod route;
mod tcp;
mod tls;
mod upstream;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;

use ipnet::IpNet;

use super::raw::{At, Table};
use super::settings;
use super::units;
use super::{AccessLog, Admin, Carries, ClientLimits, Config, Limits, LogFormat, Outside, Plugins, Timeouts};

pub use certificate::load_certificate;

/// The whole file. What it returns is only valid when no problem was noted.
pub(super) fn config(root: &Table<'_>, source: &Path) -> Config {
    let timeouts = timeouts(&root.table_or_defaults("timeouts", &settings::TIMEOUTS));
    let limits = limits(&root.table_or_defaults("limits", &settings::LIMITS));
    let listeners = listener::listeners(root);
    let upstreams = upstream::upstreams(root);
    let cache = root.table_or_defaults("cache", &settings::CACHE);
    let http = listeners.iter().any(|listener| listener.carries == Carries::Http);
    if http || listeners.is_empty() {
        root.require("route");
    }
    let tcp_routes = tcp::routes(root, &listeners, &upstreams, &timeouts);
    let routes = route::routes(root, &upstreams, &timeouts, &limits, &cache::rules(&cache));
    Config {
        source: source.to_owned(),
        workers: root.integer_if_given("workers").unwrap_or_else(cores),
        listeners,
        routes,
        tcp_routes,
        upstreams,
        cache: cache::cache(&cache),
        admin: admin(root),
        access_log: access_log(&root.table_or_defaults("access_log", &settings::ACCESS_LOG)),
        timeouts,
        limits,
        http2: http2::http2(&root.table_or_defaults("http2", &settings::HTTP2)),
        plugins: plugins(&root.table_or_defaults("plugins", &settings::PLUGINS)),
        trusted_proxies: networks(root, "trusted_proxies"),
        via: via(root),
        cdn_id: cdn_id(root),
        compression: compression::compression(&root.table_or_defaults("compression", &settings::COMPRESSION)),
        drain: root.duration("drain"),
        retire: root.duration("retire"),
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

fn timeouts(table: &Table<'_>) -> Timeouts {
    Timeouts {
        handshake: table.duration("handshake"),
        header: table.duration("header"),
        body: table.duration("body"),
        keep_alive: table.duration("keep_alive"),
        client_fin: table.duration("client_fin"),
        connect: table.duration("connect"),
        response: table.duration("response"),
        idle: table.duration("idle"),
        tunnel: table.duration("tunnel"),
        lifetime: table.duration_or("lifetime", units::NEVER),
    }
}

fn limits(table: &Table<'_>) -> Limits {
    let bytes = |key| usize::try_from(table.size(key)).unwrap_or(usize::MAX);
    Limits {
        header_bytes: bytes("header_bytes"),
        headers: table.integer("headers"),
        target: bytes("target"),
        body: table.size("body"),
        connections: table.integer("connections"),
        client: ClientLimits {
            connections: table.integer("client_connections"),
            connection_rate: table.integer("client_connection_rate"),
            request_rate: table.integer("client_request_rate"),
            prefix_v4: table.integer("client_prefix_v4"),
            prefix_v6: table.integer("client_prefix_v6"),
            networks: table.integer("client_networks"),
        },
        requests_per_connection: table.integer("requests_per_connection"),
        body_rate: table.size("body_rate"),
        held_bodies: table.size("held_bodies"),
        streams: table.integer("streams"),
    }
}

/// `[admin]`, which the commands that speak to a running Weir read alone.
pub(super) fn admin(root: &Table<'_>) -> Admin {
    let table = &root.table_or_defaults("admin", &settings::ADMIN);
    let At { value, span } = table.text_or_default("address");
    let address = match value {
        "off" => None,
        _ => socket_address(
            table,
            "address",
            &At {
                value,
                span: span.clone(),
            },
        ),
    };
    let token = admin_token(table);
    if address.is_some_and(|address| !address.ip().is_loopback()) && token.is_none() {
        table.problem(
            span,
            "the admin API would be open to the network",
            "set `token` or `token_file`, or listen on 127.0.0.1",
        );
    }
    Admin { address, token }
}

fn admin_token(table: &Table<'_>) -> Option<String> {
    /// Below this a token can be guessed.
    const SHORTEST: usize = 16;
    let token = table.text("token");
    let file = table.path("token_file");
    let (token, span) = match (token, file) {
        (Some(_), Some(file)) => {
            table.problem(file.span, "`token` and `token_file` are both given", "keep one of them");
            return None;
        }
        (Some(token), None) => (token.value.to_owned(), token.span),
        (None, Some(file)) if table.context.outside == Outside::Ignore => {
            return Some(file.value.display().to_string());
        }
        (None, Some(file)) => match std::fs::read_to_string(&file.value) {
            Ok(text) => (text.trim().to_owned(), file.span),
            Err(error) => {
                table.problem(
                    file.span,
                    format!("{} cannot be read: {error}", file.value.display()),
                    "a readable file",
                );
                return None;
            }
        },
        (None, None) => return None,
    };
    let printable = token.bytes().all(|byte| byte.is_ascii_graphic());
    if !printable || token.len() < SHORTEST {
        let label = format!("at least {SHORTEST} printable ASCII characters without spaces");
        table.problem(span, "the admin token is not usable", label);
    }
    Some(token)
}

fn access_log(table: &Table<'_>) -> AccessLog {
    let format = match table.choice("format") {
        "off" => LogFormat::Off,
        "json" => LogFormat::Json,
        _ => LogFormat::Text,
    };
    let file = |key| {
        let file = table.path(key)?;
        require_folder(table, &file.value, file.span);
        Some(file.value)
    };
    AccessLog {
        format,
        file: file("file"),
        events: file("events"),
    }
}

fn plugins(table: &Table<'_>) -> Plugins {
    let bundle = table.path("bundle");
    if let Some(At { value, span }) = &bundle
        && table.context.outside == Outside::Consult
        && !value.exists()
    {
        table.problem(
            span.clone(),
            format!("there is no bundle at {}", value.display()),
            "a folder with bundle.toml, or its tar",
        );
    }
    let state = table.text_or_default("state");
    Plugins {
        bundle: bundle.map(|bundle| bundle.value),
        state: table.context.folder.join(state.value),
        keep: table.integer("keep"),
        counters: table.size("counters"),
        kv: table.size("kv"),
    }
}

fn networks(table: &Table<'_>, key: &str) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for At { value, span } in table.texts(key) {
        let network = value
            .parse::<IpNet>()
            .or_else(|_| value.parse::<std::net::IpAddr>().map(IpNet::from));
        match network {
            Ok(network) => networks.push(network.trunc()),
            Err(_) => table.problem(
                span,
                format!("\"{value}\" is no network"),
                "an address or a network: \"10.0.0.0/8\", \"2001:db8::/32\"",
            ),
        }
    }
    networks
}

/// RFC 8586 §2: a host with or without a port, or a token.
fn cdn_id(root: &Table<'_>) -> Option<String> {
    let At { value, span } = root.text("cdn_id")?;
    if !value.bytes().all(|byte| is_token(byte) || b":[]".contains(&byte)) {
        root.problem(
            span,
            "`cdn_id` cannot stand in `CDN-Loop`",
            "a name of this group of servers: \"edge.example.org\"",
        );
    }
    Some(value.to_owned())
}

fn via(root: &Table<'_>) -> String {
    let At { value, span } = root.text_or_default("via");
    // A pseudonym is a token (RFC 9110 §7.6.3).
    if !value.bytes().all(is_token) {
        root.problem(
            span,
            "`via` cannot stand in a header",
            "letters, digits, `-`, `_` and `.`",
        );
    }
    value.to_owned()
}

/// An IP address and a port.
fn socket_address(table: &Table<'_>, key: &str, text: &At<&str>) -> Option<SocketAddr> {
    let address = text.value.parse().ok();
    if address.is_none() {
        let label = match text.value.strip_prefix(':').or_else(|| text.value.strip_prefix("*:")) {
            Some(port) if port.parse::<u16>().is_ok() => {
                format!("for every address: \"0.0.0.0:{port}\" or \"[::]:{port}\"")
            }
            _ if text.value.parse::<std::net::IpAddr>().is_ok() => "the port is missing".to_owned(),
            _ => "an IP address and a port: \"127.0.0.1:8080\", \"[::1]:8080\"".to_owned(),
        };
        table.problem(text.span.clone(), format!("`{key}` is no socket address"), label);
    }
    address
}

fn require_folder(table: &Table<'_>, file: &Path, span: std::ops::Range<usize>) {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    if table.context.outside == Outside::Consult
        && let Some(folder) = folder
        && !folder.is_dir()
    {
        table.problem(
            span,
            format!("there is no folder {}", folder.display()),
            "a file in a folder that exists",
        );
    }
}

/// The names of one kind of table, which logs and metrics tell them apart by.
struct Names<'a> {
    /// What has them, in the plural.
    kind: &'static str,
    taken: HashSet<&'a str>,
}

impl<'a> Names<'a> {
    fn of(kind: &'static str) -> Self {
        Self {
            kind,
            taken: HashSet::new(),
        }
    }

    /// Reports a name that another table has, or that would make label values and log lines unreadable.
    fn check(&mut self, table: &Table<'_>, name: &At<&'a str>) {
        const LONGEST: usize = 64;
        if name.value.len() > LONGEST || name.value.chars().any(|char| char.is_control() || char.is_whitespace()) {
            let label = format!("at most {LONGEST} bytes, without spaces");
            table.problem(name.span.clone(), "the name is not usable in logs and metrics", label);
        }
        if !self.taken.insert(name.value) {
            let message = format!("two {} are named `{}`", self.kind, name.value);
            table.problem(name.span.clone(), message, "give this one a unique `name`");
        }
    }
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
