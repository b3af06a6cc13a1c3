//! `[[listener]]`.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use toml::de::DeValue;

use super::super::endpoint::{LONGEST_PATH, UNIX};
use super::super::raw::{At, Table};
use super::super::settings;
use super::super::{CertificateFiles, Endpoint, IpVersions, Listener, ListenerTls, Outside, Place, SocketOptions};
use super::certificate::{CertificateError, check_certificate};
use super::{check_name, socket_address};

pub(super) fn listeners(root: &Table<'_>) -> Vec<Listener> {
    root.require("listener");
    let mut names = HashMap::new();
    let mut taken = HashSet::new();
    let mut listeners = Vec::new();
    for table in root.tables("listener", &settings::LISTENER) {
        table.require("address");
        let addresses = table.text_or_texts("address");
        let places = places(&table, &addresses, &mut taken);
        let Some(first) = addresses.into_iter().next() else {
            if let Some(value) = table.other("address")
                && matches!(value.get_ref(), DeValue::Array(items) if items.is_empty())
            {
                table.problem(value.span(), "a listener without addresses", "at least one");
            }
            tls(&table);
            continue;
        };
        let name = table.text("name").unwrap_or(first);
        check_name(&table, &name);
        if names.insert(name.value, ()).is_some() {
            table.problem(
                name.span,
                format!("two listeners are named `{}`", name.value),
                "names are unique",
            );
        }
        listeners.push(Listener {
            name: name.value.into(),
            places,
            socket: socket_options(&table),
            http2: table.flag("http2"),
            tls: tls(&table),
        });
    }
    listeners
}

fn places(table: &Table<'_>, addresses: &[At<&str>], taken: &mut HashSet<String>) -> Vec<Place> {
    let mut places = Vec::new();
    for text in addresses {
        let Some(place) = place(table, text) else { continue };
        let anywhere = matches!(&place, Place::Bind(Endpoint::Tcp(address)) if address.port() == 0);
        if !anywhere && !taken.insert(place.to_string()) {
            table.problem(
                text.span.clone(),
                format!("two listeners on {place}"),
                "one listener an address",
            );
        }
        places.push(place);
    }
    places
}

fn place(table: &Table<'_>, text: &At<&str>) -> Option<Place> {
    if let Some(name) = text.value.strip_prefix("systemd:") {
        // What a unit's `FileDescriptorName=` may hold (sd_listen_fds_with_names(3)).
        let valid = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        if !valid {
            let label = "the name in the socket unit's FileDescriptorName=, for example \"systemd:https\"";
            table.problem(text.span.clone(), "`address` names no systemd socket", label);
        }
        return valid.then(|| Place::Systemd(name.into()));
    }
    match unix_path(table, "address", text) {
        Some(path) => path.map(Place::Bind),
        None => socket_address(table, "address", text).map(|address| Place::Bind(address.into())),
    }
}

/// The endpoint of `unix:PATH`; the outer option is empty for a text that is none. A relative path starts at the folder of the
/// configuration file.
pub(super) fn unix_path(table: &Table<'_>, key: &str, text: &At<&str>) -> Option<Option<Endpoint>> {
    let path = text.value.strip_prefix(UNIX)?;
    let full = table.context.folder.join(Path::new(path));
    let refuse = |label: String| {
        table.problem(text.span.clone(), format!("`{key}` is no path of a socket"), label);
        Some(None)
    };
    if path.is_empty() || path.contains(|char: char| char.is_whitespace() || char.is_control()) {
        return refuse("a path without spaces: \"unix:/run/weir.sock\"".to_owned());
    }
    if full.as_os_str().len() > LONGEST_PATH {
        return refuse(format!("at most {LONGEST_PATH} bytes, the folder included"));
    }
    Some(Some(Endpoint::Unix(full.into())))
}

fn socket_options(table: &Table<'_>) -> SocketOptions {
    /// Reading, writing and executing for three kinds of users.
    const ALL: u32 = 0o777;
    let text = table.text_or_default("unix_mode");
    let mode = u32::from_str_radix(text.value, 8).ok().filter(|mode| *mode <= ALL);
    if mode.is_none() {
        table.problem(
            text.span,
            format!("`unix_mode` cannot be \"{}\"", text.value),
            "permissions as an octal number: \"0660\"",
        );
    }
    SocketOptions {
        v6: if table.flag("v6_only") {
            IpVersions::OnlyV6
        } else {
            IpVersions::Both
        },
        mode: mode.unwrap_or_default(),
    }
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
