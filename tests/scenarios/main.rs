//! What Weir promises, shown from outside: one file a promise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod abuse;
mod balancing;
mod cache;
mod cache_disk;
mod cache_load;
mod cache_policy;
mod certificates;
mod compression;
mod configuration;
mod demo;
mod deploy;
mod drain;
mod fixtures;
mod forwarded;
mod harness;
mod health;
mod holding;
mod http2;
mod http2_abuse;
mod http2_limits;
mod http2_streams;
mod http2_upstream;
mod limits;
mod listeners;
mod misbehaving;
mod observed;
mod policy;
mod proxy_protocol;
mod purging;
mod reload;
mod replace;
mod retries;
mod routing;
mod rule_tools;
mod service_manager;
mod streaming;
mod swap;
mod tcp;
mod tiers;
mod timeouts;
mod tls;
mod upgrades;
mod waf;
mod warm_start;
