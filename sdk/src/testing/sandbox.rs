//! A configured plugin, to which exchanges can be sent.

use std::fmt;

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
    /// The plugin did what the real runtime answers by its `on_failure` policy.
    Failure(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Continue => f.write_str("continue"),
            Self::Reply => f.write_str("reply"),
            Self::Close => f.write_str("close"),
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

        let end = self.request_phases().or_else(|| self.response_phases());
        let end = self.settle(end.unwrap_or(Decision::Continue));
        let outcome = self.outcome(end);
        self.finish(request, &outcome);
        Outcome {
            notes: self.host.notes.clone(),
            ..outcome
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
        if decision == Decision::Hold && self.phases.contains(body) {
            let content = content(&self.host);
            let limit = self.host.hold.take().unwrap_or(u64::MAX).min(self.host.body_limit);
            let held = usize::try_from(limit).ok().and_then(|limit| content.get(..limit));
            decision = match held {
                Some(start) if start.len() < content.len() => self.host.enter(|| on_body(&self.instance, start, false)),
                _ => self.host.enter(|| on_body(&self.instance, &content, true)),
            };
        }
        match decision {
            Decision::Continue | Decision::Hold => None,
            Decision::Reply | Decision::Close => Some(decision),
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
