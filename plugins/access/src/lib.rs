//! Who may send what: ordered rules over the client's network, the user agent, method, host, path and headers.
//!
//! This file is the adapter: [`config`] reads and checks the rules, [`policy`] decides, and neither knows the host.

pub mod config;
pub mod policy;

use std::net::IpAddr;

use weir_plugin_common::{Asked, ScopeFacts};
use weir_sdk::prelude::*;

use config::Config;
use policy::{Action, Facts, Policy, Refusal};

/// The plugin: its rules, and nothing else.
#[derive(Debug)]
pub struct Access {
    policy: Policy<Table>,
}

#[weir_sdk::plugin]
impl Plugin for Access {
    type Config = Config;
    type State = ();

    fn configure(config: Config, setup: &mut Setup) -> Result<Self, Error> {
        let policy = config.resolve(|name| setup.table(name).map_err(|error| error.to_string()))?;
        if policy.allows_everything() {
            setup.phases(Phases::NONE);
        } else if let Some(clients) = policy.clients() {
            let conditions = clients.into_iter().flat_map(|(networks, tables)| {
                let networks = networks
                    .ranges()
                    .map(|(first, last)| Condition::ClientBetween(first, last));
                networks.chain(tables.iter().map(|table| Condition::ClientInTable(*table)))
            });
            setup.only(&conditions.collect::<Vec<_>>());
        }
        Ok(Self { policy })
    }

    fn on_request(&self, _state: &mut (), request: &mut Request) -> Verdict {
        let decision = self.policy.decide(&mut Exchange {
            asked: Asked::new(request),
            user_agent: None,
        });
        for reason in &decision.would_refuse {
            request.note("dry-run", reason.rule);
        }
        if let Some(reason) = &decision.reason {
            request.note("rule", reason.rule);
            if let Some(entry) = reason.entry.as_deref().filter(|entry| !entry.is_empty()) {
                request.note("entry", &String::from_utf8_lossy(entry));
            }
        }
        match decision.action {
            Action::Allow => Verdict::Continue,
            Action::Refuse(Refusal::Close) => Verdict::Close,
            Action::Refuse(Refusal::Status(status)) => {
                Verdict::Reply(Reply::text(status, self.policy.body.as_str()).header("cache-control", "no-store"))
            }
        }
    }
}

/// One request, as the rules see it.
struct Exchange<'a> {
    asked: Asked<'a>,
    user_agent: Option<Vec<u8>>,
}

impl ScopeFacts for Exchange<'_> {
    fn host(&mut self) -> &str {
        self.asked.host()
    }

    fn path(&mut self) -> &[u8] {
        self.asked.path()
    }

    fn method(&mut self) -> &str {
        self.asked.method()
    }
}

impl Facts<Table> for Exchange<'_> {
    fn client_ip(&mut self) -> IpAddr {
        self.asked.client_ip()
    }

    fn user_agent(&mut self) -> &[u8] {
        self.user_agent
            .get_or_insert_with(|| self.asked.request().header("user-agent").unwrap_or_default())
    }

    fn header_values(&mut self, name: &str) -> Vec<Vec<u8>> {
        self.asked.request().header_values(name)
    }

    fn lookup(&mut self, table: &Table, client: IpAddr) -> Option<Vec<u8>> {
        table.lookup_ip(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases() {
        weir_sdk::testing::run_cases::<Access>("cases.toml");
    }
}
