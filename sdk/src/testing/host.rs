//! The fake host: everything that a plugin can ask, with the answers and refusals of the real one.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cache::Caching;
use super::counters::Spaces;
use super::kv::Store;
use super::message::{ClientRequest, Headers, UpstreamResponse};
use super::metrics::Metrics;
use super::table::TestTable;
use super::{current, time};
use crate::contract::{self, EditError};
use crate::counters::{Outcome, Take};
use crate::kv::Replaced;
use crate::log::Level;
use crate::{Condition, Reply, Table};

/// What a plugin under test leans on. Built once, then given to a [`Sandbox`](super::Sandbox) (or [entered](Host::enter)),
/// where counters, kv, metrics and logs live on from exchange to exchange.
#[derive(Debug, Clone)]
pub struct Host {
    pub(crate) phase: Phase,
    pub(crate) request: ClientRequest,
    pub(crate) target: Option<Vec<u8>>,
    pub(crate) response: UpstreamResponse,
    pub(crate) hold: Option<u64>,
    pub(crate) reply: Option<Reply>,
    pub(crate) failure: Option<String>,
    pub(crate) notes: Vec<(String, String)>,
    pub(crate) events: Vec<String>,
    pub(crate) caching: Caching,
    pub(crate) logs: Vec<(Level, String)>,
    pub(crate) metrics: Metrics,
    pub(crate) counters: Spaces,
    pub(crate) kv: Store,
    pub(crate) body_limit: u64,
    /// What the plugin takes part in; everything without it.
    only: Option<Vec<Condition>>,
    tables: Vec<(String, TestTable)>,
    data: BTreeMap<String, Vec<u8>>,
    now: u64,
    monotonic: u64,
    random: u64,
}

/// Where the exchange is, which decides what can still be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Configure,
    Request,
    /// As `Request`, but nothing can be changed.
    Refused,
    Response,
    Finish,
}

impl Host {
    /// A host without tables, counters and files, on 2026-01-01T00:00:00Z.
    #[must_use]
    pub fn new() -> Self {
        Self {
            phase: Phase::Configure,
            request: ClientRequest::get("/"),
            target: None,
            response: UpstreamResponse::new(200),
            hold: None,
            reply: None,
            failure: None,
            notes: Vec::new(),
            events: Vec::new(),
            caching: Caching::default(),
            logs: Vec::new(),
            metrics: Metrics::default(),
            counters: Spaces::default(),
            kv: Store::default(),
            body_limit: 1 << 20,
            only: None,
            tables: Vec::new(),
            data: BTreeMap::new(),
            now: time::NEW_YEAR_2026,
            monotonic: 0,
            random: 0,
        }
    }

    /// Adds a table.
    #[must_use]
    pub fn with_table(mut self, name: &str, table: TestTable) -> Self {
        self.tables.push((name.to_owned(), table));
        self
    }

    /// Adds a space of counters.
    #[must_use]
    pub fn with_counters(mut self, name: &str) -> Self {
        self.counters.declare(name);
        self
    }

    /// Adds a file that `configure` can read.
    #[must_use]
    pub fn with_data(mut self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.data.insert(name.to_owned(), content.into());
        self
    }

    /// Sets the clock, in nanoseconds since 1970.
    #[must_use]
    pub fn at(mut self, now: u64) -> Self {
        self.now = now;
        self
    }

    /// Sets the manifest's `limits.body`, in bytes; 1 MiB otherwise.
    #[must_use]
    pub fn with_body_limit(mut self, bytes: u64) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Sets how many entries fit into the kv store; 65,536 otherwise.
    #[must_use]
    pub fn with_kv_entries(mut self, entries: usize) -> Self {
        self.kv.capacity = entries;
        self
    }

    /// Lets time pass.
    pub fn advance(&mut self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.now = self.now.saturating_add(nanos);
        self.monotonic = self.monotonic.saturating_add(nanos);
    }

    /// The log lines so far.
    #[must_use]
    pub fn logs(&self) -> &[(Level, String)] {
        &self.logs
    }

    /// The plugin's own series so far.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Runs code that asks for the host, for tests of a function below the plugin.
    pub fn enter<R>(&mut self, run: impl FnOnce() -> R) -> R {
        current(|current| std::mem::swap(current, self));
        let result = run();
        current(|current| std::mem::swap(current, self));
        result
    }

    pub(crate) fn request_headers_mut(&mut self) -> Result<&mut Headers, EditError> {
        match self.phase {
            Phase::Request => Ok(&mut self.request.headers),
            _ => Err(EditError::TooLate),
        }
    }

    pub(crate) fn response_headers_mut(&mut self) -> Result<&mut Headers, EditError> {
        match self.phase {
            Phase::Response => Ok(&mut self.response.headers),
            _ => Err(EditError::TooLate),
        }
    }

    pub(crate) fn set_target(&mut self, target: &[u8]) -> Result<(), EditError> {
        if self.phase != Phase::Request {
            return Err(EditError::TooLate);
        }
        contract::check_target(target)?;
        self.target = Some(target.to_vec());
        Ok(())
    }

