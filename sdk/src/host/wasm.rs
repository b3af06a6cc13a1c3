//! The host as the component sees it: one import each.

use std::net::{IpAddr, Ipv6Addr};

use crate::Condition;
use crate::Head;
use crate::bindings::weir::plugin as wit;
use crate::contract::EditError;
use crate::head::{Received, ResponseHead};
use crate::kv::Replaced;
use crate::log::Level;
use crate::reply::Reply;

/// A host that writes something else than it says is asked for each part.
pub(crate) fn head() -> Head {
    Head::decode(&wit::request::head()).unwrap_or_else(|| Head {
        client: client_ip(),
        method: method(),
        version: version(),
        host: host(),
        id: id(),
        path: path(),
        query: query(),
        headers: request_headers(),
    })
}

pub(crate) fn received() -> Received {
    Received::decode(&wit::request::received()).unwrap_or_else(|| Received {
        head: head(),
        target: None,
        refused: refused(),
    })
}

pub(crate) fn client_ip() -> IpAddr {
    let wit::types::IpAddress { high, low } = wit::request::client_ip();
    Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low)).to_canonical()
}

pub(crate) use wit::request::{
    header as request_header, header_values as request_header_values, host, id, method, path, query, refused, route,
    scheme, version,
};

pub(crate) fn request_headers() -> Vec<(String, Vec<u8>)> {
    pairs(wit::request::headers())
}

pub(crate) fn set_request_header(name: &str, value: &[u8]) -> Result<(), EditError> {
    wit::request::set_header(name, value).map_err(edit_error)
}

pub(crate) fn append_request_header(name: &str, value: &[u8]) -> Result<(), EditError> {
    wit::request::append_header(name, value).map_err(edit_error)
}

pub(crate) fn remove_request_header(name: &str) -> Result<(), EditError> {
    wit::request::remove_header(name).map_err(edit_error)
}

pub(crate) fn set_target(path_and_query: &[u8]) -> Result<(), EditError> {
    wit::request::set_target(path_and_query).map_err(edit_error)
}

pub(crate) use wit::response::{header as response_header, header_values as response_header_values, status};

pub(crate) fn response_head() -> ResponseHead {
    ResponseHead::decode(&wit::response::head()).unwrap_or_else(|| ResponseHead {
        status: status(),
        headers: response_headers(),
    })
}

pub(crate) fn response_headers() -> Vec<(String, Vec<u8>)> {
    pairs(wit::response::headers())
}

pub(crate) fn set_status(status: u16) -> Result<(), EditError> {
    wit::response::set_status(status).map_err(edit_error)
}

pub(crate) fn set_response_header(name: &str, value: &[u8]) -> Result<(), EditError> {
    wit::response::set_header(name, value).map_err(edit_error)
}

pub(crate) fn append_response_header(name: &str, value: &[u8]) -> Result<(), EditError> {
    wit::response::append_header(name, value).map_err(edit_error)
}

pub(crate) fn remove_response_header(name: &str) -> Result<(), EditError> {
    wit::response::remove_header(name).map_err(edit_error)
}

pub(crate) use wit::body::hold;

pub(crate) fn reply(reply: Reply) {
    let headers: Vec<_> = reply
        .headers
        .iter()
        .map(|(name, value)| wit::reply::HeaderLineParam { name, value })
        .collect();
    wit::reply::set(reply.status, &headers, &reply.body);
}

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Debug => wit::log::Level::Debug,
        Level::Info => wit::log::Level::Info,
        Level::Warn => wit::log::Level::Warn,
        Level::Error => wit::log::Level::Error,
    };
    wit::log::write(level, message);
}

pub(crate) use wit::annotations::{event, note};

pub(crate) fn bypass_cache() -> Result<(), EditError> {
    wit::cache::bypass().map_err(edit_error)
}

pub(crate) fn set_cache_key(key: &[u8]) -> Result<(), EditError> {
    wit::cache::set_key(key).map_err(edit_error)
}

pub(crate) fn set_cache_lifetime(seconds: u32) -> Result<(), EditError> {
    wit::cache::set_lifetime(seconds).map_err(edit_error)
}

pub(crate) fn add_cache_tag(tag: &[u8]) -> Result<(), EditError> {
    wit::cache::add_tag(tag).map_err(edit_error)
}

pub(crate) use wit::clock::{monotonic, now};
pub(crate) use wit::metrics::{increment, set as set_gauge};
pub(crate) use wit::random::next as random;

pub(crate) use wit::counters::{open as open_counters, take};

pub(crate) use wit::tables::{lookup as table_lookup, open as open_table, size as table_size};

pub(crate) fn table_longest_prefix(table: u32, key: &[u8]) -> Option<(usize, Vec<u8>)> {
    wit::tables::longest_prefix(table, key).map(|(length, value)| (length as usize, value))
}

pub(crate) fn table_lookup_ip(table: u32, ip: IpAddr) -> Option<Vec<u8>> {
    wit::tables::lookup_ip(table, ip_address(ip))
}

pub(crate) use wit::kv::{add as kv_add, delete as kv_delete, get as kv_get, set as kv_set};

pub(crate) fn kv_replace(key: &[u8], expected: Option<&[u8]>, value: &[u8], ttl: u64) -> Replaced {
    match wit::kv::replace(key, expected, value, ttl) {
        wit::kv::Replacement::Kept => Replaced::Kept,
        wit::kv::Replacement::Changed => Replaced::Changed,
        wit::kv::Replacement::Full => Replaced::Full,
    }
}

pub(crate) use wit::data::{names as data_names, read as data};

pub(crate) fn only(any_of: &[Condition]) {
    let condition = |condition: &Condition| match *condition {
        Condition::ClientInTable(table) => wit::interest::Condition::ClientInTable(table.handle()),
        Condition::ClientBetween(first, last) => {
            wit::interest::Condition::ClientBetween((ip_address(first), ip_address(last)))
        }
        Condition::PathInTable(table) => wit::interest::Condition::PathInTable(table.handle()),
        Condition::HostAndPathInTable(table) => wit::interest::Condition::HostAndPathInTable(table.handle()),
    };
    wit::interest::only(&any_of.iter().map(condition).collect::<Vec<_>>());
}

fn ip_address(ip: IpAddr) -> wit::types::IpAddress {
    let bits = match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    };
    wit::types::IpAddress {
        high: (bits >> 64) as u64,
        low: bits as u64,
    }
}

fn pairs(headers: Vec<wit::types::HeaderLineResult>) -> Vec<(String, Vec<u8>)> {
    headers.into_iter().map(|header| (header.name, header.value)).collect()
}

fn edit_error(error: wit::types::EditError) -> EditError {
    match error {
        wit::types::EditError::InvalidName => EditError::InvalidName,
        wit::types::EditError::InvalidValue => EditError::InvalidValue,
        wit::types::EditError::Reserved => EditError::Reserved,
        wit::types::EditError::TooLate => EditError::TooLate,
    }
}
