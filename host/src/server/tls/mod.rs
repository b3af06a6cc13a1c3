//! TLS towards clients, and trust towards servers.
//!
//! [`ListenerTls`] is what a listener's handshakes use: [`certificates`] chosen by SNI, [`client`] certificates verified,
//! [`suites`] as configured. [`upstream`] is the other side.

pub mod certificates;
pub mod client;
mod subject;
pub mod suites;
pub mod upstream;

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::{ServerConfig, ServerConnection};

use self::certificates::ByName;
use self::client::{Identity, Trust};
use crate::config::{self, Carries, Resumption};

/// TLS 1.2 sessions that a listener remembers for clients that take no tickets; the oldest make room.
const SESSIONS: usize = 4096;

/// A listener's TLS. What handshakes use is replaced as a whole: by a reload, and when a file changes.
#[derive(Debug)]
pub struct ListenerTls {
    current: ArcSwap<Loaded>,
}

/// Settings, and what was made of them and of the files that they name.
#[derive(Debug, Clone)]
pub struct Loaded {
    config: Arc<ServerConfig>,
    trust: Option<Trust>,
    settings: config::ListenerTls,
    alpn: Alpn,
}

/// What a listener offers by ALPN (RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// `h2` and `http/1.1`.
    Http2,
    /// `http/1.1`.
    Http1,
    /// Nothing: what the connection carries is between its two ends.
    None,
}

impl Alpn {
    /// What a listener with these settings offers.
    #[must_use]
    pub fn of(listener: &config::Listener) -> Self {
        match (listener.carries, listener.http2) {
            (Carries::Tcp, _) => Self::None,
            (Carries::Http, true) => Self::Http2,
            (Carries::Http, false) => Self::Http1,
        }
    }

    fn protocols(self) -> Vec<Vec<u8>> {
        let names: &[&[u8]] = match self {
            Self::Http2 => &[b"h2", b"http/1.1"],
            Self::Http1 => &[b"http/1.1"],
            Self::None => &[],
        };
        names.iter().map(|name| name.to_vec()).collect()
    }
}

impl ListenerTls {
    /// Reads certificates and keys.
    ///
    /// # Errors
    /// With the file's name, when one cannot be read or a key does not fit its certificate.
    pub fn load(settings: &config::ListenerTls, alpn: Alpn) -> anyhow::Result<Self> {
        Ok(Self {
            current: ArcSwap::from_pointee(Loaded::new(settings, alpn, None)?),
        })
    }

    /// What a handshake that begins now uses.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        self.current.load().config.clone()
    }

    /// What servers are told of the client at the other end, where it has shown a certificate that was verified.
    #[must_use]
    pub fn identity(&self, connection: &ServerConnection) -> Option<Identity> {
        let certificate = connection.peer_certificates()?.first()?;
        let current = self.current.load();
        let settings = current.settings.client.as_ref()?;
        Some(client::identity(certificate, &settings.forward))
    }

    /// Makes what other settings ask for, for [`ListenerTls::switch`].
    ///
    /// # Errors
    /// As [`ListenerTls::load`].
    pub fn prepare(&self, settings: &config::ListenerTls, alpn: Alpn) -> anyhow::Result<Loaded> {
        Loaded::new(settings, alpn, Some(&self.current.load()))
    }

    /// Handshakes that begin from now on use this.
    pub fn switch(&self, loaded: Loaded) {
        self.current.store(Arc::new(loaded));
    }

    /// Reads the files again.
    ///
    /// # Errors
    /// As [`ListenerTls::load`]; what is in use stays.
    pub fn reload(&self) -> anyhow::Result<()> {
        let current = self.current.load_full();
        self.switch(self.prepare(&current.settings, current.alpn)?);
        Ok(())
    }

    /// Every file that this depends on.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let settings = &self.current.load().settings;
        let certificates = settings.certificates.iter().flat_map(|files| files.paths());
        let trust = settings.client.iter().flat_map(|client| client.paths());
        certificates.chain(trust).cloned().collect()
    }
}

impl Loaded {
    fn new(settings: &config::ListenerTls, alpn: Alpn, before: Option<&Self>) -> anyhow::Result<Self> {
        let provider = Arc::new(suites::provider(&settings.ciphers));
        let certificates = ByName::read(&settings.certificates, &provider)?;
        let trust = settings
            .client
            .as_ref()
            .map(|client| Trust::read(client, &provider))
            .transpose()?;
        let verifier = match &trust {
            Some(trust) => trust.verifier.clone(),
            None => WebPkiClientVerifier::no_client_auth(),
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(suites::versions(settings.min_version))?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(certificates));
        config.alpn_protocols = alpn.protocols();
        // What comes in the first flight can be replayed (RFC 8446 §8), so none is taken.
        config.max_early_data_size = 0;
        match (settings.resumption, before) {
            (Resumption::Off, _) => {
                config.session_storage = Arc::new(NoServerSessionStorage {});
                config.send_tls13_tickets = 0;
            }
            (Resumption::On, Some(before)) if before.resumes_for(settings, trust.as_ref()) => {
                config.ticketer = before.config.ticketer.clone();
                config.session_storage = before.config.session_storage.clone();
            }
            (Resumption::On, _) => {
                // Shared by all workers. The keys are new every 6 hours, and a ticket is good for at most 12.
                config.ticketer = aws_lc_rs::Ticketer::new()?;
                config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
            }
        }
        Ok(Self {
            config: Arc::new(config),
            trust,
            settings: settings.clone(),
            alpn,
        })
    }

    /// Whether sessions of these settings may be resumed under others. A session that is resumed is not verified again, so
    /// that other roots or a new revocation list end those of before.
    fn resumes_for(&self, settings: &config::ListenerTls, trust: Option<&Trust>) -> bool {
        let digest = |trust: Option<&Trust>| trust.map(|trust| trust.digest);
        self.settings.resumption == Resumption::On
            && self.settings.client.as_ref().map(|client| client.verify)
                == settings.client.as_ref().map(|client| client.verify)
            && digest(self.trust.as_ref()) == digest(trust)
    }
}
