//! `CountTokens`: asks Bedrock for the number of input tokens.
//!
//! The count does not affect the health of routes, because CountTokens has separate quotas. Each
//! route whose foundation model is that of the first one is tried once.

use std::{sync::Arc, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{prepare::Ready, status};
use crate::{
    bedrock::{Bedrock, SessionOwner, TokenCount},
    config::Limits,
    error::{Failure, Phase, Reason, Upstream},
    pb::CountTokensResponse,
    routing::{
        Route,
        attempts::{AttemptLog, may_succeed_elsewhere},
    },
    stream::{CallReport, deadline_exceeded, draining, origin},
};

/// The body of CountTokens around the Converse request.
const BEFORE: &[u8] = br#"{"input":{"converse":"#;
const AFTER: &[u8] = b"}}";
/// Words of Bedrock's messages if it does not count tokens for a model.
const REFUSALS: [&str; 3] = [
    "support counting tokens",
    "supported for counting tokens",
    "counttokens",
];

/// A count that is in progress.
pub(super) struct Count<'a> {
    pub(super) bedrock: &'a Bedrock,
    /// The caller whose own AWS identity signs the call, if it has one.
    pub(super) owner: Option<SessionOwner>,
    /// The target's timeout per attempt, if it has one.
    pub(super) first_event: Option<Duration>,
    pub(super) limits: &'a Limits,
    pub(super) deadline: Instant,
    /// Cancelled when the drain expires.
    pub(super) cut: &'a CancellationToken,
}

/// The count of a route's model.
struct Counted {
    route: Arc<Route>,
    model: String,
    count: TokenCount,
}

impl Count<'_> {
    /// Counts, and reports the call.
    pub(super) async fn run(
        &self,
        ready: &Ready,
        request_id: &str,
        mut report: CallReport,
    ) -> Result<CountTokensResponse, Status> {
        let log = AttemptLog::default();
        let counted = tokio::select! {
            counted = self.first_that_counts(ready, &log) => counted,
            () = tokio::time::sleep_until(self.deadline) => Err(deadline_exceeded()),
            () = self.cut.cancelled() => Err(draining()),
        };
        let made = log.attempts();
        let unanswered = counted.as_ref().err().map(|failure| failure.reason);
        report.attempts(&made, unanswered);
        let attempts: Vec<_> = made.iter().map(origin::attempt).collect();
        match counted {
            Ok(Counted {
                route,
                model,
                count,
            }) => {
                report.route(&route);
                report.bedrock_request_id(&count.request_id);
                report.ok();
                Ok(CountTokensResponse {
                    input_tokens: count.input_tokens,
                    counted_by: model,
                    target: Some(origin::target(&ready.target, &route)),
                    request_id: request_id.to_owned(),
                    bedrock_request_id: count.request_id,
                    attempts,
                })
            }
            Err(failure) => {
                if let Some(last) = made.last() {
                    report.route(&last.route);
                }
                report.failed(&failure);
                Err(status::status(&failure, &attempts, request_id))
            }
        }
    }

    async fn first_that_counts(&self, ready: &Ready, log: &AttemptLog) -> Result<Counted, Failure> {
        let mut routes = ready.candidates.iter().map(|known| &known.route);
        let Some(first) = routes.next() else {
            return Err(unsupported(&ready.target.name));
        };
        let model = self.model_of(first).await?;
        let body = body(&ready.body);
        let now = Instant::now();
        let owner = self.owner.as_ref().map(|owner| owner.name.as_ref());
        // Routes whose identity fails come last.
        let mut same: Vec<_> = std::iter::once(first)
            .chain(routes.filter(|route| route.foundation_model().as_ref() == Some(&model)))
            .collect();
        same.sort_by_key(|route| route.identity_skipped_until(owner, now));
        let mut last = None;
        for (index, route) in same.iter().enumerate() {
            if route.refuses_to_count(now) {
                return Err(unsupported(&model));
            }
            log.begin(route);
            match self.on(route, &model, body.clone()).await {
                Ok(count) => {
                    log.answered(&count.request_id);
                    return Ok(Counted {
                        route: Arc::clone(route),
                        model,
                        count,
                    });
                }
                Err(failure) => {
                    log.failed(&failure);
                    if is_refusal(&failure) {
                        route.refused_to_count(Instant::now());
                        return Err(Failure {
                            upstream: failure.upstream,
                            ..unsupported(&model)
                        });
                    }
                    let rest = same.get(index + 1..).unwrap_or_default();
                    let other = rest.iter().any(|other| other.account != route.account);
                    let may_succeed = may_succeed_elsewhere(&failure, other);
                    last = Some(failure);
                    if !may_succeed {
                        break;
                    }
                }
            }
        }
        Err(last.unwrap_or_else(|| unsupported(&model)))
    }

    /// Returns the foundation model of a route. That of an application inference profile is looked
    /// up if discovery has not done so yet.
    async fn model_of(&self, route: &Arc<Route>) -> Result<String, Failure> {
        if let Some(model) = route.foundation_model() {
            return Ok(model);
        }
        if route.kind != crate::aws::ModelIdKind::ApplicationInferenceProfile {
            return Err(unsupported(&route.model_id));
        }
        let control = self.bedrock.control();
        let profile = control
            .get_inference_profile(&route.account, &route.source_region, &route.model_id)
            .await?;
        route.learn(Arc::new(profile));
        route
            .foundation_model()
            .ok_or_else(|| unsupported(&route.model_id))
    }

    /// Makes one attempt.
    async fn on(&self, route: &Route, model: &str, body: Bytes) -> Result<TokenCount, Failure> {
        let mut bedrock = self.bedrock.clone();
        if self.owner.is_some() || !route.account.is_empty() {
            bedrock = bedrock.in_account(&route.account, self.owner.as_ref());
        }
        let limit = self.first_event.unwrap_or(self.limits.first_event);
        let call = bedrock.count_tokens(&route.source_region, model, body);
        match tokio::time::timeout(limit, call).await {
            Ok(counted) => counted,
            Err(_) => Err(Failure::new(
                Reason::UpstreamIdle,
                format!("Bedrock sent nothing for {} s", limit.as_secs_f32()),
            )
            .in_phase(Phase::BeforeFirstEvent)
            .with_upstream(Upstream::default())),
        }
    }
}

/// Returns the body of CountTokens for a Converse request.
fn body(converse: &[u8]) -> Bytes {
    let mut body = BytesMut::with_capacity(BEFORE.len() + converse.len() + AFTER.len());
    body.put_slice(BEFORE);
    body.put_slice(converse);
    body.put_slice(AFTER);
    body.freeze()
}

/// Returns whether Bedrock does not count tokens for the model at all.
fn is_refusal(failure: &Failure) -> bool {
    let message = failure
        .upstream
        .as_deref()
        .map(|upstream| upstream.message.to_lowercase())
        .unwrap_or_default();
    match failure.reason {
        // The model can be called only through an inference profile, which CountTokens rejects.
        Reason::InferenceProfileRequired => true,
        Reason::UpstreamValidation => REFUSALS.iter().any(|words| message.contains(words)),
        _ => false,
    }
}

fn unsupported(model: &str) -> Failure {
    Failure::new(
        Reason::CountTokensUnsupported,
        format!(
            "Bedrock does not count tokens for {}; use another target, or estimate the number",
            crate::aws::without_accounts(model)
        ),
    )
}
