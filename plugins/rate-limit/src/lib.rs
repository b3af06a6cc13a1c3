//! How often who may come: limits by the generic cell rate algorithm, counted by the host for all workers together.
//!
//! This file is the adapter. [`config`] reads and checks the limits, [`limit`] finds those that apply to a request and makes
//! their keys, [`fields`] writes what the client is told, and none of them knows the host.

pub mod config;
pub mod cookie;
pub mod fields;
pub mod limit;

use std::net::IpAddr;

use weir_plugin_common::{Asked, ScopeFacts};
use weir_sdk::counters::{Outcome, Take};
use weir_sdk::prelude::*;

use config::Config;
use limit::{Advertise, Applying, KeyFacts, Limits, Mode};

/// The plugin: its limits, and nothing else.
#[derive(Debug)]
pub struct RateLimit {
    limits: Limits,
}

/// The limits that applied to an exchange, kept for its response where successful ones carry the fields, too.
#[derive(Debug, Default)]
pub struct Seen {
    applying: Applying,
    outcomes: Vec<Outcome>,
}

#[weir_sdk::plugin]
impl Plugin for RateLimit {
    type Config = Config;
    type State = Seen;

    fn configure(config: Config, setup: &mut Setup) -> Result<Self, Error> {
        let limits = config.resolve(|name| {
            setup
                .counters(name)
                .map(Counters::space)
                .map_err(|error| error.to_string())
        })?;
        setup.phases(match limits.advertise {
            _ if limits.limits.is_empty() => Phases::NONE,
            Advertise::Always => Phases::ON_REQUEST | Phases::ON_RESPONSE,
            Advertise::Refused | Advertise::Never => Phases::ON_REQUEST,
        });
        Ok(Self { limits })
    }

    fn on_request(&self, seen: &mut Seen, request: &mut Request) -> Verdict {
        let mut exchange = Exchange {
            asked: Asked::new(request),
        };
        if self.limits.has_dry_runs() {
            let tried = self.limits.applying(Mode::DryRun, &mut exchange);
            for name in self.limits.violated(&tried, &self.take(&tried)) {
                request.note("dry-run", name);
            }
        }
        let applying = self.limits.applying(Mode::Enforce, &mut exchange);
        let outcomes = self.take(&applying);
        let verdict = if outcomes.iter().all(|outcome| outcome.allowed) {
            Verdict::Continue
        } else {
            self.refuse(request, &applying, &outcomes)
        };
        if self.limits.advertise == Advertise::Always && verdict == Verdict::Continue {
            *seen = Seen { applying, outcomes };
        }
        verdict
    }

    fn on_response(&self, seen: &mut Seen, request: &Request, response: &mut Response) -> Verdict {
        if let Some([policy, limit]) = fields::rate_limit(&self.limits, &seen.applying, &seen.outcomes) {
            // Added to what the upstream says: a limit of its own is not ours to hide.
            let added = response
                .append_header("ratelimit-policy", policy)
                .and_then(|()| response.append_header("ratelimit", limit));
            if let Err(error) = added {
                request.note("ratelimit-fields", &error.to_string());
            }
        }
        Verdict::Continue
    }
}

impl RateLimit {
    /// One call for all limits, so that a request is charged by all of them or by none.
    fn take(&self, applying: &Applying) -> Vec<Outcome> {
        if applying.hits.is_empty() {
            return Vec::new();
        }
        let mut takes = Vec::with_capacity(applying.hits.len());
        for (limit, key) in self.limits.of(applying) {
            takes.push(Take {
                space: limit.space,
                key,
                interval: limit.interval,
                burst: limit.burst,
                cost: limit.cost,
            });
        }
        counters::take(&takes)
    }

    fn refuse(&self, request: &Request, applying: &Applying, outcomes: &[Outcome]) -> Verdict {
        let violated: Vec<&str> = self.limits.violated(applying, outcomes).collect();
        for name in &violated {
            request.note("limit", name);
        }
        let mut reply = Reply::new(self.limits.status)
            .header("content-type", "application/problem+json")
            .header("cache-control", "no-store")
            .header("retry-after", fields::retry_after(outcomes).to_string())
            .body(fields::problem(self.limits.status, &violated));
        if self.limits.advertise != Advertise::Never
            && let Some([policy, limit]) = fields::rate_limit(&self.limits, applying, outcomes)
        {
            reply = reply.header("ratelimit-policy", policy).header("ratelimit", limit);
        }
        Verdict::Reply(reply)
    }
}

/// One request, as the limits see it.
struct Exchange<'a> {
    asked: Asked<'a>,
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

impl KeyFacts for Exchange<'_> {
    fn client_ip(&mut self) -> IpAddr {
        self.asked.client_ip()
    }

    fn header(&mut self, name: &str) -> Option<Vec<u8>> {
        self.asked.request().header(name)
    }

    fn cookie(&mut self, name: &str) -> Option<Vec<u8>> {
        // HTTP/2 clients may split cookies over several lines (RFC 9113 §8.2.3).
        let lines = self.asked.request().header_values("cookie");
        lines
            .iter()
            .find_map(|line| cookie::value(line, name))
            .map(<[u8]>::to_vec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases() {
        weir_sdk::testing::run_cases::<RateLimit>("cases.toml");
    }
}
