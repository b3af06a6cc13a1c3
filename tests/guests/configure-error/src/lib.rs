//! Misbehaves: refuses every configuration.

use weir_sdk::prelude::*;

/// The plugin.
#[derive(Debug)]
pub struct ConfigureError;

#[weir_sdk::plugin]
impl Plugin for ConfigureError {
    type Config = Empty;
    type State = ();

    fn configure(_config: Empty, _setup: &mut Setup) -> Result<Self, Error> {
        Err(Error::new("the moon is in the wrong phase"))
    }

    fn on_request(&self, _state: &mut (), _request: &mut Request) -> Verdict {
        Verdict::Continue
    }
}
