//! Lets in who shows a key, and tells the upstream who it is.

mod keys;

use keys::Keys;
use weir_sdk::prelude::*;

/// `[plugin.config]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The header in which the client shows its key.
    #[serde(default = "x_api_key")]
    header: String,
    /// The realm that a refused client is told (RFC 9110 §11.5).
    realm: String,
}

fn x_api_key() -> String {
    "x-api-key".to_owned()
}

struct ApiKey {
    header: String,
    challenge: String,
    keys: Keys,
}

#[weir_sdk::plugin]
impl Plugin for ApiKey {
    type Config = Config;
    type State = ();

    fn configure(config: Config, setup: &mut Setup) -> Result<Self, Error> {
        weir_sdk::contract::check_name(&config.header).map_err(|error| Error::at("header", error))?;
        if config.realm.contains(['"', '\\']) || !weir_sdk::contract::is_value(config.realm.as_bytes()) {
            return Err(Error::at(
                "realm",
                "a text without quotes, backslashes and control characters",
            ));
        }
        let file = setup
            .data("keys")
            .ok_or("the manifest gives no file: [plugin.data] needs keys = \"keys.txt\"")?;
        let keys = Keys::parse(&file).map_err(|error| Error::at("the file of keys", error))?;
        Ok(Self {
            header: config.header,
            challenge: format!("ApiKey realm=\"{}\"", config.realm),
            keys,
        })
    }

    fn on_request(&self, _state: &mut (), request: &mut Request) -> Verdict {
        match self.client(request) {
            Some(client) => self.admit(request, client),
            None => self.refuse(),
        }
    }
}

impl ApiKey {
    /// The name of whoever shows exactly one key, a known one.
    fn client(&self, request: &Request) -> Option<&str> {
        match request.header_values(&self.header).as_slice() {
            [key] => self.keys.name_of(key),
            _ => None,
        }
    }

    fn admit(&self, request: &mut Request, client: &str) -> Verdict {
        request.note("client", client);
        let edits = [
            request.remove_header(&self.header),
            request.set_header("x-client", client),
        ];
        match edits.into_iter().find_map(Result::err) {
            None => Verdict::Continue,
            // The upstream must not see a request that only looks as if it had passed here.
            Some(error) => {
                log::error!("the client's name cannot be handed on: {error}");
                Verdict::Reply(Reply::new(500))
            }
        }
    }

    fn refuse(&self) -> Verdict {
        let body = format!("This needs a key in the header {}.\n", self.header);
        Verdict::Reply(Reply::text(401, body).header("www-authenticate", self.challenge.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_sdk::testing::{Host, Sandbox, run_cases};

    #[test]
    fn cases() {
        run_cases::<ApiKey>("cases.toml");
    }

    #[test]
    fn a_bad_configuration_names_its_key() {
        let refused = |config: &str, keys: &str| {
            Sandbox::<ApiKey>::new(Host::new().with_data("keys", keys), config)
                .err()
                .unwrap_or_default()
        };
        assert!(refused(r#"{"realm": "a", "header": "via"}"#, "k n").starts_with("header: "));
        assert!(refused(r#"{"realm": "\"", "header": "x"}"#, "k n").starts_with("realm: "));
        assert!(refused(r#"{"realm": 5}"#, "k n").starts_with("realm: invalid type: integer `5`, expected a string"));
        assert!(refused(r#"{"realm": "a"}"#, "k n\nk").starts_with("the file of keys: line 2: "));
    }

    #[test]
    fn a_manifest_without_the_file_says_so() {
        let error = Sandbox::<ApiKey>::new(Host::new(), r#"{"realm": "a"}"#)
            .err()
            .unwrap_or_default();
        assert!(error.contains("[plugin.data]"), "{error}");
    }
}
