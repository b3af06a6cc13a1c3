//! `[[listener]]`.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::super::raw::Table;
use super::super::settings;
use super::super::{CertificateFiles, Listener, ListenerTls, Outside};
use super::certificate::{CertificateError, check_certificate};
use super::{check_name, socket_address};

pub(super) fn listeners(root: &Table<'_>) -> Vec<Listener> {
    root.require("listener");
    let mut names = HashMap::new();
    let mut addresses = HashMap::new();
    let mut listeners = Vec::new();
    for table in root.tables("listener", &settings::LISTENER) {
        let Some(text) = table.required_text("address") else {
            tls(&table);
            continue;
        };
        let address = socket_address(&table, "address", &text);
        if let Some(address) = address
            && address.port() != 0
            && addresses.insert(address, ()).is_some()
        {
            table.problem(
                text.span.clone(),
                format!("two listeners on {address}"),
                "one listener an address",
            );
        }
        let name = table.text("name").unwrap_or_else(|| text.clone());
        check_name(&table, &name);
        if names.insert(name.value, ()).is_some() {
            table.problem(
                name.span,
                format!("two listeners are named `{}`", name.value),
                "names are unique",
            );
        }
        let tls = tls(&table);
        listeners.push(Listener {
            name: name.value.into(),
            address: address.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0))),
            http2: table.flag("http2"),
            tls,
        });
    }
    listeners
}

fn tls(listener: &Table<'_>) -> Option<ListenerTls> {
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
    Some(ListenerTls { certificates })
}

fn certificate(table: &Table<'_>) -> Option<CertificateFiles> {
    table.require("certificate");
    table.require("key");
    let (certificate, key) = (table.path("certificate")?, table.path("key")?);
    let files = CertificateFiles {
        certificate: certificate.value,
        key: key.value,
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
