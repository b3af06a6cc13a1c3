//! What the operator wrote, made into what the workers read.
//!
//! [`load`] reads `weir.toml` ([`raw`]: the syntax, every key known, every value with its place in the file) and resolves it
//! into [`Config`] (names looked up, files read, defaults filled in). All errors of a file are reported at once ([`Report`]),
//! and nothing binds, opens or switches before there are none.
//!
//! The types in this file are what the rest of Weir sees. They hold no strings that still need parsing.

mod caching;
mod compression;
pub mod endpoint;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod limit_table;
mod limits;
mod raw;
pub mod reference;
mod report;
mod resolve;
pub mod settings;
pub(crate) mod suggest;
pub mod tcp;
mod tls;
pub mod units;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use ipnet::IpNet;

use crate::proxy_protocol;

pub use caching::{CacheRules, DiskCache, ParameterPattern, Query, SetCookie};
pub use compression::{Coding, Compression, MediaType};
pub use endpoint::{Endpoint, Place};
pub use limits::{ClientLimits, Concurrency};
pub use report::{Position, Problem, Report, Style};
pub use resolve::load_certificate;
pub use tcp::{Carries, TcpRoute};
pub use tls::{
    CertificateFiles, ClientCertificates, Forwarded, Hsts, ListenerTls, Resumption, TlsVersion, UpstreamTls, Verify,
};

/// Largest configuration file that is read, in bytes.
const LARGEST_FILE: u64 = 4 << 20;

/// Reads and resolves a configuration file.
///
/// # Errors
/// With everything that is wrong with the file, or with why it cannot be read.
pub fn load(path: &Path) -> Result<Config, Report> {
    load_with(path, Outside::Consult)
}

/// Reads and resolves a configuration file, with or without what it refers to.
///
/// # Errors
/// With everything that is wrong with the file, or with why it cannot be read.
pub fn load_with(path: &Path, outside: Outside) -> Result<Config, Report> {
    parse_with(&read(path)?, path, outside)
}

/// Resolves the text of a configuration file. Relative paths in it start at the folder of `source`.
///
/// # Errors
/// With everything that is wrong with the text.
pub fn parse(text: &str, source: &Path) -> Result<Config, Report> {
    parse_with(text, source, Outside::Consult)
}

/// Resolves the text of a configuration file, with or without what it refers to.
///
/// # Errors
/// With everything that is wrong with the text.
pub fn parse_with(text: &str, source: &Path, outside: Outside) -> Result<Config, Report> {
    let problems = report::Problems::default();
    let (document, syntax) = toml::de::DeTable::parse_recoverable(text);
    for error in &syntax {
        let (message, label) = match error.message().split_once(", expected ") {
            Some((message, expected)) => (message, format!("expected {expected}")),
            None if error.message() == "duplicate key" => ("duplicate key", "it stands above already".to_owned()),
            None => (error.message(), String::new()),
        };
        problems.note(error.span().unwrap_or_default(), message, label);
    }
    if !problems.is_empty() {
        // What stands around a syntax error may be read wrongly, and mistakes found in it would mislead.
        return Err(Report::new(source, text, problems));
    }
    let folder = source.parent().unwrap_or(Path::new(""));
    let context = raw::Context {
        problems: &problems,
        folder,
        outside,
    };
    let config = resolve::config(&raw::Table::root(context, document.get_ref()), source);
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(Report::new(source, text, problems))
    }
}

/// Only the `[admin]` section, for commands that speak to a Weir that runs: they work while the rest of the file is being
/// edited, and where there is no file, with the defaults.
#[must_use]
pub fn admin(path: &Path) -> Admin {
    let text = read(path).unwrap_or_default();
    let problems = report::Problems::default();
    let (document, _) = toml::de::DeTable::parse_recoverable(&text);
    let folder = path.parent().unwrap_or(Path::new(""));
    let context = raw::Context {
        problems: &problems,
        folder,
        outside: Outside::Consult,
    };
    resolve::admin(&raw::Table::root(context, document.get_ref()))
}

