//! What is measured: a few words each.

use crate::bundles::Plugins;
use crate::peers::{Peer, Proxy};

/// One comparison.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    /// For the command line.
    pub(crate) name: &'static str,
    /// For the table.
    pub(crate) title: &'static str,
    /// Who takes part.
    pub(crate) peers: &'static [Peer],
    /// What is asked for.
    pub(crate) path: &'static str,
    /// In clear or not.
    pub(crate) scheme: &'static str,
    /// How it is asked for.
    pub(crate) client: Client,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    /// HTTP/1.1 with keep-alive on as many connections as the command line says.
    Http1,
    /// HTTP/2 with [`STREAMS`] requests at once on each of a few connections; in clear with prior knowledge.
    Http2,
}

/// Requests at once on a connection of HTTP/2: what servers allow at least (RFC 9113 §6.5.2).
pub(crate) const STREAMS: usize = 100;
/// Connections of HTTP/2. Their streams together are fewer than the connections that the proxies keep to the origin.
pub(crate) const HTTP2_CONNECTIONS: usize = 4;

use Client::{Http1, Http2};
use Peer::{Haproxy, Nginx, Varnish, Weir};

/// All of them.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "pass",
        title: "pass-through, 1 KiB, keep-alive",
        peers: &[Weir(Plugins::None), Nginx, Haproxy],
        path: "/",
        scheme: "http",
        client: Http1,
    },
    Scenario {
        name: "cache",
        title: "cache hit, 1 KiB",
        peers: &[Weir(Plugins::None), Nginx, Haproxy, Varnish],
        path: "/cached",
        scheme: "http",
        client: Http1,
    },
    Scenario {
        name: "cache-64k",
        title: "cache hit, 64 KiB, from memory",
        peers: &[Weir(Plugins::None), Nginx, Haproxy, Varnish],
        path: "/cached/64k",
        scheme: "http",
        client: Http1,
    },
    Scenario {
        name: "cache-disk",
        title: "cache hit, 1 MiB, from the page cache of the disk",
        peers: &[Weir(Plugins::None), Nginx],
        path: "/cached/1m",
        scheme: "http",
        client: Http1,
    },
    Scenario {
        name: "tls",
        title: "pass-through, TLS, keep-alive",
        peers: &[Weir(Plugins::None), Nginx, Haproxy],
        path: "/",
        scheme: "https",
        client: Http1,
    },
    Scenario {
        name: "large",
        title: "pass-through, 1 MiB, keep-alive",
        peers: &[Weir(Plugins::None), Nginx, Haproxy],
        path: "/large",
        scheme: "http",
        client: Http1,
    },
    Scenario {
        name: "h2",
        title: "pass-through, 1 KiB, HTTP/2, 100 streams",
        peers: &[Weir(Plugins::None), Nginx, Haproxy],
        path: "/",
        scheme: "http",
        client: Http2,
    },
    Scenario {
        name: "h2-tls",
        title: "pass-through, 1 KiB, HTTP/2, 100 streams, TLS",
        peers: &[Weir(Plugins::None), Nginx, Haproxy],
        path: "/",
        scheme: "https",
        client: Http2,
    },
    Scenario {
        name: "policy",
        title: "pass-through with four policy plugins, nothing fires",
        peers: &[Weir(Plugins::Policy), Weir(Plugins::None), Nginx, Haproxy],
        path: "/",
        scheme: "http",
        client: Http1,
    },
    Scenario {
        name: "plugins",
        title: "pass-through with all five plugins, nothing fires",
        peers: &[Weir(Plugins::All), Weir(Plugins::None), Nginx, Haproxy],
        path: "/",
        scheme: "http",
        client: Http1,
    },
];

impl Scenario {
    pub(crate) fn is_tls(&self) -> bool {
        self.scheme == "https"
    }

    /// Whether latency is measured as well: the open loop speaks HTTP/1.1 in clear, and is about small answers.
    pub(crate) fn has_open_loop(&self) -> bool {
        !self.is_tls() && self.client == Http1 && self.path != "/large"
    }

    pub(crate) fn url(&self, proxy: &Proxy) -> String {
        format!("{}://{}{}", self.scheme, proxy.address(self), self.path)
    }
}
