//! The host as a native build sees it: the fake host of this thread (see [`crate::testing`]).

use std::net::IpAddr;

use crate::Condition;
use crate::Head;
use crate::contract::EditError;
use crate::counters::{Outcome, Take};
use crate::head::{Received, ResponseHead};
use crate::kv::Replaced;
use crate::log::Level;
use crate::reply::Reply;
use crate::testing::current as with;

pub(crate) fn head() -> Head {
    Head {
        client: client_ip(),
        method: method(),
        version: version(),
        host: host(),
        id: id(),
        path: path(),
        query: query(),
        headers: request_headers(),
    }
}

pub(crate) fn received() -> Received {
    Received {
        head: head(),
        target: None,
        refused: refused(),
    }
}

pub(crate) fn refused() -> Option<String> {
    with(|host| host.request.refused.clone())
}

pub(crate) fn client_ip() -> IpAddr {
    with(|host| host.request.client)
}

pub(crate) fn method() -> String {
    with(|host| host.request.method.clone())
}

pub(crate) fn scheme() -> String {
    with(|host| host.request.scheme.clone())
}

pub(crate) fn host() -> String {
    with(|host| host.request.host.clone())
}

pub(crate) fn path() -> Vec<u8> {
    with(|host| host.request.path().to_vec())
}

pub(crate) fn query() -> Option<Vec<u8>> {
    with(|host| host.request.query().map(<[u8]>::to_vec))
}

pub(crate) fn version() -> String {
    with(|host| host.request.version.clone())
}

pub(crate) fn id() -> String {
    with(|host| host.request.id.clone())
}

pub(crate) fn route() -> String {
    with(|host| host.request.route.clone())
}

pub(crate) fn request_header(name: &str) -> Option<Vec<u8>> {
    with(|host| host.request.headers.get(name).map(<[u8]>::to_vec))
}

pub(crate) fn request_header_values(name: &str) -> Vec<Vec<u8>> {
    with(|host| host.request.headers.all(name).map(<[u8]>::to_vec).collect())
}

pub(crate) fn request_headers() -> Vec<(String, Vec<u8>)> {
    with(|host| host.request.headers.to_vec())
}

pub(crate) fn set_request_header(name: &str, value: &[u8]) -> Result<(), EditError> {
    with(|host| host.request_headers_mut()?.set(name, value))
}

pub(crate) fn append_request_header(name: &str, value: &[u8]) -> Result<(), EditError> {
    with(|host| host.request_headers_mut()?.append(name, value))
}

pub(crate) fn remove_request_header(name: &str) -> Result<(), EditError> {
    with(|host| host.request_headers_mut()?.remove(name))
}

pub(crate) fn set_target(path_and_query: &[u8]) -> Result<(), EditError> {
    with(|host| host.set_target(path_and_query))
}

pub(crate) fn status() -> u16 {
    with(|host| host.response.status)
}

pub(crate) fn response_header(name: &str) -> Option<Vec<u8>> {
    with(|host| host.response.headers.get(name).map(<[u8]>::to_vec))
}

pub(crate) fn response_header_values(name: &str) -> Vec<Vec<u8>> {
    with(|host| host.response.headers.all(name).map(<[u8]>::to_vec).collect())
}

pub(crate) fn response_head() -> ResponseHead {
    ResponseHead {
        status: status(),
        headers: response_headers(),
    }
}

pub(crate) fn response_headers() -> Vec<(String, Vec<u8>)> {
    with(|host| host.response.headers.to_vec())
}

pub(crate) fn set_status(status: u16) -> Result<(), EditError> {
    with(|host| host.set_status(status))
}

pub(crate) fn set_response_header(name: &str, value: &[u8]) -> Result<(), EditError> {
    with(|host| host.response_headers_mut()?.set(name, value))
}

pub(crate) fn append_response_header(name: &str, value: &[u8]) -> Result<(), EditError> {
    with(|host| host.response_headers_mut()?.append(name, value))
}

