//! Certificates: the chain loads, the key loads, and they belong together.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{Error, PemObject};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::super::CertificateFiles;

/// Reads a chain and its key, ready to be served.
///
/// # Errors
/// Says which of the files is wrong, and why.
pub fn load_certificate(files: &CertificateFiles) -> Result<Arc<CertifiedKey>, CertificateError> {
    pair(chain(files)?, key(files)?)
}

/// Everything that is wrong with a chain and its key.
pub(super) fn check_certificate(files: &CertificateFiles) -> Vec<CertificateError> {
    match (chain(files), key(files)) {
        (Ok(chain), Ok(key)) => pair(chain, key).err().into_iter().collect(),
        (chain, key) => chain.err().into_iter().chain(key.err()).collect(),
    }
}

fn chain(files: &CertificateFiles) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .and_then(|chain| {
            if chain.is_empty() {
                Err(Error::NoItemsFound)
            } else {
                Ok(chain)
            }
        })
        .map_err(|error| CertificateError::Certificate(describe(&error, "CERTIFICATE")))
}

fn key(files: &CertificateFiles) -> Result<PrivateKeyDer<'static>, CertificateError> {
    PrivateKeyDer::from_pem_file(&files.key).map_err(|error| CertificateError::Key(describe(&error, "PRIVATE KEY")))
}

fn pair(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<CertifiedKey>, CertificateError> {
    match CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()) {
        Ok(certified) => Ok(Arc::new(certified)),
        Err(rustls::Error::InconsistentKeys(_)) => Err(CertificateError::Key(
            "the key does not belong to the certificate".to_owned(),
        )),
        Err(rustls::Error::InvalidCertificate(error)) => Err(CertificateError::Certificate(format!(
            "the certificate is malformed: {error:?}"
        ))),
        Err(error) => Err(CertificateError::Key(format!("the key cannot be used: {error}"))),
    }
}

/// Which of the two files is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateError {
    /// The chain.
    Certificate(String),
    /// The key.
    Key(String),
}

impl std::fmt::Display for CertificateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Certificate(message) | Self::Key(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for CertificateError {}

/// Reads roots of trust, to see that they can be read.
///
/// # Errors
/// Says what is wrong with the file.
pub(super) fn check_roots(file: &std::path::Path) -> Result<(), String> {
    let mut store = rustls::RootCertStore::empty();
    let roots = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| describe(&error, "CERTIFICATE"))?;
    match store.add_parsable_certificates(roots) {
        (0, 0) => Err(describe(&Error::NoItemsFound, "CERTIFICATE")),
        (0, _) => Err("none of its certificates can be a root".to_owned()),
        _ => Ok(()),
    }
}

/// Reads revocation lists, to see that they can be read.
///
/// # Errors
/// Says what is wrong with the file.
pub(super) fn check_crl(file: &std::path::Path) -> Result<(), String> {
    let lists = CertificateRevocationListDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| describe(&error, "X509 CRL"))?;
    if lists.is_empty() {
        return Err(describe(&Error::NoItemsFound, "X509 CRL"));
    }
    lists.iter().try_for_each(|list| {
        webpki::BorrowedCertRevocationList::from_der(list)
            .map(drop)
            .map_err(|error| format!("a revocation list is malformed: {error}"))
    })
}

fn describe(error: &Error, expected: &str) -> String {
    match error {
        Error::Io(error) => format!("the file cannot be read: {error}"),
        Error::NoItemsFound => format!("the file has no PEM section that ends in `{expected}-----`"),
        Error::MissingSectionEnd { .. } => "the file ends within a PEM section".to_owned(),
        Error::IllegalSectionStart { .. } => "a PEM section begins with a malformed line".to_owned(),
        Error::Base64Decode(_) => "a PEM section is not base64".to_owned(),
        other => format!("the file is not PEM: {other}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    #[test]
    fn a_chain_and_its_own_key_load_and_others_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            fs::write(folder.path().join(name), content).unwrap();
            folder.path().join(name)
        };
        let issue = || rcgen::generate_simple_self_signed(vec!["example.org".to_owned()]).unwrap();
        let (one, other) = (issue(), issue());
        let certificate = file("one.pem", &one.cert.pem());
        let key = file("one.key", &one.signing_key.serialize_pem());
        let load = |certificate: &std::path::Path, key: &std::path::Path| {
            let files = CertificateFiles {
                certificate: certificate.to_owned(),
                key: key.to_owned(),
                ocsp: None,
            };
            let checked = check_certificate(&files);
            let loaded = load_certificate(&files);
            assert_eq!(loaded.is_ok(), checked.is_empty());
            (loaded.is_ok(), checked)
        };
        assert!(load(&certificate, &key).0);

        let (_, problems) = load(&certificate, &file("other.key", &other.signing_key.serialize_pem()));
        assert_eq!(
            problems,
            [CertificateError::Key(
                "the key does not belong to the certificate".to_owned()
            )]
        );

        let (_, problems) = load(&key, &certificate);
        assert_eq!(problems.len(), 2, "swapped files: {problems:?}");

        let garbled = file(
            "garbled.pem",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        );
        let (_, problems) = load(&garbled, &key);
        assert!(
            matches!(problems.as_slice(), [CertificateError::Certificate(_)]),
            "{problems:?}"
        );
    }
}
