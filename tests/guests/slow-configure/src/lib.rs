//! Misbehaves: works on its configuration for ever.

use weir_sdk::prelude::*;

/// The plugin.
#[derive(Debug)]
pub struct SlowConfigure;

#[weir_sdk::plugin]
impl Plugin for SlowConfigure {
    type Config = Empty;
    type State = ();

    fn configure(_config: Empty, _setup: &mut Setup) -> Result<Self, Error> {
        loop {
            std::hint::spin_loop();
        }
    }

    fn on_request(&self, _state: &mut (), _request: &mut Request) -> Verdict {
        Verdict::Continue
    }
}
