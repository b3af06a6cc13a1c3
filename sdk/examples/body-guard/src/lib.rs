//! Reads JSON bodies before the upstream does, and refuses what it could not bear.

mod judge;

use judge::{Limits, Ruling};
use weir_sdk::prelude::*;

/// `[plugin.config]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The largest body, in bytes.
    limit: u64,
    /// The field of the JSON object to look at.
    field: String,
    /// The longest text in that field, in characters.
    longest: usize,
}

struct BodyGuard {
    limit: u64,
    limits: Limits,
}

/// What is known of an exchange when its body has been read.
#[derive(Default)]
struct Read {
    ruling: Option<Ruling>,
    bytes: usize,
}

#[weir_sdk::plugin]
impl Plugin for BodyGuard {
    type Config = Config;
    type State = Read;

    fn configure(config: Config, _setup: &mut Setup) -> Result<Self, Error> {
        if config.limit == 0 {
            return Err(Error::at("limit", "a number of bytes, at least 1"));
        }
        Ok(Self {
            limit: config.limit,
            limits: Limits {
                field: config.field,
                longest: config.longest,
            },
        })
    }

    /// Headers wait with the body: the upstream hears nothing of a request that will be refused.
    fn on_request(&self, _read: &mut Read, request: &mut Request) -> Verdict {
        let content_type = request.header("content-type").unwrap_or_default();
        if judge::is_json(&content_type) {
            Verdict::Hold { limit: self.limit }
        } else {
            Verdict::Continue
        }
    }

    fn on_request_body(
        &self,
        read: &mut Read,
        _request: &mut Request,
        body: &[u8],
        completeness: Completeness,
    ) -> Verdict {
        let ruling = match completeness {
            Completeness::Complete => self.limits.judge(body),
            Completeness::Cut => Ruling::TooLarge,
        };
        *read = Read {
            ruling: Some(ruling),
            bytes: body.len(),
        };
        match ruling {
            Ruling::Accepted => Verdict::Continue,
            Ruling::TooLarge => Verdict::Reply(Reply::text(413, format!("At most {} bytes.\n", self.limit))),
            Ruling::NotJson => Verdict::Reply(Reply::text(400, "This is not JSON.\n")),
            Ruling::TooLong => {
                let message = format!("{}: at most {} characters.\n", self.limits.field, self.limits.longest);
                Verdict::Reply(Reply::text(422, message))
            }
        }
    }

    fn on_finish(&self, read: &mut Read, request: &Request, _summary: &Summary) {
        let Some(ruling) = read.ruling else { return };
        metrics::increment(ruling.metric(), 1);
        match ruling {
            Ruling::Accepted => request.note("body", &format!("accepted, {} bytes", read.bytes)),
            refused => request.note("body", refused.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use weir_sdk::testing::{ClientRequest, Host, Sandbox, run_cases};

    const CONFIG: &str = r#"{"limit": 64, "field": "comment", "longest": 5}"#;

    #[test]
    fn cases() {
        run_cases::<BodyGuard>("cases.toml");
    }

    #[test]
    fn every_ruling_is_counted() {
        let mut sandbox = Sandbox::<BodyGuard>::new(Host::new(), CONFIG).unwrap();
        for body in ["{}", "{}", "{"] {
            sandbox.send(&ClientRequest::post("/", body).header("content-type", "application/json"));
        }
        let metrics = sandbox.host.metrics();
        assert_eq!(
            (metrics.counter("accepted"), metrics.counter("refused_not_json")),
            (2, 1)
        );
    }

    #[test]
    fn one_exchange_knows_nothing_of_the_one_before() {
        let mut sandbox = Sandbox::<BodyGuard>::new(Host::new(), CONFIG).unwrap();
        sandbox.send(&ClientRequest::post("/", "{").header("content-type", "application/json"));
        assert!(sandbox.send(&ClientRequest::get("/")).notes.is_empty());
    }

    #[test]
    fn the_manifest_bounds_what_is_held() {
        let mut sandbox = Sandbox::<BodyGuard>::new(Host::new().with_body_limit(8), CONFIG).unwrap();
        let outcome = sandbox.send(&ClientRequest::post("/", "[1,2,3,4,5]").header("content-type", "application/json"));
        assert_eq!(outcome.status, 413);
    }
}
