//! A configured plugin, to which exchanges can be sent.

use std::fmt;

use super::cache::Caching;
use super::host::{Host, Phase};
use super::message::{ClientRequest, Headers, UpstreamResponse};
use crate::glue::{Decision, Instance};
use crate::{Phases, Plugin, Summary};

/// A plugin over a fake host: the part of Weir's spine that plugins see.
pub struct Sandbox<P: Plugin> {
    /// What the plugin leans on: move its clock, look at its logs and metrics.
    pub host: Host,
    phases: Phases,
    instance: Instance<P>,
}

type OnHead<P> = fn(&Instance<P>) -> Decision;
type OnBody<P> = fn(&Instance<P>, &[u8], bool) -> Decision;

/// How an exchange ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The upstream answered.
    Continue,
    /// The plugin answered.
    Reply,
    /// The connection was closed.
    Close,
    /// Weir refused the request, as it would have without the plugin.
    Refused,
    /// The plugin did what the real runtime answers by its `on_failure` policy.
    Failure(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Continue => f.write_str("continue"),
            Self::Reply => f.write_str("reply"),
            Self::Close => f.write_str("close"),
            Self::Refused => f.write_str("refused"),
            Self::Failure(why) => write!(f, "failure ({why})"),
        }
    }
}

/// What came out of an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// The status that the client got; 0 when the connection was closed.
    pub status: u16,
    /// The headers that the client got.
    pub headers: Headers,
    /// The body that the client got.
    pub body: Vec<u8>,
    /// Path and query that went upstream, or would have.
    pub target: Vec<u8>,
    /// The headers that went upstream, or would have.
    pub request_headers: Headers,
    /// What the plugin noted for the access log.
    pub notes: Vec<(String, String)>,
    /// The plugin's events.
    pub events: Vec<String>,
    /// What it had the cache do.
    pub caching: Caching,
}

impl<P: Plugin> Sandbox<P> {
    /// Configures the plugin with JSON.
    ///
    /// # Errors
    /// What the operator would see.
    pub fn new(mut host: Host, config: &str) -> Result<Self, String> {
        host.phase = Phase::Configure;
        let instance = Instance::new();
        let phases = host.enter(|| instance.configure(config))?;
        Ok(Self { host, phases, instance })
    }

    /// The phases that the configured plugin wants.
    #[must_use]
    pub fn phases(&self) -> Phases {
        self.phases
    }

    /// Sends a request to an upstream that answers 200 with nothing.
    pub fn send(&mut self, request: &ClientRequest) -> Outcome {
        self.exchange(request, &UpstreamResponse::new(200))
    }

    /// Sends a request to an upstream that answers so.
    pub fn exchange(&mut self, request: &ClientRequest, response: &UpstreamResponse) -> Outcome {
        self.host.request = request.clone();
        self.host.response = response.clone();
        self.host.target = None;
        self.host.hold = None;
        self.host.reply = None;
        self.host.failure = None;
        self.host.notes.clear();
        self.host.events.clear();
        self.host.caching = Caching::default();

        if !self.host.concerns() {
            return self.outcome(End::Continue);
        }
        let end = if request.refused.is_some() {
            self.show_refused()
        } else {
            let end = self.request_phases().or_else(|| self.response_phases());
            self.settle(end.unwrap_or(Decision::Continue))
        };
        let outcome = self.outcome(end);
        self.finish(request, &outcome);
        Outcome {
            notes: self.host.notes.clone(),
            events: self.host.events.clone(),
            ..outcome
        }
    }

    /// The plugin is told of it, and whatever it answers changes nothing.
    fn show_refused(&mut self) -> End {
        self.host.phase = Phase::Refused;
        if self.phases.contains(Phases::ON_REQUEST) {
            self.host.enter(|| self.instance.on_request());
        }
        match &self.host.failure {
            Some(why) => End::Failure(why.clone()),
            None => End::Refused,
        }
    }

    /// Nothing when the request goes on.
    fn request_phases(&mut self) -> Option<Decision> {
        self.host.phase = Phase::Request;
        self.message_phases(
            (Phases::ON_REQUEST, Instance::on_request),
            (Phases::ON_REQUEST_BODY, Instance::on_request_body),
            |host| host.request.body.clone(),
        )
    }

    /// Nothing when the response goes on.
    fn response_phases(&mut self) -> Option<Decision> {
        self.host.phase = Phase::Response;
        self.message_phases(
            (Phases::ON_RESPONSE, Instance::on_response),
            (Phases::ON_RESPONSE_BODY, Instance::on_response_body),
            |host| host.response.body.clone(),
        )
    }

