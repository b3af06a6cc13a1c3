//! What is configured of connections that are balanced as bytes.

use std::sync::Arc;
use std::time::Duration;

use super::HostPattern;

/// What a listener carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// HTTP, to the routes.
    Http,
    /// Bytes, to the TCP routes that name the listener.
    Tcp,
}

/// Which connections go where.
#[derive(Debug, Clone)]
pub struct TcpRoute {
    /// For logs and metrics. Unique among TCP routes.
    pub name: Arc<str>,
    /// The listener's name.
    pub listener: Arc<str>,
    /// Any of these names in the client's TLS handshake (SNI); empty means whatever no other route of the listener takes.
    pub server_names: Vec<HostPattern>,
    /// Index into [`Config::upstreams`](super::Config::upstreams).
    pub upstream: usize,
    /// Other servers that are tried when one cannot be connected to. Default 1.
    pub retries: u32,
    /// TCP and TLS to a server. Default: that of `[timeouts]`.
    pub connect_timeout: Duration,
    /// A connection without a byte in either direction. Default 1 h.
    pub idle_timeout: Duration,
}

impl TcpRoute {
    /// How well the route fits a name, for comparison: an exact name before a longer suffix before a shorter one before none.
    #[must_use]
    pub fn rank(&self, server_name: Option<&str>) -> Option<usize> {
        if self.server_names.is_empty() {
            return Some(0);
        }
        let name = server_name?;
        let fits = |pattern: &HostPattern| match pattern {
            HostPattern::Exact(exact) => (exact == name).then_some(usize::MAX),
            HostPattern::Suffix(suffix) => name
                .strip_suffix(suffix.as_str())
                .filter(|rest| rest.len() > 1 && rest.ends_with('.'))
                .map(|_| suffix.len()),
        };
        self.server_names.iter().filter_map(fits).max()
    }
}
