//! Misbehaves: uses counters and tables that nobody gave it. The path says which.

use weir_sdk::counters::{self, Take};
use weir_sdk::prelude::*;

/// The plugin.
#[derive(Debug)]
pub struct Ungranted;

#[weir_sdk::plugin]
impl Plugin for Ungranted {
    type Config = Empty;
    type State = ();

    fn configure(_config: Empty, _setup: &mut Setup) -> Result<Self, Error> {
        Ok(Self)
    }

    fn on_request(&self, _state: &mut (), request: &mut Request) -> Verdict {
        if request.path() == b"/ungranted/counters" {
            let take = Take {
                space: 7,
                key: b"key",
                interval: 1,
                burst: 1,
                cost: 1,
            };
            let _ = counters::take(&[take]);
        }
        Verdict::Continue
    }
}
