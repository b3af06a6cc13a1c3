//! What is active at the moment, as a scrape sees it: the build, the generation, the servers' health.

use std::sync::Arc;

use super::families::{BUILD_INFO, SNAPSHOT, UPSTREAM_CHECKS, UPSTREAM_EJECTIONS, UPSTREAM_HEALTHY, WORKERS};
use super::registry::Scrape;
use crate::control::Control;
use crate::upstream::health::Condition;

/// Lets every scrape look at what `control` has active, as long as it lives.
pub fn expose(control: &Arc<Control>) {
    let weak = Arc::downgrade(control);
    control.metrics().on_scrape(move |scrape| {
        if let Some(control) = weak.upgrade() {
            show(&control, scrape);
        }
    });
}

fn show(control: &Control, scrape: &mut Scrape) {
    let snapshot = control.current();
    scrape.show(&BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
    scrape.show(&SNAPSHOT, &[], snapshot.serial as f64);
    scrape.show(&WORKERS, &[], snapshot.config.workers as f64);
    for upstream in snapshot.health.iter().map(|servers| servers.status()) {
        for server in &upstream.servers {
            let labels = [upstream.upstream.as_str(), server.name.as_str()];
            let in_use = !matches!(server.state, Condition::Unhealthy | Condition::Ejected);
            scrape.show(&UPSTREAM_HEALTHY, &labels, f64::from(u8::from(in_use)));
            scrape.show(&UPSTREAM_EJECTIONS, &labels, server.totals.ejections as f64);
            for (result, checks) in [
                ("passed", server.totals.checks_passed),
                ("failed", server.totals.checks_failed),
            ] {
                scrape.show(&UPSTREAM_CHECKS, &[labels[0], labels[1], result], checks as f64);
            }
        }
    }
}