    pub(crate) fn set_status(&mut self, status: u16) -> Result<(), EditError> {
        if self.phase != Phase::Response {
            return Err(EditError::TooLate);
        }
        contract::check_status(status)?;
        self.response.status = status;
        Ok(())
    }

    pub(crate) fn reply(&mut self, mut reply: Reply) {
        if contract::check_status(reply.status).is_err() {
            self.fail(format!("a reply's status is 200 to 599, not {}", reply.status));
        }
        reply
            .headers
            .retain(|(name, value)| match contract::check_header(name, value) {
                Ok(()) => true,
                Err(EditError::Reserved) => false,
                Err(error) => {
                    self.fail(format!("a reply's header {name:?}: {error}"));
                    false
                }
            });
        self.reply = Some(reply);
    }

    pub(crate) fn note(&mut self, key: &str, value: &str) {
        let key = contract::cut(key, contract::NOTE_KEY_BYTES);
        let value = contract::cut(value, contract::NOTE_VALUE_BYTES);
        self.notes.push((key.to_owned(), value.to_owned()));
    }

    pub(crate) fn event(&mut self, line: &str) {
        if line.len() <= contract::EVENT_BYTES && self.events.len() < contract::EVENTS {
            self.events.push(line.replace(|c: char| c.is_ascii_control(), " "));
        }
    }

    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    pub(crate) fn monotonic(&self) -> u64 {
        self.monotonic
    }

    /// The same numbers in every run: a Weyl sequence with a mixer behind it.
    pub(crate) fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ (mixed >> 32)
    }

    pub(crate) fn take(&mut self, limits: &[Take<'_>]) -> Vec<Outcome> {
        match self.counters.take(limits, self.now) {
            Ok(outcomes) => outcomes,
            Err(space) => {
                self.fail(format!("counters: there is no space {space}"));
                Vec::new()
            }
        }
    }

    pub(crate) fn open_table(&self, name: &str) -> Option<u32> {
        let index = self.tables.iter().position(|(known, _)| known == name)?;
        u32::try_from(index).ok()
    }

    pub(crate) fn only(&mut self, any_of: &[Condition]) {
        match self.phase {
            Phase::Configure => self.only = Some(any_of.to_vec()),
            _ => self.fail("interest: only `configure` can say what the plugin takes part in".to_owned()),
        }
    }

    /// Whether the plugin takes part in the exchange.
    pub(crate) fn concerns(&self) -> bool {
        let ip = self.request.client.to_canonical();
        let table = |table: Table| self.tables.get(table.handle() as usize).map(|(_, table)| table);
        let is_key = |of: Table, key: &[u8]| table(of).is_some_and(|table| table.lookup(key).is_some());
        self.only.as_ref().is_none_or(|any_of| {
            any_of.iter().any(|condition| match *condition {
                Condition::ClientInTable(of) => table(of).is_some_and(|table| table.lookup_ip(ip).is_some()),
                Condition::ClientBetween(first, last) => (first.to_canonical()..=last.to_canonical()).contains(&ip),
                Condition::PathInTable(of) => is_key(of, self.request.path()),
                Condition::HostAndPathInTable(of) => {
                    is_key(of, &[self.request.host.as_bytes(), self.request.path()].concat())
                }
            })
        })
    }

    pub(crate) fn table(&mut self, handle: u32) -> Option<&TestTable> {
        if handle as usize >= self.tables.len() {
            self.fail(format!("tables: there is no table {handle}"));
        }
        self.tables.get(handle as usize).map(|(_, table)| table)
    }

    pub(crate) fn kv_get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.kv.get(key, self.monotonic)
    }

    pub(crate) fn kv_set(&mut self, key: &[u8], value: &[u8], ttl: u64) -> bool {
        self.kv.set(key, value, ttl, self.monotonic)
    }

    pub(crate) fn kv_replace(&mut self, key: &[u8], expected: Option<&[u8]>, value: &[u8], ttl: u64) -> Replaced {
        if self.kv_get(key).as_deref() != expected {
            return Replaced::Changed;
        }
        match self.kv_set(key, value, ttl) {
            true => Replaced::Kept,
            false => Replaced::Full,
        }
    }

    pub(crate) fn kv_add(&mut self, key: &[u8], by: i64, ttl: u64) -> Option<i64> {
        self.kv.add(key, by, ttl, self.monotonic)
    }

    pub(crate) fn data(&self, name: &str) -> Option<Vec<u8>> {
        if self.phase == Phase::Configure {
            self.data.get(name).cloned()
        } else {
            None
        }
    }

    pub(crate) fn data_names(&self) -> Vec<String> {
        match self.phase {
            Phase::Configure => self.data.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// Remembers the first thing for which the real runtime would stop the plugin.
    pub(crate) fn fail(&mut self, why: String) {
        self.failure.get_or_insert(why);
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}
