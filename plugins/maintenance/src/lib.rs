//! A page that says "later": switched by hand, or between two times, with clients that pass.
//!
//! This file is the adapter. [`config`] reads and checks, [`schedule`] knows when, [`accept`] which page, [`page`] what it says.

pub mod accept;
pub mod config;
pub mod page;
pub mod schedule;
pub mod time;

use weir_plugin_common::Asked;
use weir_sdk::prelude::*;

use config::{Config, Maintenance};
use schedule::{Schedule, Work};

/// The plugin.
#[derive(Debug)]
pub struct MaintenancePage {
    maintenance: Maintenance<Table>,
}

#[weir_sdk::plugin]
impl Plugin for MaintenancePage {
    type Config = Config;
    type State = ();

    fn configure(config: Config, setup: &mut Setup) -> Result<Self, Error> {
        let maintenance = config.resolve(
            |name| setup.data(name),
            |name| setup.table(name).map_err(|error| error.to_string()),
        )?;
        if maintenance.schedule == Schedule::Off {
            setup.phases(Phases::NONE);
        }
        Ok(Self { maintenance })
    }

    fn on_request(&self, _state: &mut (), request: &mut Request) -> Verdict {
        // An hour of the day costs one call, so it is asked first and only where it matters.
        let now = if self.maintenance.needs_clock() {
            clock::now()
        } else {
            0
        };
        match self.maintenance.schedule.at(now) {
            Work::Resting => Verdict::Continue,
            Work::UnderWay { ends } => {
                let mut asked = Asked::new(request);
                if !self.maintenance.concerns(&mut asked) {
                    return Verdict::Continue;
                }
                if self.passes(&mut asked) {
                    request.note("maintenance", "passed");
                    return Verdict::Continue;
                }
                request.note("maintenance", "shown");
                Verdict::Reply(self.answer(request, now, ends))
            }
        }
    }
}

impl MaintenancePage {
    /// Whether the client is one of those that see the site itself.
    fn passes(&self, asked: &mut Asked<'_>) -> bool {
        let allow = &self.maintenance.allow;
        allow.headers.iter().any(|secret| {
            asked
                .request()
                .header_values(&secret.name)
                .iter()
                .any(|value| secret.is(value))
        }) || (!allow.networks.is_empty() && allow.networks.contains(asked.client_ip()))
            || allow
                .tables
                .iter()
                .any(|table| table.lookup_ip(asked.client_ip()).is_some())
    }

    fn answer(&self, request: &Request, now: u64, ends: Option<u64>) -> Reply {
        let accept = request.header_values("accept");
        let page = self.maintenance.pages.of(accept::preferred(&accept));
        let reply = Reply::new(self.maintenance.status)
            .header("content-type", page.content_type)
            .header("cache-control", "no-store")
            .body(page.body.clone());
        match self.maintenance.retry_after(now, ends) {
            Some(seconds) => reply.header("retry-after", seconds.to_string()),
            None => reply,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases() {
        weir_sdk::testing::run_cases::<MaintenancePage>("cases.toml");
    }
}
