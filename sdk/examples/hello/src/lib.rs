//! The smallest plugin that is of any use: it greets on one path, and marks every other response.

use weir_sdk::prelude::*;

/// `[plugin.config]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// What `/hello` answers.
    greeting: String,
}

struct Hello {
    greeting: String,
}

#[weir_sdk::plugin]
impl Plugin for Hello {
    type Config = Config;
    type State = ();

    fn configure(config: Config, _setup: &mut Setup) -> Result<Self, Error> {
        Ok(Self {
            greeting: config.greeting,
        })
    }

    fn on_request(&self, _state: &mut (), request: &mut Request) -> Verdict {
        if request.path() == b"/hello" {
            return Verdict::Reply(Reply::text(200, self.greeting.as_str()));
        }
        Verdict::Continue
    }

    fn on_response(&self, _state: &mut (), _request: &Request, response: &mut Response) -> Verdict {
        if let Err(error) = response.set_header("x-hello", "world") {
            log::warn!("x-hello: {error}");
        }
        Verdict::Continue
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_sdk::testing::{Host, Sandbox, run_cases};

    #[test]
    fn cases() {
        run_cases::<Hello>("cases.toml");
    }

    #[test]
    fn a_configuration_without_a_greeting_says_so() {
        let error = Sandbox::<Hello>::new(Host::new(), "{}").err();
        assert_eq!(error.as_deref(), Some("missing field `greeting`"));
    }
}
