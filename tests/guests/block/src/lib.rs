//! Misbehaves: waits for a time that does not come, asking the clock again and again.

use weir_sdk::prelude::*;

/// The plugin.
#[derive(Debug)]
pub struct Block;

#[weir_sdk::plugin]
impl Plugin for Block {
    type Config = Empty;
    type State = ();

    fn configure(_config: Empty, _setup: &mut Setup) -> Result<Self, Error> {
        Ok(Self)
    }

    fn on_request(&self, _state: &mut (), request: &mut Request) -> Verdict {
        if request.path().starts_with(b"/block") {
            let end = weir_sdk::clock::monotonic().saturating_add(u64::MAX / 2);
            while weir_sdk::clock::monotonic() < end {}
        }
        Verdict::Continue
    }
}