pub(crate) fn remove_response_header(name: &str) -> Result<(), EditError> {
    with(|host| host.response_headers_mut()?.remove(name))
}

pub(crate) fn hold(limit: u64) {
    with(|host| host.hold = Some(limit));
}

pub(crate) fn reply(reply: Reply) {
    with(|host| host.reply(reply));
}

pub(crate) fn log(level: Level, message: &str) {
    with(|host| host.logs.push((level, message.to_owned())));
}

pub(crate) fn note(key: &str, value: &str) {
    with(|host| host.note(key, value));
}

pub(crate) fn event(line: &str) {
    with(|host| host.event(line));
}

pub(crate) fn bypass_cache() -> Result<(), EditError> {
    with(|host| host.bypass_cache())
}

pub(crate) fn set_cache_key(key: &[u8]) -> Result<(), EditError> {
    with(|host| host.set_cache_key(key))
}

pub(crate) fn set_cache_lifetime(seconds: u32) -> Result<(), EditError> {
    with(|host| host.set_cache_lifetime(seconds))
}

pub(crate) fn add_cache_tag(tag: &[u8]) -> Result<(), EditError> {
    with(|host| host.add_cache_tag(tag))
}

pub(crate) fn now() -> u64 {
    with(|host| host.now())
}

pub(crate) fn monotonic() -> u64 {
    with(|host| host.monotonic())
}

pub(crate) fn random() -> u64 {
    with(|host| host.random())
}

pub(crate) fn increment(name: &str, by: u64) {
    with(|host| host.metrics.increment(name, by));
}

pub(crate) fn set_gauge(name: &str, value: f64) {
    with(|host| host.metrics.set(name, value));
}

pub(crate) fn open_counters(name: &str) -> Option<u32> {
    with(|host| host.counters.open(name))
}

pub(crate) fn take(limits: &[Take<'_>]) -> Vec<Outcome> {
    with(|host| host.take(limits))
}

pub(crate) fn open_table(name: &str) -> Option<u32> {
    with(|host| host.open_table(name))
}

pub(crate) fn table_size(table: u32) -> u64 {
    with(|host| host.table(table).map_or(0, |table| table.size()))
}

pub(crate) fn table_lookup(table: u32, key: &[u8]) -> Option<Vec<u8>> {
    with(|host| host.table(table)?.lookup(key))
}

pub(crate) fn table_longest_prefix(table: u32, key: &[u8]) -> Option<(usize, Vec<u8>)> {
    with(|host| host.table(table)?.longest_prefix(key))
}

pub(crate) fn table_lookup_ip(table: u32, ip: IpAddr) -> Option<Vec<u8>> {
    with(|host| host.table(table)?.lookup_ip(ip))
}

pub(crate) fn kv_get(key: &[u8]) -> Option<Vec<u8>> {
    with(|host| host.kv_get(key))
}

pub(crate) fn kv_set(key: &[u8], value: &[u8], ttl: u64) -> bool {
    with(|host| host.kv_set(key, value, ttl))
}

pub(crate) fn kv_replace(key: &[u8], expected: Option<&[u8]>, value: &[u8], ttl: u64) -> Replaced {
    with(|host| host.kv_replace(key, expected, value, ttl))
}

pub(crate) fn kv_delete(key: &[u8]) {
    with(|host| host.kv.delete(key));
}

pub(crate) fn kv_add(key: &[u8], by: i64, ttl: u64) -> Option<i64> {
    with(|host| host.kv_add(key, by, ttl))
}

pub(crate) fn data(name: &str) -> Option<Vec<u8>> {
    with(|host| host.data(name))
}

pub(crate) fn data_names() -> Vec<String> {
    with(|host| host.data_names())
}

pub(crate) fn only(any_of: &[Condition]) {
    with(|host| host.only(any_of));
}
