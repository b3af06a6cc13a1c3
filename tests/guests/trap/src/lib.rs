//! Misbehaves: traps in the phase that the path names.

use weir_sdk::prelude::*;

/// The plugin.
#[derive(Debug)]
pub struct Trap;

#[weir_sdk::plugin]
impl Plugin for Trap {
    type Config = Empty;
    type State = ();

    fn configure(_config: Empty, _setup: &mut Setup) -> Result<Self, Error> {
        Ok(Self)
    }

    fn on_request(&self, _state: &mut (), request: &mut Request) -> Verdict {
        trap_at(request, b"/trap/request");
        Verdict::Continue
    }

    fn on_response(&self, _state: &mut (), request: &Request, _response: &mut Response) -> Verdict {
        trap_at(request, b"/trap/response");
        Verdict::Continue
    }

    fn on_finish(&self, _state: &mut (), request: &Request, _summary: &Summary) {
        trap_at(request, b"/trap/finish");
    }
}

/// Never inlined, so that its name stands in the backtrace.
#[inline(never)]
fn trap_at(request: &Request, path: &[u8]) {
    if request.path() == path {
        std::process::abort();
    }
}
