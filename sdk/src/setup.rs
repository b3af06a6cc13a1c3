//! What `configure` may ask the host for.

use std::net::IpAddr;

use crate::{Counters, Error, Phases, Table, host};

/// The host, while a plugin is being configured.
#[derive(Debug)]
pub struct Setup {
    phases: Phases,
}

impl Setup {
    pub(crate) fn new(phases: Phases) -> Self {
        Self { phases }
    }

    /// Wants only these phases from now on, of those of which the plugin has a method: a plugin that is configured to do
    /// nothing calls it with [`Phases::NONE`] and costs nothing.
    pub fn phases(&mut self, phases: Phases) {
        self.phases = self.phases.intersection(phases);
    }

    /// Takes part only in exchanges of which one of these holds. The host looks at them without calling the plugin, so that a
    /// request which the plugin has nothing to say about costs a lookup and no call. A condition that holds too often is
    /// harmless, one that is missing is a request that the plugin never sees.
    ///
    /// They are looked at once an exchange, when the first of the plugin's phases is due. Called again, the last call counts.
    pub fn only(&mut self, any_of: &[Condition]) {
        host::only(any_of);
    }

    /// The content of a file that the manifest gives to the plugin under this name (`[plugin.data]`).
    #[must_use]
    pub fn data(&self, name: &str) -> Option<Vec<u8>> {
        host::data(name)
    }

    /// The names of all files of `[plugin.data]`, in order.
    #[must_use]
    pub fn data_names(&self) -> Vec<String> {
        host::data_names()
    }

    /// A table of the manifest (`[[plugin.table]]`, capability `tables`).
    ///
    /// # Errors
    /// When the manifest declares no such table.
    pub fn table(&self, name: &str) -> Result<Table, Error> {
        host::open_table(name).map(Table::new).ok_or_else(|| {
            Error::new(format!(
                "table {name:?} is not declared: the manifest needs a [[plugin.table]] with name = {name:?}"
            ))
        })
    }

    /// A space of counters of the manifest (`[[plugin.counters]]`, capability `counters`).
    ///
    /// # Errors
    /// When the manifest declares no such space.
    pub fn counters(&self, name: &str) -> Result<Counters, Error> {
        host::open_counters(name).map(Counters::new).ok_or_else(|| {
            Error::new(format!(
                "counters {name:?} are not declared: the manifest needs [[plugin.counters]] with name = {name:?}"
            ))
        })
    }

    pub(crate) fn wanted(&self) -> Phases {
        self.phases
    }
}

/// What an exchange may be about, for [`Setup::only`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The client's address lies in a network of this table of kind `ip`.
    ClientInTable(Table),
    /// The client's address is one of these two or lies between them. IPv4 and IPv6 addresses are different, mapped ones are
    /// IPv4.
    ClientBetween(IpAddr, IpAddr),
    /// [`Request::path`](crate::Request::path) is a key of this table.
    PathInTable(Table),
    /// [`Request::host`](crate::Request::host) and the path behind it are a key of this table.
    HostAndPathInTable(Table),
}
