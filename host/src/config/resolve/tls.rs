//! `[listener.tls]` and `[upstream.tls]`.

use std::path::{Path, PathBuf};

use http::HeaderValue;

use super::super::raw::{At, Table};
use super::super::settings;
use super::super::suggest::nearest;
use super::super::{
    CertificateFiles, ClientCertificates, Forwarded, Hsts, ListenerTls, Outside, Resumption, TlsVersion, UpstreamTls,
    Verify,
};
use super::certificate::{CertificateError, check_certificate, check_crl, check_roots};
use crate::server::tls::certificates::read_staple;
use crate::server::tls::suites;

pub(super) fn listener_tls(listener: &Table<'_>) -> Option<ListenerTls> {
    let table = listener.table("tls", &settings::LISTENER_TLS)?;
    let several = table.tables("certificates", &settings::CERTIFICATE);
    let mut certificates = Vec::new();
    if table.has("certificate") || table.has("key") {
        certificates.extend(certificate(&table));
    } else if several.is_empty() {
        table.problem(
            table.span.clone(),
            "a TLS listener has no certificate",
            "add `certificate` and `key`, or [[listener.tls.certificates]]",
        );
    }
    certificates.extend(several.iter().filter_map(certificate));
    let min_version = match table.choice("min_version") {
        "1.3" => TlsVersion::V13,
        _ => TlsVersion::V12,
    };
    Some(ListenerTls {
        certificates,
        min_version,
        ciphers: ciphers(&table, min_version),
        resumption: if table.flag("resumption") {
            Resumption::On
        } else {
            Resumption::Off
        },
        client: table
            .table("client", &settings::CLIENT_CERTIFICATES)
            .and_then(|table| client(&table)),
        hsts: table.table("hsts", &settings::HSTS).map(|table| hsts(&table)),
    })
}

fn certificate(table: &Table<'_>) -> Option<CertificateFiles> {
    let ocsp = table.path("ocsp");
    if let Some(At { value, span }) = &ocsp {
        let check = |file: &Path| read_staple(file).map(drop).map_err(|error| format!("{error:#}"));
        // The error names the file already.
        if table.context.outside == Outside::Consult
            && let Err(error) = check(value)
        {
            table.problem(span.clone(), error, "an OCSP response in DER form");
        }
    }
    let files = pair(table, "certificate", "key")?;
    Some(CertificateFiles {
        ocsp: ocsp.map(|file| file.value),
        ..files
    })
}

/// A chain and its key, both of which have to be there.
fn pair(table: &Table<'_>, certificate_key: &str, key_key: &str) -> Option<CertificateFiles> {
    table.require(certificate_key);
    table.require(key_key);
    let (certificate, key) = (table.path(certificate_key)?, table.path(key_key)?);
    let files = CertificateFiles {
        certificate: certificate.value,
        key: key.value,
        ocsp: None,
    };
    if table.context.outside == Outside::Consult {
        for error in check_certificate(&files) {
            match error {
                CertificateError::Certificate(message) => {
                    let message = format!("{}: {message}", files.certificate.display());
                    table.problem(
                        certificate.span.clone(),
                        message,
                        "a PEM file with the certificate chain, leaf first",
                    );
                }
                CertificateError::Key(message) => {
                    let message = format!("{}: {message}", files.key.display());
                    table.problem(key.span.clone(), message, "a PEM file with the key of the certificate");
                }
            }
        }
    }
    Some(files)
}

fn ciphers(table: &Table<'_>, least: TlsVersion) -> Vec<String> {
    let mut chosen = Vec::<String>::new();
    let texts = table.texts("ciphers");
    let span = table.other("ciphers").map(|value| value.span());
    for At { value, span } in texts {
        match suites::version_of(value) {
            None => {
                let known: Vec<_> = suites::names().collect();
                let label = match nearest(value, known.iter().map(String::as_str)) {
                    Some(meant) => format!("did you mean \"{meant}\"?"),
                    None => format!("there are {}", known.join(", ")),
                };
                table.problem(span, format!("there is no cipher suite \"{value}\""), label);
            }
            Some(_) if chosen.iter().any(|other| other == value) => {
                table.problem(span, format!("\"{value}\" is listed twice"), "remove it");
            }
            Some(_) => chosen.push(value.to_owned()),
        }
    }
    let has = |version| chosen.iter().any(|suite| suites::version_of(suite) == Some(version));
    if let Some(span) = span
        && !chosen.is_empty()
        && least == TlsVersion::V13
        && !has(TlsVersion::V13)
    {
        table.problem(span, "no cipher suite is left", "`min_version` asks for one of TLS 1.3");
    }
    chosen
}

fn client(table: &Table<'_>) -> Option<ClientCertificates> {
    table.require("ca");
    let ca = table
        .path("ca")
        .map(|ca| checked(table, ca, check_roots, "a PEM file with certificates"));
    let crl = table
        .path("crl")
        .map(|crl| checked(table, crl, check_crl, "a PEM file with revocation lists"));
    let forward = if table.has("forward") {
        table
            .texts("forward")
            .into_iter()
            .filter_map(|text| forwarded(table, text))
            .collect()
    } else {
        vec![Forwarded::Subject]
    };
    Some(ClientCertificates {
        verify: match table.choice("verify") {
            "optional" => Verify::Optional,
            _ => Verify::Required,
        },
        ca: ca?,
        crl,
        forward,
    })
}

fn forwarded(table: &Table<'_>, text: At<&str>) -> Option<Forwarded> {
    match text.value {
        "subject" => Some(Forwarded::Subject),
        "fingerprint" => Some(Forwarded::Fingerprint),
        "certificate" => Some(Forwarded::Certificate),
        other => {
            table.problem(
                text.span,
                format!("`forward` cannot hold \"{other}\""),
                "\"subject\", \"fingerprint\" or \"certificate\"",
            );
            None
        }
    }
}

fn hsts(table: &Table<'_>) -> Hsts {
    let max_age = table.duration("max_age");
    let mut text = format!("max-age={}", max_age.as_secs());
    for (key, directive) in [("include_subdomains", "; includeSubDomains"), ("preload", "; preload")] {
        if table.flag(key) {
            text.push_str(directive);
        }
    }
    Hsts {
        max_age,
        value: HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("max-age=0")),
    }
}

/// Notes what is wrong with a file, which a check on another machine does not have.
fn checked(
    table: &Table<'_>,
    file: At<PathBuf>,
    check: fn(&Path) -> Result<(), String>,
    expected: &'static str,
) -> PathBuf {
    if table.context.outside == Outside::Consult
        && let Err(error) = check(&file.value)
    {
        table.problem(file.span, format!("{}: {error}", file.value.display()), expected);
    }
    file.value
}

pub(super) fn upstream_tls(table: &Table<'_>) -> UpstreamTls {
    let server_name = table.text("server_name");
    if let Some(At { value, span }) = &server_name
        && rustls_pki_types::ServerName::try_from(*value).is_err()
    {
        table.problem(
            span.clone(),
            format!("`{value}` is no host name"),
            "the name in the servers' certificate",
        );
    }
    let roots = table.path("roots");
    let client = table.has("client_certificate") || table.has("client_key");
    UpstreamTls {
        server_name: server_name.map(|name| name.value.to_owned()),
        roots: roots.map(|roots| checked(table, roots, check_roots, "a PEM file with certificates")),
        verify: table.flag("verify"),
        client: client
            .then(|| pair(table, "client_certificate", "client_key"))
            .flatten(),
    }
}