/// Whether what a configuration refers to (certificates, bundles, host names) is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// Files are read and names resolved, as running needs it.
    Consult,
    /// Only the text counts, for checks on another machine. The result is not fit to run: host names stand for `0.0.0.0`.
    Ignore,
}

fn read(path: &Path) -> Result<String, Report> {
    use std::io::Read as _;

    let refuse = |message: String, help: &str| Report::whole_file(path, message, help);
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Err(refuse(
            format!("the configuration cannot be read: {error}"),
            "name a readable file with --config",
        ));
    }
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(refuse(
            "the configuration is larger than 4 MiB".to_owned(),
            "large lists belong in plugin tables",
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = error
            .as_bytes()
            .iter()
            .take(error.utf8_error().valid_up_to())
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        refuse(format!("line {line} is not UTF-8"), "save the file as UTF-8")
    })
}

/// A whole, valid configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file that it was read from; reload reads it again.
    pub source: PathBuf,
    /// Worker threads. Default: one a core.
    pub workers: usize,
    /// Where clients connect. At least one.
    pub listeners: Vec<Listener>,
    /// In the order of the file; `exchange::route` ranks them.
    pub routes: Vec<Route>,
    /// Connections that are balanced as bytes, in the order of the file.
    pub tcp_routes: Vec<TcpRoute>,
    /// The pools of servers that routes name by index.
    pub upstreams: Vec<Upstream>,
    /// The shared memory cache.
    pub cache: Cache,
    /// The operator's own port.
    pub admin: Admin,
    /// One line an exchange.
    pub access_log: AccessLog,
    /// Defaults for routes.
    pub timeouts: Timeouts,
    /// Bounds on what clients may send.
    pub limits: Limits,
    /// HTTP/2 with clients.
    pub http2: Http2,
    /// Plugins and their state on disk.
    pub plugins: Plugins,
    /// Peers whose `X-Forwarded-For`/`Forwarded` is believed. Default: none.
    pub trusted_proxies: Vec<IpNet>,
    /// The name in `Via` (RFC 9110 §7.6.3). Default `weir`.
    pub via: String,
    /// The name in `CDN-Loop` (RFC 8586). Default: none, and the field is passed on as it is.
    pub cdn_id: Option<String>,
    /// How responses are compressed, on the routes that ask for it.
    pub compression: Compression,
    /// How long SIGTERM waits for running exchanges. Default 30 s.
    pub drain: Duration,
    /// How long a process that has been replaced waits for what it still serves. Default 1 h.
    pub retire: Duration,
}

/// A place where clients connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// For logs and metrics. Default: the address.
    pub name: Arc<str>,
    /// Where it listens. At least one.
    pub places: Vec<Place>,
    /// How its sockets are bound.
    pub socket: SocketOptions,
    /// What it carries. Default HTTP.
    pub carries: Carries,
    /// TLS, where the listener speaks it.
    pub tls: Option<ListenerTls>,
    /// Offer HTTP/2: by ALPN, or in clear to clients that begin with it. Default true.
    pub http2: bool,
    /// Peers that begin each connection with a PROXY header. Default: none.
    pub proxy_protocol: Vec<IpNet>,
    /// Where requests in clear are sent instead of being served. Default: nowhere.
    pub redirect_https: Option<Redirect>,
}

/// Requests in clear are sent to the same host through TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redirect {
    /// Where clients reach TLS. Default 443.
    pub port: u16,
}

/// How a listener's sockets are bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketOptions {
    /// What `[::]` takes. Default [`IpVersions::OnlyV6`].
    pub v6: IpVersions,
    /// Permissions of a Unix socket's file. Default 0660.
    pub mode: u32,
}

/// Whether an IPv6 socket takes IPv4 connections too (`IPV6_V6ONLY`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpVersions {
    /// IPv6 alone.
    OnlyV6,
    /// IPv4 as mapped addresses, too.
    Both,
}

impl Redirect {
    /// To where clients look first.
    pub const DEFAULT: Self = Self { port: 443 };
}

