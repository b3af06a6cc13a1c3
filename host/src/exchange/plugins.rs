//! The phases in which plugins are asked: before the cache, with the request, and before it stores, with the response.

use bytes::Bytes;
use http::StatusCode;

use super::body::ResponseBody;
use super::budget::Share;
use super::{Ending, Exchange, Refusal, route_of};
use crate::http1::names::Names;
use crate::plugin::{Decision, Phase};

impl Exchange {
    /// Finds the plugins that have something to say about this request.
    pub(super) fn begin_session(&mut self) -> Result<(), Ending> {
        if !self.state.chain.is_empty() && route_of(&self.state, self.route)?.plugins {
            self.session = self.state.chain.begin(&self.subject);
        }
        Ok(())
    }

    /// The phases `on_request` and, where a plugin held the request, `on_request_body`.
    pub(super) async fn request_plugins(&mut self) -> Result<(), Ending> {
        let asked = self.ask_about_request().await;
        // They may have changed the fields.
        let request = &mut *self.subject.request;
        request.names = Names::of(&request.headers);
        asked
    }

    async fn ask_about_request(&mut self) -> Result<(), Ending> {
        let limit = match self.consult(Phase::OnRequest, None).await {
            Decision::Hold(limit) => limit,
            decision => return settle(decision),
        };
        let share = self.memory();
        let held = self.body.hold(limit, share).await?;
        match self
            .consult(Phase::OnRequestBody, Some((&held.data, held.complete)))
            .await
        {
            Decision::Hold(_) => Ok(()),
            decision => settle(decision),
        }
    }

    /// The phases `on_response` and, where a plugin held the response, `on_response_body`.
    pub(super) async fn response_plugins(&mut self, body: &mut ResponseBody) -> Result<(), Ending> {
        // A 304 to a condition of our own is between the cache and the server.
        if self.is_revalidation() {
            return Ok(());
        }
        let limit = match self.consult(Phase::OnResponse, None).await {
            Decision::Hold(limit) => limit,
            decision => return settle(decision),
        };
        let share = self.memory();
        let held = body.hold(limit, share).await?;
        match self
            .consult(Phase::OnResponseBody, Some((&held.data, held.complete)))
            .await
        {
            Decision::Hold(_) => Ok(()),
            decision => settle(decision),
        }
    }

    fn is_revalidation(&self) -> bool {
        let not_modified = self
            .subject
            .response
            .as_ref()
            .is_some_and(|response| response.status == StatusCode::NOT_MODIFIED);
        not_modified && self.fetch.as_ref().is_some_and(|fetch| !fetch.validators().is_empty())
    }

    /// Where what is held is counted.
    fn memory(&self) -> Share {
        let limit = self.state.snapshot.config.limits.held_bodies;
        self.worker.control().held_bodies().share(limit)
    }

    /// Lends the subject to the plugins for one phase.
    pub(super) async fn consult(&mut self, phase: Phase, body: Option<(&Bytes, bool)>) -> Decision {
        let vacant = self.worker.vacant_subject();
        let subject = std::mem::replace(&mut self.subject, vacant);
        let nothing = Bytes::new();
        let (data, complete) = body.unwrap_or((&nothing, true));
        let (subject, decision) = match phase {
            Phase::OnRequest => self.session.on_request(subject).await,
            Phase::OnRequestBody => self.session.on_request_body(subject, data, complete).await,
            Phase::OnResponse => self.session.on_response(subject).await,
            Phase::OnResponseBody | Phase::OnFinish => self.session.on_response_body(subject, data, complete).await,
        };
        let vacant = std::mem::replace(&mut self.subject, subject);
        self.worker.give_back(vacant);
        decision
    }
}

/// What a decision of the plugins means for the phases that follow.
fn settle(decision: Decision) -> Result<(), Ending> {
    match decision {
        Decision::Continue | Decision::Hold(_) => Ok(()),
        Decision::Reply(reply) => Err(Ending::Replied(Box::new(reply))),
        Decision::Close => Err(Ending::Closed),
        Decision::Fail(failure) => Err(Refusal::Plugin(failure).into()),
    }
}
