//! Certificates: the chain loads, the key loads, and they belong together.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{Error, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::super::CertificateFiles;

/// Reads a chain and its key, ready to be served.
///
/// # Errors
/// Names the file that is wrong, and what would be right.
pub fn load_certificate(files: &CertificateFiles) -> Result<Arc<CertifiedKey>, CertificateError> {
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .and_then(|chain| {
            if chain.is_empty() {
                Err(Error::NoItemsFound)
            } else {
                Ok(chain)
            }
        })
        .map_err(|error| CertificateError::Certificate(describe(&error, "CERTIFICATE")))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| CertificateError::Key(describe(&error, "PRIVATE KEY")))?;
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