/// Which requests go where.
#[derive(Debug, Clone)]
pub struct Route {
    /// For logs, metrics and plugins. Unique.
    pub name: Arc<str>,
    /// Any of these hosts; empty means every host.
    pub hosts: Vec<HostPattern>,
    /// The path.
    pub path: PathPattern,
    /// Any of these methods; empty means every method.
    pub methods: Vec<Method>,
    /// All of these headers.
    pub headers: Vec<HeaderMatch>,
    /// Index into [`Config::upstreams`].
    pub upstream: usize,
    /// Whether responses may be answered from and stored in the cache. Default false.
    pub cache: bool,
    /// What the cache does where messages leave it open.
    pub cache_rules: Arc<CacheRules>,
    /// Bytes of the slices in which large responses are stored. Default: none.
    pub slice: Option<u64>,
    /// Whether responses are compressed for clients that take it. Default false.
    pub compress: bool,
    /// Whether the active bundle's plugins see this route's requests. Default true.
    pub plugins: bool,
    /// Host header sent upstream. Default: the client's.
    pub host_header: HostHeader,
    /// Removed from the start of the path before it goes upstream. Default: nothing.
    pub strip_prefix: Option<String>,
    /// The configuration's timeouts, with what the route overrides.
    pub timeouts: Timeouts,
    /// Retries on another server after a failure that allows it. Default 1.
    pub retries: u32,
    /// Largest request body in bytes; 413 over it.
    pub max_body: u64,
    /// Whether requests in clear are served. Default: what the listener says.
    pub https: Option<Https>,
}

/// Whether a route serves requests in clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Https {
    /// It does.
    Any,
    /// They are sent to the same URL through TLS.
    Redirect,
}

/// A host in a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// This host, in lower case, without port.
    Exact(String),
    /// Any host that ends in `.` and this (`*.example.org`), with at least one label before.
    Suffix(String),
}

/// A path in a route.
#[derive(Debug, Clone)]
pub enum PathPattern {
    /// Exactly this path.
    Exact(String),
    /// This path and what lies under it, by whole segments: `/api` is not a prefix of `/apis`.
    Prefix(String),
    /// A regular expression over the whole path.
    Pattern(regex::bytes::Regex),
}

/// A header in a route.
#[derive(Debug, Clone)]
pub struct HeaderMatch {
    /// The header.
    pub name: HeaderName,
    /// What its value has to be; `None` asks only for its presence.
    pub value: Option<HeaderValue>,
}

/// The Host header that goes upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostHeader {
    /// What the client sent.
    Client,
    /// The address of the server that was picked.
    Server,
    /// This.
    Fixed(HeaderValue),
}

/// A pool of servers.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Unique.
    pub name: Arc<str>,
    /// At least one.
    pub servers: Vec<Server>,
    /// How a server is picked.
    pub balance: Balance,
    /// Active health checks.
    pub health: Option<HealthCheck>,
    /// Passive ejection of servers that fail on traffic.
    pub ejection: Ejection,
    /// TLS towards the servers.
    pub tls: Option<UpstreamTls>,
    /// Idle connections kept per server and worker. Default 64.
    pub keep_alive: usize,
    /// An idle connection is closed after this. Default 60 s.
    pub idle_timeout: Duration,
    /// What the servers speak. Default HTTP/1.1.
    pub protocol: Protocol,
    /// Requests at once. Default: any number.
    pub concurrency: Concurrency,
    /// Whether servers are told of the client in a PROXY header. Default: no.
    pub proxy_protocol: Option<proxy_protocol::Version>,
}

/// One server of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `host:port` as written, for logs and metrics.
    pub name: Arc<str>,
    /// Resolved when the configuration is loaded.
    pub address: Endpoint,
    /// Share of the traffic, 1 to 1000. Default 1.
    pub weight: u32,
}

impl Server {
    /// What its `Host` field says: its address as written. A Unix socket has none, and is `localhost`.
    #[must_use]
    pub fn authority(&self) -> &str {
        authority(&self.name, &self.address)
    }
}

/// What a `Host` field says of a server, see [`Server::authority`].
#[must_use]
pub fn authority<'a>(name: &'a str, address: &Endpoint) -> &'a str {
    match address {
        Endpoint::Tcp(_) => name,
        Endpoint::Unix(_) => "localhost",
    }
}

