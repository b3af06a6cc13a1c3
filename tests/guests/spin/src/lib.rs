//! Misbehaves: never returns.

use weir_sdk::prelude::*;

/// The plugin.
#[derive(Debug)]
pub struct Spin;

#[weir_sdk::plugin]
impl Plugin for Spin {
    type Config = Empty;
    type State = ();

    fn configure(_config: Empty, _setup: &mut Setup) -> Result<Self, Error> {
        Ok(Self)
    }

    fn on_request(&self, _state: &mut (), request: &mut Request) -> Verdict {
        if request.path().starts_with(b"/spin") {
            loop {
                std::hint::spin_loop();
            }
        }
        Verdict::Continue
    }
}
