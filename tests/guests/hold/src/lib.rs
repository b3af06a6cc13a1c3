//! Behaves: holds the request's and the response's body up to a limit and refuses those that hold a word.

use weir_sdk::prelude::*;

/// How much to hold, and what to refuse.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    limit: u64,
    word: String,
}

/// The plugin.
#[derive(Debug)]
pub struct Hold {
    config: Config,
}

#[weir_sdk::plugin]
impl Plugin for Hold {
    type Config = Config;
    type State = ();

    fn configure(config: Config, _setup: &mut Setup) -> Result<Self, Error> {
        Ok(Self { config })
    }

    fn on_request(&self, _state: &mut (), _request: &mut Request) -> Verdict {
        Verdict::Hold {
            limit: self.config.limit,
        }
    }

    fn on_request_body(
        &self,
        _state: &mut (),
        request: &mut Request,
        body: &[u8],
        completeness: Completeness,
    ) -> Verdict {
        let seen = format!("{} {completeness:?}", body.len());
        let _ = request.set_header("x-held", seen);
        self.judge(body)
    }

    fn on_response(&self, _state: &mut (), _request: &Request, _response: &mut Response) -> Verdict {
        Verdict::Hold {
            limit: self.config.limit,
        }
    }

    fn on_response_body(
        &self,
        _state: &mut (),
        _request: &Request,
        response: &mut Response,
        body: &[u8],
        completeness: Completeness,
    ) -> Verdict {
        let seen = format!("{} {completeness:?}", body.len());
        let _ = response.set_header("x-held", seen);
        self.judge(body)
    }
}

impl Hold {
    fn judge(&self, body: &[u8]) -> Verdict {
        let word = self.config.word.as_bytes();
        if body.windows(word.len().max(1)).any(|part| part == word) {
            return Verdict::Reply(Reply::text(403, "a word that is not allowed"));
        }
        Verdict::Continue
    }
}