/// How a server is picked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Balance {
    /// In turn, by weight, smoothly interleaved.
    RoundRobin,
    /// The one with the fewest running requests for its weight.
    LeastRequests,
    /// By a consistent hash of this.
    ConsistentHash(HashKey),
}

/// What a consistent hash is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashKey {
    /// The client's address.
    ClientIp,
    /// Path and query.
    Target,
    /// A header; requests without it go by the client's address.
    Header(HeaderName),
    /// A cookie; requests without it go by the client's address.
    Cookie(String),
}

/// Active health checks of every server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is done. Default a GET.
    pub kind: CheckKind,
    /// Default `/`.
    pub path: String,
    /// The Host header of the check. Default: the server's address.
    pub host: Option<HeaderValue>,
    /// Between checks. Default 5 s.
    pub interval: Duration,
    /// For the whole check. Default 2 s.
    pub timeout: Duration,
    /// Checks in a row that bring a server back. Default 2.
    pub healthy_after: u32,
    /// Failures in a row that take it out. Default 3.
    pub unhealthy_after: u32,
    /// Statuses that count as healthy, inclusive ranges. Default 200-399.
    pub statuses: Vec<(u16, u16)>,
}

/// What a health check does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckKind {
    /// A GET, and its status counts.
    Http,
    /// A connection, with TLS where traffic has it.
    Tcp,
}

/// Passive ejection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ejection {
    /// Consecutive failures (connect errors, timeouts, resets, malformed responses) that eject a server; 0 is never.
    /// Default 5.
    pub failures: u32,
    /// How long it stays out the first time; doubles each time it is ejected again, up to ten times this. Default 10 s.
    pub duration: Duration,
    /// Never more than this share of the servers at once, in percent; at least one server stays. Default 50.
    pub max_percent: u32,
}

/// The shared memory cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// Bytes of bodies, headers, keys and bookkeeping. 0 turns the cache off. Default 64 MiB.
    pub size: u64,
    /// Largest object stored, in bytes. Default 1 MiB.
    pub max_object: u64,
    /// How long a request waits for another one that fetches the same object, and for a turn at its origin. Default 5 s.
    pub coalesce_timeout: Duration,
    /// Fetches that one upstream gets at once from the cache of this process. Default 1000.
    pub origin_fetches: usize,
    /// The tier below memory; off without it.
    pub disk: Option<DiskCache>,
    /// Bans that are kept. Default 1000.
    pub bans: usize,
    /// Who may purge with the method `PURGE`. Default: nobody.
    pub purge_from: Vec<IpNet>,
    /// What becomes of `Surrogate-Key` and `Cache-Tag` in answers. Default [`Tags::Strip`].
    pub tags: Tags,
    /// What Weir is called in `Cache-Status` (RFC 9211); `None` where it says nothing there. Default `weir`.
    pub status: Option<Box<str>>,
    /// Whether `Cache-Status` shows the key. Default false.
    pub status_key: bool,
}

/// What becomes of the fields with tags in answers to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tags {
    /// They are removed.
    Strip,
    /// They are passed on, for a cache in front of this Weir.
    Pass,
}

/// The operator's own port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Default 127.0.0.1:9180. `None` turns it off.
    pub address: Option<SocketAddr>,
    /// Bearer token asked of every call that changes something. Required when the address is not loopback.
    pub token: Option<String>,
}

/// The access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    /// Default [`LogFormat::Text`].
    pub format: LogFormat,
    /// `None` is standard output.
    pub file: Option<PathBuf>,
    /// Where events of plugins go. `None` is among the lines.
    pub events: Option<PathBuf>,
}

/// How an access log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// No access log.
    Off,
    /// One readable line.
    Text,
    /// One JSON object a line.
    Json,
}