    /// A head phase and, where it held, the body phase.
    fn message_phases(
        &mut self,
        (head, on_head): (Phases, OnHead<P>),
        (body, on_body): (Phases, OnBody<P>),
        content: fn(&Host) -> Vec<u8>,
    ) -> Option<Decision> {
        if !self.phases.contains(head) {
            return None;
        }
        let mut decision = self.host.enter(|| on_head(&self.instance));
        self.park_and_resume();
        if decision == Decision::Hold && !self.phases.contains(body) {
            self.host
                .fail(format!("the verdict `hold` in {head:?} has no phase that follows"));
        } else if decision == Decision::Hold {
            let content = content(&self.host);
            let limit = self.host.hold.take().unwrap_or(u64::MAX).min(self.host.body_limit);
            let held = usize::try_from(limit).ok().and_then(|limit| content.get(..limit));
            decision = match held {
                Some(start) if start.len() < content.len() => self.host.enter(|| on_body(&self.instance, start, false)),
                _ => self.host.enter(|| on_body(&self.instance, &content, true)),
            };
        }
        self.park_and_resume();
        match decision {
            _ if self.host.failure.is_some() => Some(decision),
            Decision::Continue | Decision::Hold => None,
            Decision::Reply | Decision::Close => Some(decision),
        }
    }

    /// Between two phases, a plugin that can park an exchange is made to: what it forgets to write down shows.
    fn park_and_resume(&mut self) {
        let moved = self.host.enter(|| match self.instance.park() {
            Some(parked) => self.instance.resume(&parked),
            None => Ok(()),
        });
        if let Err(why) = moved {
            self.host.fail(format!("`resume` refused what `park` had given: {why}"));
        }
    }

    fn settle(&self, decision: Decision) -> End {
        match (&self.host.failure, decision) {
            (Some(why), _) => End::Failure(why.clone()),
            (None, Decision::Continue | Decision::Hold) => End::Continue,
            (None, Decision::Reply) => End::Reply,
            (None, Decision::Close) => End::Close,
        }
    }

    fn outcome(&mut self, end: End) -> Outcome {
        let (status, headers, body) = match (&end, self.host.reply.take()) {
            (End::Reply, Some(reply)) => (reply.status, Headers::from(reply.headers), reply.body),
            (End::Continue, _) => {
                let response = &self.host.response;
                (response.status, response.headers.clone(), response.body.clone())
            }
            // What Weir answers mostly, and says itself.
            (End::Refused, _) => (400, Headers::default(), Vec::new()),
            _ => (0, Headers::default(), Vec::new()),
        };
        Outcome {
            end,
            status,
            headers,
            body,
            target: self
                .host
                .target
                .clone()
                .unwrap_or_else(|| self.host.request.target.clone()),
            request_headers: self.host.request.headers.clone(),
            notes: Vec::new(),
            events: Vec::new(),
            caching: self.host.caching.clone(),
        }
    }

    fn finish(&mut self, request: &ClientRequest, outcome: &Outcome) {
        self.host.phase = Phase::Finish;
        if self.phases.contains(Phases::ON_FINISH) {
            let summary = Summary {
                status: outcome.status,
                duration: 0,
                request_bytes: request.body.len() as u64,
                response_bytes: outcome.body.len() as u64,
            };
            self.host.enter(|| self.instance.on_finish(&summary));
        }
    }
}

