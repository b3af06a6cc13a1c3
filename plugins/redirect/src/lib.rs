//! What has moved, and where to: exact rules, patterns with captures, and tables of millions of entries.
//!
//! This file is the adapter. [`config`] reads and checks the rules, [`redirects`] decides with the help of [`rules`], [`table`],
//! [`target`] and [`query`], [`check`] follows every rule when the bundle is deployed, and none of them knows the host.

pub mod check;
pub mod config;
pub mod loops;
pub mod query;
pub mod redirects;
pub mod rules;
pub mod sample;
pub mod table;
pub mod target;

use weir_sdk::prelude::*;

use config::Config;
use redirects::{Decision, Facts, Redirects, TableKey, TableRule};
use rules::Origins;
use target::Scheme;

/// The plugin.
#[derive(Debug)]
pub struct Redirect {
    redirects: Redirects<Table>,
}

#[weir_sdk::plugin]
impl Plugin for Redirect {
    type Config = Config;
    type State = ();

    fn configure(config: Config, setup: &mut Setup) -> Result<Self, Error> {
        let open = |name: &str| setup.table(name).map_err(|error| error.to_string());
        let redirects = config.resolve(open, |table, key| table.lookup(key))?;
        if redirects.is_empty() {
            setup.phases(Phases::NONE);
        } else if redirects.rules.is_empty() {
            let condition = |rule: &TableRule<Table>| match rule.key {
                TableKey::Path => Condition::PathInTable(rule.table),
                TableKey::HostAndPath => Condition::HostAndPathInTable(rule.table),
            };
            setup.only(&redirects.tables.iter().map(condition).collect::<Vec<_>>());
        }
        Ok(Self { redirects })
    }

    fn on_request(&self, _state: &mut (), request: &mut Request) -> Verdict {
        let path = request.path();
        match self.redirects.decide(&path, &mut Exchange { request, host: None }) {
            Decision::Pass => Verdict::Continue,
            Decision::Answer(answer) => {
                request.note("rule", answer.rule);
                let reply = match answer.location {
                    Some(location) => Reply::new(answer.status).header("location", location),
                    None => Reply::text(answer.status, "Gone\n"),
                };
                Verdict::Reply(match &self.redirects.rule_header {
                    Some(name) => reply.header(name.as_str(), answer.rule),
                    None => reply,
                })
            }
            Decision::Loop { rule } => {
                request.note("loop", rule);
                Verdict::Continue
            }
            Decision::BadEntry { rule, problem } => {
                request.note("bad-entry", &format!("{rule}: {problem}"));
                log::warn!("{rule}: the entry for {}: {problem}", String::from_utf8_lossy(&path));
                Verdict::Continue
            }
        }
    }
}

/// One request, as the rules see it.
struct Exchange<'a> {
    request: &'a Request,
    host: Option<String>,
}

impl Origins for Exchange<'_> {
    fn host(&mut self) -> Option<&str> {
        Some(self.host.get_or_insert_with(|| self.request.host()))
    }

    fn scheme(&mut self) -> Option<Scheme> {
        Scheme::from_name(&self.request.scheme())
    }
}

impl Facts<Table> for Exchange<'_> {
    fn query(&mut self) -> Option<Vec<u8>> {
        self.request.query()
    }

    fn lookup(&mut self, table: &Table, key: &[u8]) -> Option<Vec<u8>> {
        table.lookup(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases() {
        weir_sdk::testing::run_cases::<Redirect>("cases.toml");
    }
}
