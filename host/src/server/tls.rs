//! TLS: certificates towards clients, chosen by SNI and read again when their files change; trust towards upstreams.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use arc_swap::ArcSwap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::config::{self, CertificateFiles};

/// A listener's TLS. What handshakes use is replaced as a whole: by a reload, and when a file changes.
#[derive(Debug)]
pub struct ListenerTls {
    current: ArcSwap<Loaded>,
}

/// Settings, and what was made of them and of the files that they name.
#[derive(Debug, Clone)]
pub struct Loaded {
    config: Arc<ServerConfig>,
    settings: config::ListenerTls,
    http2: bool,
}

impl ListenerTls {
    /// Reads certificates and keys.
    ///
    /// # Errors
    /// With the file's name, when one cannot be read or a key does not fit its certificate.
    pub fn load(settings: &config::ListenerTls, http2: bool) -> anyhow::Result<Self> {
        Ok(Self {
            current: ArcSwap::from_pointee(Loaded::new(settings, http2, None)?),
        })
    }

    /// What a handshake that begins now uses.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        self.current.load().config.clone()
    }

    /// Makes what other settings ask for, for [`ListenerTls::switch`].
    ///
    /// # Errors
    /// As [`ListenerTls::load`].
    pub fn prepare(&self, settings: &config::ListenerTls, http2: bool) -> anyhow::Result<Loaded> {
        Loaded::new(settings, http2, Some(&self.current.load()))
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
        self.switch(self.prepare(&current.settings, current.http2)?);
        Ok(())
    }

    /// Every file that this depends on.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let current = self.current.load();
        let certificates = current.settings.certificates.iter();
        certificates
            .flat_map(|files| [files.certificate.clone(), files.key.clone()])
            .collect()
    }
}

impl Loaded {
    /// Sessions of `before` can be resumed.
    fn new(settings: &config::ListenerTls, http2: bool, before: Option<&Self>) -> anyhow::Result<Self> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let certificates = read_all(&settings.certificates, &provider)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(certificates));
        config.alpn_protocols = if http2 {
            vec![b"h2".to_vec(), b"http/1.1".to_vec()]
        } else {
            vec![b"http/1.1".to_vec()]
        };
        match before {
            Some(before) => {
                config.ticketer = before.config.ticketer.clone();
                config.session_storage = before.config.session_storage.clone();
            }
            None => config.ticketer = aws_lc_rs::Ticketer::new()?,
        }
        config.max_early_data_size = 0;
        Ok(Self {
            config: Arc::new(config),
            settings: settings.clone(),
            http2,
        })
    }
}

/// What a client may be shown, by name.
#[derive(Debug)]
struct ByName {
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// Without the `*.`: the wildcard stands for exactly one label (RFC 6125 §6.4.3).
    wildcard: HashMap<String, Arc<CertifiedKey>>,
    default: Arc<CertifiedKey>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let Some(name) = hello.server_name() else {
            return Some(self.default.clone());
        };
        let name = name.to_ascii_lowercase();
        let found = self.exact.get(&name).or_else(|| {
            let (_, parent) = name.split_once('.')?;
            self.wildcard.get(parent)
        });
        Some(found.unwrap_or(&self.default).clone())
    }
}

fn read_all(files: &[CertificateFiles], provider: &CryptoProvider) -> anyhow::Result<ByName> {
    let mut exact = HashMap::new();
    let mut wildcard = HashMap::new();
    let mut default = None;
    for pair in files {
        let key = Arc::new(read_pair(pair, provider)?);
        for name in names(&key, &pair.certificate)? {
            match name.strip_prefix("*.") {
                Some(parent) => wildcard.entry(parent.to_owned()).or_insert_with(|| key.clone()),
                None => exact.entry(name).or_insert_with(|| key.clone()),
            };
        }
        default.get_or_insert(key);
    }
    let default = default.ok_or_else(|| anyhow!("a TLS listener needs at least one certificate"))?;
    Ok(ByName {
        exact,
        wildcard,
        default,
    })
}

fn read_pair(pair: &CertificateFiles, provider: &CryptoProvider) -> anyhow::Result<CertifiedKey> {
    let chain = read_chain(&pair.certificate)?;
    let text = fs::read(&pair.key).with_context(|| format!("cannot read the key {}", pair.key.display()))?;
    let key = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|error| anyhow!("{}: no private key in PEM form: {error}", pair.key.display()))?;
    let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| {
        anyhow!(
            "{} does not fit {}: {error}",
            pair.key.display(),
            pair.certificate.display()
        )
    })?;
    Ok(key)
}

fn read_chain(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let text = fs::read(file).with_context(|| format!("cannot read the certificate {}", file.display()))?;
    let chain = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| anyhow!("{}: not a certificate in PEM form: {error}", file.display()))?;
    if chain.is_empty() {
        bail!("{}: no certificate in it", file.display());
    }
    Ok(chain)
}

/// The DNS names that a certificate is for, in lower case.
fn names(key: &CertifiedKey, file: &Path) -> anyhow::Result<Vec<String>> {
    let leaf = key
        .cert
        .first()
        .ok_or_else(|| anyhow!("{}: no certificate in it", file.display()))?;
    let leaf = webpki::EndEntityCert::try_from(leaf)
        .map_err(|error| anyhow!("{}: not a certificate: {error}", file.display()))?;
    Ok(leaf.valid_dns_names().map(str::to_ascii_lowercase).collect())
}

/// How TLS is spoken to an upstream.
///
/// # Errors
/// When the roots cannot be read.
pub fn client_config(tls: &config::UpstreamTls) -> anyhow::Result<Arc<ClientConfig>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = if tls.verify {
        builder.with_root_certificates(roots(tls.roots.as_deref())?)
    } else {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AcceptAny(algorithms)))
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn roots(file: Option<&Path>) -> anyhow::Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    match file {
        Some(file) => {
            for certificate in read_chain(file)? {
                store
                    .add(certificate)
                    .map_err(|error| anyhow!("{}: not a root: {error}", file.display()))?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            store.add_parsable_certificates(found.certs);
            if store.is_empty() {
                bail!("the system has no root certificates: install ca-certificates, or set `roots`");
            }
        }
    }
    Ok(store)
}

/// `verify = false`: whoever answers is believed.
#[derive(Debug)]
struct AcceptAny(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
