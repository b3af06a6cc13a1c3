//! The one immutable state that a request takes at its start and keeps to its end.

use std::sync::Arc;

use crate::config::Config;
use crate::plugin::Generation;
use crate::upstream::gate::Gate;
use crate::upstream::health::Servers;

/// Configuration and plugins as one generation. A reload or a deployment makes a new one; requests that run keep theirs.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts up with every activation since the process started.
    pub serial: u64,
    /// What the operator configured.
    pub config: Arc<Config>,
    /// The plugins of the active bundle.
    pub plugins: Arc<Generation>,
    /// What is known about the servers, one entry an upstream.
    pub health: Vec<Arc<Servers>>,
    /// What counts the requests of an upstream, one entry each; none for an upstream without limits.
    pub gates: Vec<Option<Arc<Gate>>>,
    /// How TLS is spoken to an upstream, one entry each.
    pub client_tls: Vec<Option<Arc<rustls::ClientConfig>>>,
}