/// How long each stage may take. Zero is not allowed; a stage without an end is written `"off"` where it makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// PROXY header and TLS handshake with a client. Default 10 s.
    pub handshake: Duration,
    /// A whole request head, from its first byte; also how long a new connection may say nothing. Default 10 s.
    pub header: Duration,
    /// Between two reads of a request body. Default 30 s.
    pub body: Duration,
    /// A kept-alive client connection without a request. Default 60 s.
    pub keep_alive: Duration,
    /// A client that has closed its side: without a byte of its answer for so long, its request is given up. Default 1 s.
    pub client_fin: Duration,
    /// TCP and TLS to a server. Default 2 s.
    pub connect: Duration,
    /// From the request sent to the response head. Default 60 s.
    pub response: Duration,
    /// Between two reads of a response body, and between two writes that the client accepts. Default 60 s.
    pub idle: Duration,
    /// An upgraded connection (WebSocket) without a byte in either direction. Default 1 h.
    pub tunnel: Duration,
    /// A client's connection older than this is closed after its exchange, or its streams. Default: never.
    pub lifetime: Duration,
}

/// Bounds on what clients may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a whole request head: 431 over it. Default 64 KiB.
    pub header_bytes: usize,
    /// Number of header lines: 431 over it. Default 100.
    pub headers: usize,
    /// Bytes of the request target: 414 over it. Default 16 KiB.
    pub target: usize,
    /// Bytes of a request body: 413 over it. Default 1 GiB.
    pub body: u64,
    /// Client connections at once, all workers together; the newest are refused over it. Default 100,000.
    pub connections: usize,
    /// What one network of clients may have. Default: anything.
    pub client: ClientLimits,
    /// Requests on one connection, after which it is closed; 0 is any number. Default 0.
    pub requests_per_connection: u64,
    /// Bytes a second that a body has to pass at, once `timeouts.body` has been waited in all; 0 is none. Default 240.
    pub body_rate: u64,
    /// Bytes of bodies that plugins hold, all workers together: 503 over it. Default 256 MiB.
    pub held_bodies: u64,
    /// HTTP/2 streams a connection may have open. Default 100.
    pub streams: u32,
}

/// What is spoken to servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: by ALPN through TLS, with prior knowledge in clear.
    Http2,
}

/// HTTP/2 with clients: windows, and what a connection may do before it is ended. Counts are of one connection and ten seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http2 {
    /// Bytes that a client may send on a stream before Weir has passed them on. Default 256 KiB.
    pub stream_window: u32,
    /// The same for all streams of a connection. Default 1 MiB.
    pub connection_window: u32,
    /// How long a response may wait for the client's window. Default 20 s.
    pub stall: Duration,
    /// Streams that the client resets before their response is complete. Default 200.
    pub resets: u32,
    /// Streams that Weir has to reset for a fault of the client. Default 50.
    pub stream_errors: u32,
    /// CONTINUATION frames of one header block. Default 32.
    pub continuations: u32,
    /// PING frames. Default 100.
    pub pings: u32,
    /// SETTINGS frames. Default 50.
    pub settings: u32,
    /// WINDOW_UPDATE frames. Default 500.
    pub window_updates: u32,
    /// PRIORITY frames and frames of unknown types. Default 200.
    pub priorities: u32,
    /// Frames without content that end nothing. Default 100.
    pub empty_frames: u32,
}

impl Default for Http2 {
    fn default() -> Self {
        Self {
            stream_window: 256 * 1024,
            connection_window: 1024 * 1024,
            stall: Duration::from_secs(20),
            resets: 200,
            stream_errors: 50,
            continuations: 32,
            pings: 100,
            settings: 50,
            window_updates: 500,
            priorities: 200,
            empty_frames: 100,
        }
    }
}

/// Plugins and their state on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugins {
    /// The bundle that is activated at the start when no generation was deployed before. Default: none.
    pub bundle: Option<PathBuf>,
    /// Generations for rollback and compiled artefacts. Default `/var/lib/weir`.
    pub state: PathBuf,
    /// Generations kept for rollback. Default 5.
    pub keep: usize,
    /// Bytes of counters, all spaces together. Default 64 MiB.
    pub counters: u64,
    /// Bytes of plugin key-value data, all plugins together. Default 64 MiB.
    pub kv: u64,
}

#[cfg(test)]
mod tests;
