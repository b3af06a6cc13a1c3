//! What the operator's port does with the cache.

use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Control;
use crate::admin::CacheCall;
use crate::cache::bans::{Ban, Manner};
use crate::cache::purge::{Selection, Sweep};
use crate::telemetry::families;

impl Control {
    /// Answers a call about the cache. A purge or a ban looks at everything that is stored before it returns, so it is not for
    /// the threads that serve traffic.
    ///
    /// # Errors
    /// What is wrong with the call.
    pub fn cache_call(&self, call: &CacheCall) -> Result<Value, String> {
        match call {
            CacheCall::Purge(selection, manner) => {
                let purged = self.purge(selection, *manner, Sweep::Now)?;
                Ok(json!({ "purged": purged }))
            }
            CacheCall::Ban(expression, manner) => {
                self.count_purge("ban");
                let ban = self.cache().ban(expression.clone(), *manner, Sweep::Now);
                Ok(json!({ "ban": ban.number, "purged": ban.matched() }))
            }
            CacheCall::Inspect(address, headers) => {
                let snapshot = self.current();
                let rules = |name: &str| {
                    let mut routes = snapshot.config.routes.iter();
                    let route = routes.find(|route| *route.name == *name)?;
                    Some(Arc::clone(&route.cache_rules))
                };
                let stored = self.cache().inspect(address, headers, rules, SystemTime::now());
                Ok(json!({ "stored": stored }))
            }
            CacheCall::Bans => {
                let bans: Vec<_> = self.cache().bans().iter().map(|ban| shown(ban)).collect();
                Ok(json!({ "bans": bans }))
            }
        }
    }

    /// Purges and counts it. See [`Cache::purge`](crate::cache::Cache::purge).
    ///
    /// # Errors
    /// What is wrong with the selection.
    pub fn purge(&self, selection: &Selection, manner: Manner, sweep: Sweep) -> Result<u64, String> {
        let purged = self.cache().purge(selection, manner, sweep)?;
        self.count_purge(match selection {
            Selection::Url(_) => "url",
            Selection::Prefix(_) => "prefix",
            Selection::Host(_) => "host",
            Selection::Tags(_) => "tags",
            Selection::All => "all",
        });
        Ok(purged)
    }

    fn count_purge(&self, what: &str) {
        self.metrics()
            .shared_counter(&families::CACHE_PURGES, &[what])
            .increment();
    }
}

fn shown(ban: &Ban) -> Value {
    json!({
        "number": ban.number,
        "expression": ban.expression.as_str(),
        "soft": ban.manner == Manner::Soft,
        "made": Timestamp::try_from(ban.made).ok().map(|made| made.to_string()),
        "purged": ban.matched(),
        "done": ban.is_done(),
    })
}
