//! Behaves: decides what the cache does, by what requests and responses say in `X-Cache-*`.

use std::time::Duration;

use weir_sdk::prelude::*;

/// The plugin.
#[derive(Debug)]
pub struct CachePolicy;

#[weir_sdk::plugin]
impl Plugin for CachePolicy {
    type Config = Empty;
    type State = ();

    fn configure(_config: Empty, _setup: &mut Setup) -> Result<Self, Error> {
        Ok(Self)
    }

    fn on_request(&self, _state: &mut (), request: &mut Request) -> Verdict {
        if request.header("x-cache-bypass").is_some() {
            let _ = request.bypass_cache();
        }
        if let Some(device) = request.header("x-cache-device") {
            let _ = request.set_cache_key([&request.path()[..], b"?device=", &device].concat());
        }
        let _ = request.add_cache_tag("every");
        Verdict::Continue
    }

    fn on_response(&self, _state: &mut (), _request: &Request, response: &mut Response) -> Verdict {
        if let Some(seconds) = response.header("x-cache-lifetime") {
            let seconds = String::from_utf8_lossy(&seconds).parse().unwrap_or(0);
            let _ = response.set_cache_lifetime(Duration::from_secs(seconds));
        }
        if let Some(tag) = response.header("x-cache-kind") {
            let _ = response.add_cache_tag(tag);
        }
        if response.header("x-cache-never").is_some() {
            let _ = response.bypass_cache();
        }
        Verdict::Continue
    }
}
