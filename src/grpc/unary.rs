//! Makes the attempts of a call that Bedrock answers with one message, such as CountTokens.
//!
//! These operations have separate quotas, so their outcome does not affect the health of routes.
//! Each route is tried once, in the order of the target.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::status;
use crate::{
    access::{Revocation, limits::GuardrailUnits},
    bedrock::{Bedrock, SessionOwner},
    error::{Failure, Phase, Reason, Upstream},
    pb::{self, MetadataEvent},
    routing::{
        Route,
        attempts::{AttemptLog, may_succeed_elsewhere},
    },
    stream::{
        CallReport, answer_origin, deadline_exceeded, draining, log_detail,
        native_units::AnsweredUnits, revoked,
    },
    telemetry::trace::TraceContext,
};

/// A call that Bedrock answers with one message.
pub(super) struct UnaryCall<'a> {
    pub(super) bedrock: &'a Bedrock,
    /// The caller, if the call is signed with an AWS session of that caller.
    pub(super) owner: Option<SessionOwner>,
    /// The time limit of each attempt.
    pub(super) first_event: Duration,
    pub(super) deadline: Instant,
    /// Cancelled when the drain expires.
    pub(super) cut: &'a CancellationToken,
    /// Ends the call if a reload revokes its credential or certificate.
    pub(super) revocation: Option<&'a Revocation>,
    pub(super) request_id: &'a str,
    /// The span of the call. Each attempt gets a child span of this span.
    pub(super) trace: TraceContext,
}

/// An answer of Bedrock.
pub(super) struct Answered<T> {
    pub(super) route: Arc<Route>,
    /// Bedrock's request ID.
    pub(super) request_id: String,
    pub(super) answer: T,
    /// Bedrock's metadata about a call that is billed by tokens. The report adds the cost to it.
    pub(super) metadata: Option<Box<MetadataEvent>>,
    /// What Bedrock bills in addition to tokens.
    pub(super) units: Units,
}

/// What an answer says about the units that Bedrock bills.
#[derive(Clone, Copy, Debug)]
pub(super) enum Units {
    /// The units of a model.
    Model(AnsweredUnits),
    /// The units of a guardrail. `None` if the answer has none.
    Guardrail(Option<GuardrailUnits>),
}

impl UnaryCall<'_> {
    /// Calls these routes one after the other, until one answers or no other route can help. Routes
    /// whose identity is failing are called last.
    ///
    /// `call` makes one attempt, and returns Bedrock's request ID and its answer.
    ///
    /// # Errors
    /// Returns the failure of the last attempt.
    pub(super) async fn first_answer<T, F>(
        &self,
        mut routes: Vec<&Arc<Route>>,
        log: &AttemptLog,
        call: impl Fn(Bedrock, &Arc<Route>) -> F,
    ) -> Result<Answered<T>, Failure>
    where
        F: Future<Output = Result<(String, T), Failure>>,
    {
        let now = Instant::now();
        let owner = self.owner.as_ref().map(|owner| owner.name.as_ref());
        routes.sort_by_key(|route| route.identity_skipped_until(owner, now));
        let mut last = None;
        for (index, route) in routes.iter().enumerate() {
            log.begin(route);
            match self
                .within_limit(call(self.client(route, log), route))
                .await
            {
                Ok((request_id, answer)) => {
                    log.answered(&request_id);
                    return Ok(Answered {
                        route: Arc::clone(route),
                        request_id,
                        answer,
                        metadata: None,
                        units: Units::Model(AnsweredUnits::default()),
                    });
                }
                Err(failure) => {
                    log.failed(&failure);
                    log_detail(&failure, self.request_id, route);
                    let rest = routes.get(index + 1..).unwrap_or_default();
                    let other_account = rest.iter().any(|other| other.account != route.account);
                    let may_succeed = may_succeed_elsewhere(&failure, other_account);
                    last = Some(failure);
                    if !may_succeed {
                        break;
                    }
                }
            }
        }
        Err(last.unwrap_or_else(|| Failure::new(Reason::Internal, "the target has no route")))
    }

    /// Waits for the answer within the deadline, and reports the call. Also returns the attempts,
    /// which the response contains.
    ///
    /// # Errors
    /// Returns the status for the client.
    pub(super) async fn report<T>(
        &self,
        answer: impl Future<Output = Result<Answered<T>, Failure>>,
        log: &AttemptLog,
        report: CallReport,
    ) -> Result<(Answered<T>, Vec<pb::Attempt>), Status> {
        let mut open = OpenReport {
            report,
            log,
            is_cancelled: true,
        };
        open.report.follow(self.bedrock, log);
        let answered = tokio::select! {
            answered = answer => answered,
            () = tokio::time::sleep_until(self.deadline) => Err(deadline_exceeded()),
            () = self.cut.cancelled() => Err(draining()),
            () = Revocation::revoked(self.revocation) => Err(revoked()),
        };
        open.is_cancelled = false;
        let report = &mut open.report;
        let made = log.attempts();
        let unanswered = answered.as_ref().err().map(|failure| failure.reason);
        report.attempts(&made, unanswered);
        let mut attempts = answer_origin::attempts(&made);
        match answered {
            Ok(mut answered) => {
                report.route(&answered.route);
                report.bedrock_request_id(&answered.request_id);
                match answered.units {
                    Units::Model(units) => report.answered_units(units),
                    Units::Guardrail(Some(units)) => report.guardrail_units(units),
                    Units::Guardrail(None) => {}
                }
                if let Some(metadata) = answered.metadata.take() {
                    answered.metadata = report.metadata(*metadata).map(Box::new);
                }
                report.ok();
                Ok((answered, attempts))
            }
            Err(failure) => {
                if let Some(last) = made.last() {
                    report.route(&last.route);
                }
                // The answer failed after it had begun, so its attempt has no reason yet.
                if let Some(last) = attempts.last_mut()
                    && last.failure_reason.is_empty()
                {
                    failure.reason.as_str().clone_into(&mut last.failure_reason);
                }
                report.failed(&failure);
                Err(status::status(&failure, &attempts, self.request_id))
            }
        }
    }

    /// Returns the client for the current attempt, with its span and its credentials.
    pub(super) fn client(&self, route: &Route, log: &AttemptLog) -> Bedrock {
        let span = self.trace.child(log.last_span_id());
        let bedrock = self.bedrock.in_trace(span);
        if self.owner.is_some() || !route.account.is_empty() {
            bedrock.in_account(&route.account, self.owner.as_ref())
        } else {
            bedrock
        }
    }

    async fn within_limit<T>(
        &self,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let limit = self.first_event;
        match tokio::time::timeout(limit, call).await {
            Ok(answered) => answered,
            Err(_) => Err(Failure::new(
                Reason::UpstreamIdle,
                format!("Bedrock sent nothing for {} s", limit.as_secs_f32()),
            )
            .in_phase(Phase::BeforeFirstEvent)
            .with_upstream(Upstream::default())),
        }
    }
}

/// The report of a call that waits for its answer. If the client cancels the call, this value is
/// dropped and records the attempts, because Bedrock may bill them.
struct OpenReport<'a> {
    report: CallReport,
    log: &'a AttemptLog,
    is_cancelled: bool,
}

impl Drop for OpenReport<'_> {
    fn drop(&mut self) {
        if self.is_cancelled {
            let made = self.log.attempts();
            if let Some(last) = made.last() {
                self.report.route(&last.route);
            }
            self.report.attempts(&made, Some(Reason::Cancelled));
        }
    }
}
