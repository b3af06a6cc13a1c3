//! Misbehaves: takes memory until there is none.

use weir_sdk::prelude::*;

/// The plugin.
#[derive(Debug)]
pub struct Grow;

#[weir_sdk::plugin]
impl Plugin for Grow {
    type Config = Empty;
    type State = ();

    fn configure(_config: Empty, _setup: &mut Setup) -> Result<Self, Error> {
        Ok(Self)
    }

    fn on_request(&self, _state: &mut (), request: &mut Request) -> Verdict {
        if request.path().starts_with(b"/grow") {
            let mut hoard: Vec<Vec<u8>> = Vec::new();
            loop {
                hoard.push(std::hint::black_box(vec![1; 1024 * 1024]));
            }
        }
        Verdict::Continue
    }
}
