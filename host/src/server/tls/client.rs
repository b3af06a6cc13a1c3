//! Certificates that clients show: verified in the handshake, told to servers in headers.
//!
//! Servers believe these headers, so what a client sends under the same names is removed everywhere (RFC 9440 §2.4).

use std::fs;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use http::{HeaderName, HeaderValue};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};

use super::certificates::read_chain;
use super::subject;
use crate::config::{ClientCertificates, Forwarded, Verify};

/// The subject's distinguished name (RFC 4514).
pub const SUBJECT: HeaderName = HeaderName::from_static("x-client-cert-subject");
/// SHA-256 over the certificate's DER form, in hexadecimal.
pub const FINGERPRINT: HeaderName = HeaderName::from_static("x-client-cert-fingerprint");
/// The certificate (RFC 9440).
pub const CERTIFICATE: HeaderName = HeaderName::from_static("client-cert");
/// Its chain (RFC 9440), which Weir does not send, and removes.
pub const CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

/// What servers are told of a client: header fields, made once a connection.
pub type Identity = Arc<[(HeaderName, HeaderValue)]>;

/// Who may vouch for clients.
#[derive(Debug, Clone)]
pub struct Trust {
    /// Asks for a certificate, and verifies it.
    pub verifier: Arc<dyn ClientCertVerifier>,
    /// Of the files that were read.
    pub digest: [u8; 32],
}

impl Trust {
    /// Reads roots and revocation lists.
    ///
    /// # Errors
    /// With the file's name.
    pub fn read(settings: &ClientCertificates, provider: &Arc<CryptoProvider>) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        let mut inputs = blake3::Hasher::new();
        for certificate in read_chain(&settings.ca)? {
            inputs.update(&certificate);
            roots
                .add(certificate)
                .map_err(|error| anyhow!("{}: not a root: {error}", settings.ca.display()))?;
        }
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        if let Some(file) = &settings.crl {
            let text = fs::read(file).with_context(|| format!("cannot read the revocation list {}", file.display()))?;
            let lists = CertificateRevocationListDer::pem_slice_iter(&text)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| anyhow!("{}: not a revocation list in PEM form: {error}", file.display()))?;
            lists.iter().for_each(|list| {
                inputs.update(list);
            });
            // A list that is out of date says nothing of today, as peers have it too.
            builder = builder
                .with_crls(lists)
                .only_check_end_entity_revocation()
                .enforce_revocation_expiration();
        }
        if settings.verify == Verify::Optional {
            builder = builder.allow_unauthenticated();
        }
        let verifier = builder
            .build()
            .map_err(|error| anyhow!("{}: {error}", settings.ca.display()))?;
        Ok(Self {
            verifier,
            digest: inputs.finalize().into(),
        })
    }
}

/// The fields that say who a verified client is.
pub fn identity(certificate: &CertificateDer<'_>, forward: &[Forwarded]) -> Identity {
    let field = |what: &Forwarded| match what {
        Forwarded::Subject => {
            let leaf = webpki::EndEntityCert::try_from(certificate).ok()?;
            let name = subject::distinguished_name(leaf.subject())?;
            Some((SUBJECT, HeaderValue::from_str(&name).ok()?))
        }
        Forwarded::Fingerprint => {
            let mut text = String::with_capacity(64);
            subject::hex(&mut text, digest(&SHA256, certificate).as_ref());
            Some((FINGERPRINT, HeaderValue::from_str(&text).ok()?))
        }
        Forwarded::Certificate => {
            // A byte sequence of structured fields (RFC 8941 §3.3.5).
            let text = format!(":{}:", base64::prelude::BASE64_STANDARD.encode(certificate));
            Some((CERTIFICATE, HeaderValue::from_str(&text).ok()?))
        }
    };
    forward.iter().filter_map(field).collect()
}
