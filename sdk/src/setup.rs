//! What `configure` may ask the host for.

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

    /// The content of a file that the manifest gives to the plugin under this name (`[plugin.data]`).
    #[must_use]
    pub fn data(&self, name: &str) -> Option<Vec<u8>> {
        host::data(name)
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
