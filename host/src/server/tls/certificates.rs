//! Certificates towards clients, chosen by SNI, with their OCSP staples.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::CertificateFiles;

/// Longest OCSP response that is read, in bytes: as much as fits the handshake message that carries it.
const LONGEST_STAPLE: u64 = 64 * 1024;

/// What a client may be shown, by name.
#[derive(Debug)]
pub struct ByName {
    exact: HashMap<String, Candidates>,
    /// Without the `*.`: the wildcard stands for exactly one label (RFC 6125 §6.4.3).
    wildcard: HashMap<String, Candidates>,
    default: Candidates,
}

/// Certificates for one name, in the order of the configuration: one a kind of key.
type Candidates = Vec<Arc<CertifiedKey>>;

impl ByName {
    /// Reads all files.
    ///
    /// # Errors
    /// With the file's name.
    pub fn read(files: &[CertificateFiles], provider: &CryptoProvider) -> anyhow::Result<Self> {
        let mut by_name = Self {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            default: Vec::new(),
        };
        let mut first = Vec::new();
        for pair in files {
            let key = Arc::new(read_pair(pair, provider)?);
            let names = names(&key, &pair.certificate)?;
            // The default is the first certificate; others for the same names stand in for clients that cannot verify it.
            if by_name.default.is_empty() {
                first.clone_from(&names);
            }
            if by_name.default.is_empty() || names == first {
                by_name.default.push(key.clone());
            }
            for name in names {
                let candidates = match name.strip_prefix("*.") {
                    Some(parent) => by_name.wildcard.entry(parent.to_owned()),
                    None => by_name.exact.entry(name),
                };
                candidates.or_default().push(key.clone());
            }
        }
        if by_name.default.is_empty() {
            bail!("a TLS listener needs at least one certificate");
        }
        Ok(by_name)
    }

    fn candidates(&self, name: &str) -> &Candidates {
        let name = name.to_ascii_lowercase();
        let found = self.exact.get(&name).or_else(|| {
            let (_, parent) = name.split_once('.')?;
            self.wildcard.get(parent)
        });
        found.unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let candidates = hello.server_name().map_or(&self.default, |name| self.candidates(name));
        let verifiable = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        // Where none fits, the first one lets rustls say so to the client.
        candidates.iter().find(verifiable).or(candidates.first()).cloned()
    }
}

fn read_pair(pair: &CertificateFiles, provider: &CryptoProvider) -> anyhow::Result<CertifiedKey> {
    let chain = read_chain(&pair.certificate)?;
    let key = read_key(&pair.key)?;
    let mut key = CertifiedKey::from_der(chain, key, provider).map_err(|error| {
        anyhow!(
            "{} does not fit {}: {error}",
            pair.key.display(),
            pair.certificate.display()
        )
    })?;
    key.ocsp = pair.ocsp.as_deref().map(read_staple).transpose()?;
    Ok(key)
}

/// A chain in PEM form, leaf first.
///
/// # Errors
/// With the file's name.
pub fn read_chain(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let text = fs::read(file).with_context(|| format!("cannot read the certificate {}", file.display()))?;
    let chain = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| anyhow!("{}: not a certificate in PEM form: {error}", file.display()))?;
    if chain.is_empty() {
        bail!("{}: no certificate in it", file.display());
    }
    Ok(chain)
}

/// A key in PEM form.
///
/// # Errors
/// With the file's name.
pub fn read_key(file: &Path) -> anyhow::Result<PrivateKeyDer<'static>> {
    let text = fs::read(file).with_context(|| format!("cannot read the key {}", file.display()))?;
    PrivateKeyDer::from_pem_slice(&text)
        .map_err(|error| anyhow!("{}: no private key in PEM form: {error}", file.display()))
}

/// An OCSP response in DER form that says something: `OCSPResponse` (RFC 6960 §4.2.1) with the status `successful`.
///
/// # Errors
/// With the file's name.
pub fn read_staple(file: &Path) -> anyhow::Result<Vec<u8>> {
    use std::io::Read as _;

    let mut staple = Vec::new();
    fs::File::open(file)
        .and_then(|file| file.take(LONGEST_STAPLE + 1).read_to_end(&mut staple))
        .with_context(|| format!("cannot read the OCSP response {}", file.display()))?;
    if staple.len() as u64 > LONGEST_STAPLE {
        bail!("{}: larger than an OCSP response can be", file.display());
    }
    let (tag, content, rest) = super::subject::tlv(&staple).unwrap_or_default();
    if tag != 0x30 || !rest.is_empty() {
        bail!("{}: not an OCSP response in DER form", file.display());
    }
    match super::subject::tlv(content) {
        Some((0x0a, [0], _)) => Ok(staple),
        Some((0x0a, [status], _)) => bail!(
            "{}: an OCSP response without an answer (status {status})",
            file.display()
        ),
        _ => bail!("{}: not an OCSP response in DER form", file.display()),
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn names_choose_and_a_wildcard_stands_for_one_label() {
        let folder = tempfile::tempdir().unwrap();
        let issue = |name: &str, names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            let made = rcgen::generate_simple_self_signed(names).unwrap();
            let files = CertificateFiles {
                certificate: folder.path().join(format!("{name}.pem")),
                key: folder.path().join(format!("{name}.key")),
                ocsp: None,
            };
            fs::write(&files.certificate, made.cert.pem()).unwrap();
            fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
            (files, made.cert.der().to_vec())
        };
        let (first, first_der) = issue("first", &["first.test"]);
        let (wild, wild_der) = issue("wild", &["*.example.test", "example.test"]);
        let (exact, exact_der) = issue("exact", &["www.example.test"]);
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let by_name = ByName::read(&[first, wild, exact], &provider).unwrap();
        for (name, der) in [
            ("first.test", &first_der),
            ("unknown.test", &first_der),
            ("example.test", &wild_der),
            ("A.Example.Test", &wild_der),
            ("www.example.test", &exact_der),
            ("a.b.example.test", &first_der),
        ] {
            assert_eq!(by_name.candidates(name)[0].cert[0].as_ref(), der, "{name}");
        }
    }

    #[test]
    fn a_staple_is_a_successful_ocsp_response() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("staple.der");
        let read = |bytes: &[u8]| {
            fs::write(&file, bytes).unwrap();
            read_staple(&file)
        };
        assert!(read(&[0x30, 3, 0x0a, 1, 0]).is_ok());
        for wrong in [
            &[][..],
            &[0x30, 3, 0x0a, 1, 6],
            &[0x30, 3, 0x0a, 1, 0, 0],
            &[0x30, 9, 0x0a, 1, 0],
            b"-----BEGIN OCSP RESPONSE-----",
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
