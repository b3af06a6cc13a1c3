//! What is active at the moment, as a scrape sees it: the build, the snapshot, the generation.

use std::sync::Arc;

use super::families::{
    BUILD_INFO, CLIENT_NETWORKS, CONNECTIONS_OPEN, GENERATION, GENERATION_INFO, HELD_BODIES, SNAPSHOT, WORKERS,
};
use super::registry::Scrape;
use crate::control::Control;

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
    let plugins = &snapshot.plugins;
    scrape.show(&GENERATION, &[], plugins.number() as f64);
    if plugins.number() > 0 {
        scrape.show(&GENERATION_INFO, &[plugins.bundle(), plugins.version()], 1.0);
    }
    scrape.show(&CONNECTIONS_OPEN, &[], control.clients().open() as f64);
    scrape.show(&CLIENT_NETWORKS, &[], control.clients().networks() as f64);
    scrape.show(&HELD_BODIES, &[], control.held_bodies().held() as f64);
    scrape.show(&WORKERS, &[], snapshot.config.workers as f64);
}
