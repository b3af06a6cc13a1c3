//! What a plugin has something to say about, as it told `configure`: looked at natively, so that a request which is none of its
//! business costs a lookup and no call.

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::contract::{Condition, IpAddress};
use super::state::NamedTable;
use crate::exchange::subject::Subject;

/// The exchanges that a plugin takes part in, of those that its matcher lets through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Interest {
    /// In all.
    #[default]
    Everything,
    /// In those of which one condition holds.
    Only(Conditions),
}

/// Any of these. Tables are positions among the plugin's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Conditions {
    client_in: Vec<u32>,
    /// First and last addresses, IPv4 mapped, sorted and without overlap.
    client_between: Vec<(Ipv6Addr, Ipv6Addr)>,
    path_in: Vec<u32>,
    host_and_path_in: Vec<u32>,
}

impl Interest {
    /// In exchanges of which any of these holds.
    pub(super) fn only(any_of: &[Condition]) -> Self {
        let mut conditions = Conditions::default();
        let mut ranges = Vec::new();
        for condition in any_of {
            match *condition {
                Condition::ClientInTable(table) => conditions.client_in.push(table),
                Condition::ClientBetween((first, last)) => ranges.push((first.into(), last.into())),
                Condition::PathInTable(table) => conditions.path_in.push(table),
                Condition::HostAndPathInTable(table) => conditions.host_and_path_in.push(table),
            }
        }
        conditions.client_between = merged(ranges);
        Self::Only(conditions)
    }

    /// Whether the plugin takes part in this exchange.
    pub(super) fn covers(&self, subject: &Subject, tables: &[NamedTable]) -> bool {
        match self {
            Self::Everything => true,
            Self::Only(conditions) => conditions.hold(subject, tables),
        }
    }
}

impl Conditions {
    fn hold(&self, subject: &Subject, tables: &[NamedTable]) -> bool {
        // A table that is not there cannot be asked, so the plugin is.
        let found = |handle: u32, found: &dyn Fn(&NamedTable) -> bool| {
            let table = usize::try_from(handle).ok().and_then(|index| tables.get(index));
            table.is_none_or(found)
        };
        let path = subject.request.uri.path().as_bytes();
        let client_in = |handle: &u32| found(*handle, &|table| table.table.lookup_ip(subject.client_ip).is_some());
        let path_in = |handle: &u32| found(*handle, &|table| table.table.lookup(path).is_some());
        self.client_in.iter().any(client_in)
            || self.is_between(IpAddress::from(subject.client_ip).into())
            || self.path_in.iter().any(path_in)
            || self.host_and_path_in.iter().any(|handle| {
                let host = String::from_utf8_lossy(&subject.host);
                let mut key = SmallVec::<[u8; 256]>::from_slice(host.as_bytes());
                key.extend_from_slice(path);
                found(*handle, &|table| table.table.lookup(&key).is_some())
            })
    }

    fn is_between(&self, client: Ipv6Addr) -> bool {
        let after = self.client_between.partition_point(|(first, _)| *first <= client);
        let candidate = after.checked_sub(1).and_then(|index| self.client_between.get(index));
        candidate.is_some_and(|(_, last)| client <= *last)
    }
}

fn merged(mut ranges: Vec<(Ipv6Addr, Ipv6Addr)>) -> Vec<(Ipv6Addr, Ipv6Addr)> {
    ranges.retain(|(first, last)| first <= last);
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let overlaps = next.0 <= kept.1;
        if overlaps {
            kept.1 = kept.1.max(next.1);
        }
        overlaps
    });
    ranges
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::IpAddr;
    use std::sync::Arc;

    use super::*;
    use crate::bundle::TableKind;
    use crate::plugin::shared::tables::Table;
    use crate::plugin::subjects::subject;

    fn from(client: &str, path: &str) -> Box<Subject> {
        let mut subject = subject("GET", path, &[]);
        subject.client_ip = client.parse().unwrap();
        subject
    }

    fn between(first: &str, last: &str) -> Condition {
        let address = |text: &str| IpAddress::from(text.parse::<IpAddr>().unwrap());
        Condition::ClientBetween((address(first), address(last)))
    }

    fn tables() -> Vec<NamedTable> {
        let table = |name: &str, kind, content: &[u8]| NamedTable {
            name: name.to_owned(),
            table: Arc::new(Table::load(kind, content, false).unwrap()),
        };
        vec![
            table("deny", TableKind::Ip, b"192.0.2.0/24,x\n2001:db8::/32,y\n"),
            table("moved", TableKind::Exact, b"/old,/new\n"),
            table("hosts", TableKind::Exact, b"example.org/old,/new\n"),
        ]
    }

    #[test]
    fn without_a_word_a_plugin_takes_part_in_everything() {
        assert!(Interest::default().covers(&from("192.0.2.1", "/"), &[]));
    }

    #[test]
    fn no_condition_holds_never() {
        assert!(!Interest::only(&[]).covers(&from("192.0.2.1", "/"), &[]));
    }

    #[test]
    fn any_condition_is_enough() {
        let tables = tables();
        let interest = Interest::only(&[Condition::ClientInTable(0), Condition::PathInTable(1)]);
        assert!(interest.covers(&from("192.0.2.7", "/"), &tables));
        assert!(interest.covers(&from("2001:db8::1", "/"), &tables));
        assert!(interest.covers(&from("198.51.100.1", "/old"), &tables));
        assert!(interest.covers(&from("198.51.100.1", "/old?with=query"), &tables));
        assert!(!interest.covers(&from("198.51.100.1", "/older"), &tables));
    }

    #[test]
    fn host_and_path_are_one_key() {
        let interest = Interest::only(&[Condition::HostAndPathInTable(2)]);
        let mut subject = from("192.0.2.7", "/old");
        subject.host = "example.org".into();
        assert!(interest.covers(&subject, &tables()));
        subject.host = "example.net".into();
        assert!(!interest.covers(&subject, &tables()));
    }

    #[test]
    fn ranges_include_both_ends_and_may_overlap() {
        let interest = Interest::only(&[
            between("10.0.0.0", "10.0.0.255"),
            between("10.0.0.128", "10.0.1.3"),
            between("2001:db8::1", "2001:db8::1"),
            between("10.9.0.1", "10.9.0.0"),
        ]);
        for inside in ["10.0.0.0", "10.0.1.0", "10.0.1.3", "::ffff:10.0.0.1", "2001:db8::1"] {
            assert!(interest.covers(&from(inside, "/"), &[]), "{inside}");
        }
        for outside in ["9.255.255.255", "10.0.1.4", "10.9.0.0", "2001:db8::2", "2001:db8::"] {
            assert!(!interest.covers(&from(outside, "/"), &[]), "{outside}");
        }
    }

    #[test]
    fn a_table_that_is_not_there_leaves_nobody_out() {
        assert!(Interest::only(&[Condition::PathInTable(7)]).covers(&from("192.0.2.1", "/"), &tables()));
    }

    #[test]
    fn it_is_kept_as_it_was_said() {
        let interest = Interest::only(&[between("10.0.0.0", "10.0.0.255"), Condition::PathInTable(1)]);
        let kept = serde_json::to_string(&interest).unwrap();
        assert_eq!(serde_json::from_str::<Interest>(&kept).unwrap(), interest);
    }
}
