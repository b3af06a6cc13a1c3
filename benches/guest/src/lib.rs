//! Does one thing that plugins do, so that it can be measured.

use weir_sdk::counters::{self, Take};
use weir_sdk::prelude::*;

/// `[plugin.config]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    work: Work,
}

/// What is done for every request.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Nothing.
    Nothing,
    /// Reads the path and one header.
    PathAndHeader,
    /// Copies all headers.
    Headers,
    /// Counts against one limit by the client's address.
    Take,
    /// Looks up the path in a table.
    Lookup,
}

/// The plugin.
#[derive(Debug)]
pub struct Cost {
    work: Work,
    space: Option<u32>,
    table: Option<Table>,
}

#[weir_sdk::plugin]
impl Plugin for Cost {
    type Config = Config;
    type State = ();

    fn configure(config: Config, setup: &mut Setup) -> Result<Self, Error> {
        let space = match config.work {
            Work::Take => Some(setup.counters("cost")?.space()),
            _ => None,
        };
        let table = match config.work {
            Work::Lookup => Some(setup.table("cost")?),
            _ => None,
        };
        Ok(Self {
            work: config.work,
            space,
            table,
        })
    }

    fn on_request(&self, _state: &mut (), request: &mut Request) -> Verdict {
        let stop = match self.work {
            Work::Nothing => false,
            Work::PathAndHeader => request.path() == b"/stop" || request.header("x-stop").is_some(),
            Work::Headers => request.headers().is_empty(),
            Work::Take => {
                let address = request.client_ip().to_string();
                let takes = self.space.map(|space| Take {
                    space,
                    key: address.as_bytes(),
                    interval: 1,
                    burst: u32::MAX,
                    cost: 1,
                });
                counters::take(takes.as_slice()).iter().any(|outcome| !outcome.allowed)
            }
            Work::Lookup => self
                .table
                .as_ref()
                .is_some_and(|table| table.lookup(&request.path()).is_some()),
        };
        if stop { Verdict::Close } else { Verdict::Continue }
    }
}
