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
}

use Peer::{Haproxy, Nginx, Varnish, Weir};

/// All of them.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "pass",
        title: "pass-through, 1 KiB, keep-alive",
        peers: &[Weir(Plugins::None), Nginx, Haproxy],
        path: "/",
        scheme: "http",
    },
    Scenario {
        name: "cache",
        title: "cache hit, 1 KiB",
        peers: &[Weir(Plugins::None), Nginx, Haproxy, Varnish],
        path: "/cached",
        scheme: "http",
    },
    Scenario {
        name: "cache-64k",
        title: "cache hit, 64 KiB, from memory",
        peers: &[Weir(Plugins::None), Nginx, Haproxy, Varnish],
        path: "/cached/64k",
        scheme: "http",
    },
    Scenario {
        name: "cache-disk",
        title: "cache hit, 1 MiB, from the page cache of the disk",
        peers: &[Weir(Plugins::None), Nginx],
        path: "/cached/1m",
        scheme: "http",
    },
    Scenario {
        name: "tls",
        title: "pass-through, TLS, keep-alive",
        peers: &[Weir(Plugins::None), Nginx, Haproxy],
        path: "/",
        scheme: "https",
    },
    Scenario {
        name: "policy",
        title: "pass-through with four policy plugins, nothing fires",
        peers: &[Weir(Plugins::Policy), Weir(Plugins::None), Nginx, Haproxy],
        path: "/",
        scheme: "http",
    },
    Scenario {
        name: "plugins",
        title: "pass-through with all five plugins, nothing fires",
        peers: &[Weir(Plugins::All), Weir(Plugins::None), Nginx, Haproxy],
        path: "/",
        scheme: "http",
    },
];

impl Scenario {
    pub(crate) fn is_tls(&self) -> bool {
        self.scheme == "https"
    }

    pub(crate) fn url(&self, proxy: &Proxy) -> String {
        format!("{}://{}{}", self.scheme, proxy.address(self), self.path)
    }
}
