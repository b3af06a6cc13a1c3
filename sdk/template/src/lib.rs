//! {{name}}: says something in a header of every response.

use weir_sdk::prelude::*;

/// `[plugin.config]` in bundle.toml. Errors name the key that is wrong, and unknown keys are refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    message: String,
}

/// Made once, when the bundle is loaded; the same for every exchange.
struct Message {
    message: String,
}

/// What is kept from one phase of an exchange to the next.
#[derive(Default)]
struct Exchange {
    quiet: bool,
}

#[weir_sdk::plugin]
impl Plugin for Message {
    type Config = Config;
    type State = Exchange;

    fn configure(config: Config, _setup: &mut Setup) -> Result<Self, Error> {
        if !weir_sdk::contract::is_value(config.message.as_bytes()) {
            return Err(Error::at(
                "message",
                "a text without line breaks and control characters",
            ));
        }
        Ok(Self {
            message: config.message,
        })
    }

    fn on_request(&self, exchange: &mut Exchange, request: &mut Request) -> Verdict {
        exchange.quiet = request.header("x-quiet").is_some();
        Verdict::Continue
    }

    fn on_response(
        &self,
        exchange: &mut Exchange,
        _request: &Request,
        response: &mut Response,
    ) -> Verdict {
        if !exchange.quiet
            && let Err(error) = response.set_header("x-message", &self.message)
        {
            log::warn!("x-message: {error}");
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
        run_cases::<Message>("cases.toml");
    }

    #[test]
    fn a_message_is_one_line() {
        let error = Sandbox::<Message>::new(Host::new(), r#"{"message": "a\nb"}"#).err();
        assert_eq!(
            error.as_deref(),
            Some("message: a text without line breaks and control characters")
        );
    }
}