impl<P: Plugin> fmt::Debug for Sandbox<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("host", &self.host)
            .field("phases", &self.phases)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::prelude::*;
    use crate::testing::Host;

    /// Does what the path says, and notes every phase with what it knows.
    struct Probe;

    #[derive(Default)]
    struct Seen {
        phases: Vec<&'static str>,
    }

    #[weir_sdk::plugin]
    impl Plugin for Probe {
        type Config = Empty;
        type State = Seen;

        fn configure(_config: Empty, setup: &mut Setup) -> Result<Self, Error> {
            setup
                .data("file")
                .map(|_| Self)
                .ok_or_else(|| Error::at("data.file", "a file"))
        }

        fn on_request(&self, seen: &mut Seen, request: &mut Request) -> Verdict {
            seen.phases.push("on_request");
            match request.path().as_slice() {
                b"/hold" => Verdict::Hold { limit: 4 },
                b"/close" => Verdict::Close,
                b"/status" => Verdict::Reply(Reply::new(100)),
                b"/split" => Verdict::Reply(Reply::new(200).header("x", "a\r\nb: c")),
                b"/framing" => Verdict::Reply(Reply::text(200, "four").header("Content-Length", "9")),
                b"/space" => {
                    let take = counters::Take {
                        space: 9,
                        key: b"",
                        interval: 1,
                        burst: 1,
                        cost: 1,
                    };
                    assert!(counters::take(&[take]).is_empty());
                    Verdict::Continue
                }
                _ => Verdict::Continue,
            }
        }

        fn on_request_body(
            &self,
            seen: &mut Seen,
            _: &mut Request,
            body: &[u8],
            completeness: Completeness,
        ) -> Verdict {
            seen.phases.push("on_request_body");
            log::info!("{} {completeness:?}", body.len());
            Verdict::Hold { limit: 1 }
        }

        fn on_response(&self, seen: &mut Seen, _: &Request, response: &mut Response) -> Verdict {
            seen.phases.push("on_response");
            // No body phase follows, so this is wrong.
            if response.status() == 418 {
                Verdict::Hold { limit: 1 }
            } else {
                Verdict::Continue
            }
        }

        fn on_finish(&self, seen: &mut Seen, request: &Request, summary: &Summary) {
            request.note(&summary.status.to_string(), &seen.phases.join(" "));
        }
    }

    fn sandbox() -> Sandbox<Probe> {
        Sandbox::new(Host::new().with_data("file", ""), "{}").unwrap()
    }

    fn note(key: &str, value: &str) -> Vec<(String, String)> {
        vec![(key.to_owned(), value.to_owned())]
    }

    #[test]
    fn the_phases_are_those_of_the_methods() {
        let phases = Phases::ON_REQUEST | Phases::ON_REQUEST_BODY | Phases::ON_RESPONSE | Phases::ON_FINISH;
        assert_eq!(sandbox().phases(), phases);
    }

    #[test]
    fn an_exchange_passes_its_phases_in_order_with_one_state() {
        let mut sandbox = sandbox();
        for _ in 0..2 {
            assert_eq!(
                sandbox.send(&ClientRequest::get("/")).notes,
                note("200", "on_request on_response")
            );
        }
        let held = sandbox.send(&ClientRequest::post("/hold", "12345"));
        assert_eq!(held.notes, note("200", "on_request on_request_body on_response"));
        assert_eq!(sandbox.host.logs().last().map(|(_, line)| line.as_str()), Some("4 Cut"));
        sandbox.send(&ClientRequest::post("/hold", "1234"));
        assert_eq!(
            sandbox.host.logs().last().map(|(_, line)| line.as_str()),
            Some("4 Complete")
        );
    }

    #[test]
    fn a_closed_connection_gets_no_answer() {
        let outcome = sandbox().send(&ClientRequest::get("/close"));
        assert_eq!((outcome.end, outcome.status), (End::Close, 0));
        assert_eq!(outcome.notes, note("0", "on_request"));
    }

    #[test]
    fn what_the_runtime_would_not_take_is_a_failure() {
        for (path, why) in [("/status", "100"), ("/split", "\"x\""), ("/space", "space 9")] {
            let outcome = sandbox().send(&ClientRequest::get(path));
            assert!(
                matches!(&outcome.end, End::Failure(text) if text.contains(why)),
                "{path}: {}",
                outcome.end
            );
        }
        let outcome = sandbox().exchange(&ClientRequest::get("/"), &UpstreamResponse::new(418));
        assert!(
            matches!(&outcome.end, End::Failure(text) if text.contains("`hold`")),
            "{}",
            outcome.end
        );
    }

    #[test]
    fn framing_in_a_reply_is_ignored() {
        let outcome = sandbox().send(&ClientRequest::get("/framing"));
        assert_eq!((outcome.end, outcome.headers.get("content-length")), (End::Reply, None));
    }

    #[test]
    fn configuration_errors_name_the_key() {
        let refused = |config: &str| Sandbox::<Probe>::new(Host::new(), config).err().unwrap();
        assert_eq!(
            refused("{"),
            "the configuration is not JSON: EOF while parsing an object at line 1 column 1"
        );
        assert_eq!(refused(r#"{"a": 1}"#), "a: unknown field `a`, there are no fields");
        assert_eq!(refused("{}"), "data.file: a file");
    }

    #[test]
    fn outside_of_its_phase_a_message_cannot_be_changed() {
        let mut host = Host::new();
        host.phase = Phase::Finish;
        host.enter(|| {
            assert_eq!(Request::handle().set_header("a", "b"), Err(EditError::TooLate));
            assert_eq!(Request::handle().set_target("/"), Err(EditError::TooLate));
            assert_eq!(Response::handle().remove_header("a"), Err(EditError::TooLate));
            assert_eq!(Response::handle().set_status(200), Err(EditError::TooLate));
            assert_eq!(Setup::new(Phases::ALL).data("file"), None);
        });
    }
}
