//! Behaves: writes its configured mark on the request that goes upstream and on the response that comes back.

use weir_sdk::prelude::*;

/// What to write.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    mark: String,
}

/// The plugin.
#[derive(Debug)]
pub struct Mark {
    mark: String,
}

#[weir_sdk::plugin]
impl Plugin for Mark {
    type Config = Config;
    type State = ();

    fn configure(config: Config, _setup: &mut Setup) -> Result<Self, Error> {
        Ok(Self { mark: config.mark })
    }

    fn on_request(&self, _state: &mut (), request: &mut Request) -> Verdict {
        let _ = request.append_header("x-mark", &self.mark);
        request.note("mark", &self.mark);
        Verdict::Continue
    }

    fn on_response(&self, _state: &mut (), _request: &Request, response: &mut Response) -> Verdict {
        let _ = response.append_header("x-mark", &self.mark);
        Verdict::Continue
    }
}
