//! Which versions and cipher suites are spoken.

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use crate::config::TlsVersion;

/// The cipher suites that exist, by the names of IANA's registry.
pub fn names() -> impl Iterator<Item = String> {
    aws_lc_rs::ALL_CIPHER_SUITES.iter().map(name)
}

/// The version for which a suite exists.
#[must_use]
pub fn version_of(suite: &str) -> Option<TlsVersion> {
    let found = aws_lc_rs::ALL_CIPHER_SUITES.iter().find(|known| name(known) == suite)?;
    Some(match found {
        SupportedCipherSuite::Tls13(_) => TlsVersion::V13,
        SupportedCipherSuite::Tls12(_) => TlsVersion::V12,
    })
}

/// The cryptography, with these suites; with all of them where none is named.
#[must_use]
pub fn provider(suites: &[String]) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    if !suites.is_empty() {
        let chosen = |wanted: &String| aws_lc_rs::ALL_CIPHER_SUITES.iter().find(|known| name(known) == *wanted);
        provider.cipher_suites = suites.iter().filter_map(chosen).copied().collect();
    }
    provider
}

/// From this version on.
#[must_use]
pub fn versions(least: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static ONLY_13: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
    match least {
        TlsVersion::V12 => rustls::ALL_VERSIONS,
        TlsVersion::V13 => &ONLY_13,
    }
}

/// rustls marks those of TLS 1.3, the registry does not.
fn name(suite: &SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite()).replace("TLS13_", "TLS_")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn suites_are_called_as_in_the_registry() {
        assert_eq!(version_of("TLS_AES_128_GCM_SHA256"), Some(TlsVersion::V13));
        assert_eq!(
            version_of("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
            Some(TlsVersion::V12)
        );
        assert_eq!(version_of("TLS_RSA_WITH_AES_128_CBC_SHA"), None);
        assert!(names().all(|name| name.starts_with("TLS_")));
        let one = provider(&["TLS_AES_128_GCM_SHA256".to_owned()]);
        assert_eq!(one.cipher_suites.len(), 1);
    }
}
