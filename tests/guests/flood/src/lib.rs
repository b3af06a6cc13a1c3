//! Misbehaves: logs megabytes for every request.

use weir_sdk::prelude::*;

/// The plugin.
#[derive(Debug)]
pub struct Flood;

#[weir_sdk::plugin]
impl Plugin for Flood {
    type Config = Empty;
    type State = ();

    fn configure(_config: Empty, _setup: &mut Setup) -> Result<Self, Error> {
        Ok(Self)
    }

    fn on_request(&self, _state: &mut (), request: &mut Request) -> Verdict {
        if request.path().starts_with(b"/flood") {
            for line in 0..4096 {
                weir_sdk::log::info!("{line} {}", "x".repeat(1024));
            }
        }
        Verdict::Continue
    }
}
