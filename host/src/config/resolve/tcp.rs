//! `[[tcp_route]]`.

use std::collections::{HashMap, HashSet};

use super::super::raw::{At, Table};
use super::super::settings;
use super::super::suggest::nearest;
use super::super::tcp::{Carries, TcpRoute};
use super::super::{HostPattern, Listener, Timeouts, Upstream};
use super::Names;
use super::route::{find_upstream, host_patterns};

pub(super) fn routes(
    root: &Table<'_>,
    listeners: &[Listener],
    upstreams: &[Upstream],
    timeouts: &Timeouts,
) -> Vec<TcpRoute> {
    let indices: HashMap<&str, usize> = (0..)
        .zip(upstreams)
        .map(|(index, upstream)| (&*upstream.name, index))
        .collect();
    let mut names = Names::of("TCP routes");
    let mut taken = HashSet::new();
    let mut routes = Vec::<TcpRoute>::new();
    for table in root.tables("tcp_route", &settings::TCP_ROUTE) {
        let upstream_name = table.required_text("upstream");
        let upstream = upstream_name
            .as_ref()
            .and_then(|name| find_upstream(&table, &indices, name));
        let name = table.text("name").or(upstream_name);
        if let Some(name) = &name {
            names.check(&table, name);
        }
        let Some(listener) = table.required_text("listener") else {
            continue;
        };
        check_listener(&table, listeners, &listener);
        let server_names = host_patterns(&table, "server_names");
        for key in keys(&server_names) {
            if !taken.insert((listener.value, key.clone())) {
                let message = match key.as_str() {
                    "" => format!("two routes of `{}` have no `server_names`", listener.value),
                    name => format!("two routes of `{}` take the name {name}", listener.value),
                };
                table.problem(table.span.clone(), message, "this one never gets a connection");
            }
        }
        routes.push(TcpRoute {
            name: name.map_or("", |name| name.value).into(),
            listener: listener.value.into(),
            server_names,
            upstream: upstream.unwrap_or_default(),
            retries: table.integer("retries"),
            connect_timeout: table.duration_or("connect_timeout", timeouts.connect),
            idle_timeout: table.duration("idle_timeout"),
        });
    }
    for (listener, table) in listeners.iter().zip(root.tables("listener", &settings::LISTENER)) {
        let served = routes.iter().any(|route| route.listener == listener.name);
        if listener.carries == Carries::Tcp && !served {
            let message = format!("the listener `{}` has no TCP route", listener.name);
            table.problem(table.span.clone(), message, "add a [[tcp_route]] that names it");
        }
    }
    routes
}

fn check_listener(table: &Table<'_>, listeners: &[Listener], name: &At<&str>) {
    let found = listeners.iter().find(|listener| &*listener.name == name.value);
    let (message, label) = match found {
        Some(listener) if listener.carries == Carries::Tcp => return,
        Some(_) => (
            format!("the listener `{}` carries HTTP", name.value),
            "give it protocol = \"tcp\"".to_owned(),
        ),
        None => {
            let known = listeners.iter().map(|listener| &*listener.name);
            let label = match nearest(name.value, known) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => "the `name` of a [[listener]] with protocol = \"tcp\"".to_owned(),
            };
            (format!("there is no listener `{}`", name.value), label)
        }
    };
    table.problem(name.span.clone(), message, label);
}

/// What a route takes of its listener; the empty name is everything else.
fn keys(server_names: &[HostPattern]) -> Vec<String> {
    if server_names.is_empty() {
        return vec![String::new()];
    }
    let key = |pattern: &HostPattern| match pattern {
        HostPattern::Exact(name) => name.clone(),
        HostPattern::Suffix(name) => format!("*.{name}"),
    };
    server_names.iter().map(key).collect()
}
