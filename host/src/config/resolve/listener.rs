//! `[[listener]]`.

use std::collections::HashSet;
use std::path::Path;

use toml::de::DeValue;

use super::super::endpoint::{LONGEST_PATH, UNIX};
use super::super::raw::{At, Table};
use super::super::settings;
use super::super::{Carries, Endpoint, IpVersions, Listener, Place, Redirect, SocketOptions};
use super::tls::listener_tls;
use super::{Names, networks, socket_address};

pub(super) fn listeners(root: &Table<'_>) -> Vec<Listener> {
    root.require("listener");
    let mut names = Names::of("listeners");
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
            listener_tls(&table);
            continue;
        };
        let name = table.text("name").unwrap_or(first);
        names.check(&table, &name);
        listeners.push(Listener {
            name: name.value.into(),
            places,
            socket: socket_options(&table),
            carries: match table.choice("protocol") {
                "tcp" => Carries::Tcp,
                _ => Carries::Http,
            },
            http2: table.flag("http2"),
            tls: listener_tls(&table),
            proxy_protocol: networks(&table, "proxy_protocol"),
            redirect_https: redirect_https(&table),
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

fn redirect_https(table: &Table<'_>) -> Option<Redirect> {
    let redirect = Redirect {
        port: table.integer("https_port"),
    };
    let on = table.flag("redirect_https");
    if on
        && table.has("tls")
        && let Some(value) = table.other("redirect_https")
    {
        table.problem(
            value.span(),
            "`redirect_https` has no effect here",
            "this listener speaks TLS; set it on the one in clear",
        );
    }
    on.then_some(redirect)
}
