//! What is configured of TLS, towards clients and towards servers.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;

/// A listener's TLS. The files are watched and read again when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// Chosen by SNI; the first is the default.
    pub certificates: Vec<CertificateFiles>,
    /// The lowest version that is spoken. Default 1.2.
    pub min_version: TlsVersion,
    /// Cipher suites by their registered names; empty means all that are known.
    pub ciphers: Vec<String>,
    /// Whether a client may go on with a session that it had. Default on.
    pub resumption: Resumption,
    /// Certificates that clients are asked for.
    pub client: Option<ClientCertificates>,
    /// `Strict-Transport-Security` in responses.
    pub hsts: Option<Hsts>,
}

/// A certificate chain and its key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// Leaf first.
    pub certificate: PathBuf,
    /// PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
    /// An OCSP response in DER form, shown with the certificate.
    pub ocsp: Option<PathBuf>,
}

impl CertificateFiles {
    /// All of them.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.certificate, &self.key].into_iter().chain(&self.ocsp)
    }
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    V12,
    /// TLS 1.3 (RFC 8446).
    V13,
}

/// Whether sessions are resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumption {
    /// By tickets, and for TLS 1.2 clients without tickets by session identifiers.
    On,
    /// Every handshake is a full one.
    Off,
}

/// Certificates that clients are asked for (mTLS).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificates {
    /// Whether a client without one is served. Default [`Verify::Required`].
    pub verify: Verify,
    /// PEM file of the roots that vouch for clients.
    pub ca: PathBuf,
    /// PEM file of revocation lists.
    pub crl: Option<PathBuf>,
    /// What servers are told. Default the subject.
    pub forward: Vec<Forwarded>,
}

impl ClientCertificates {
    /// All files.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.ca].into_iter().chain(&self.crl)
    }
}

/// Whether a client has to show a certificate. One that is shown has to be valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// No handshake without one.
    Required,
    /// Clients without one are served.
    Optional,
}

/// What servers are told of a client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarded {
    /// `X-Client-Cert-Subject`.
    Subject,
    /// `X-Client-Cert-Fingerprint`.
    Fingerprint,
    /// `Client-Cert` (RFC 9440).
    Certificate,
}

/// HTTP Strict Transport Security (RFC 6797).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hsts {
    /// How long browsers use nothing but TLS. Default 365 days.
    pub max_age: Duration,
    /// The whole field.
    pub value: HeaderValue,
}

/// TLS towards an upstream's servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    /// Name sent and verified. Default: the host in the server's address.
    pub server_name: Option<String>,
    /// PEM file of roots. Default: the system's.
    pub roots: Option<PathBuf>,
    /// Verification off is for tests only. Default true.
    pub verify: bool,
    /// The certificate that servers are shown when they ask. Default: none.
    pub client: Option<CertificateFiles>,
}

impl UpstreamTls {
    /// All files.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.roots
            .iter()
            .chain(self.client.iter().flat_map(CertificateFiles::paths))
    }
}
