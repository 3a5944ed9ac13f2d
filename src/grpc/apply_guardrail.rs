//! Implements `ApplyGuardrail`: Bedrock checks content with a guardrail, without a call to a model.

use std::{collections::BTreeSet, sync::Arc};

use tonic::Status;

use super::{
    answer_room::AnswerRoom,
    prepare::Ready,
    unary::{Answered, UnaryCall, Units},
};
use crate::{
    access::limits::GuardrailUnits,
    bedrock::{Bedrock, FrameRoom},
    bounds::Share,
    error::{Failure, Phase, Reason, Upstream},
    pb::{ApplyGuardrailResponse, GuardrailUsage},
    routing::{Route, attempts::AttemptLog},
    stream::{AnswerThreads, CallReport, answer_origin, is_large},
    translate,
};

/// The maximum size of an answer, in bytes. An answer contains the findings and at most a copy of
/// the content, and Bedrock limits both to far less. Source: docs/limits.md.
const MAX_ANSWER: usize = 16 << 20;

/// Makes the call, and reports it. A large answer is decoded on `threads`. Also returns the memory
/// that the answer holds.
pub(super) async fn run(
    call: &UnaryCall<'_>,
    room: &AnswerRoom<'_>,
    ready: &Ready,
    report: CallReport,
    threads: &AnswerThreads,
) -> Result<(ApplyGuardrailResponse, Arc<Share>), Status> {
    let log = AttemptLog::default();
    let guardrail = ready.guardrail.clone().unwrap_or_default();
    let identifier = guardrail.guardrail_identifier.unwrap_or_default();
    let version = guardrail.guardrail_version.unwrap_or_default();
    let attempt = |bedrock: Bedrock, route: &Arc<Route>| {
        let region = route.source_region.clone();
        let (identifier, version) = (identifier.clone(), version.clone());
        let body = ready.body.clone();
        async move {
            let answer = bedrock
                .apply_guardrail(&region, &identifier, &version, body)
                .await?;
            let (body, held) = room.read(answer.body, MAX_ANSWER).await?;
            let held = Arc::new(held);
            let response = if is_large(body.len()) {
                let decode = move || translate::guardrail::from_response(&body);
                threads
                    .run(Some(Arc::clone(&held) as FrameRoom), decode)
                    .await?
            } else {
                translate::guardrail::from_response(&body)
            };
            let response = response.map_err(|error| unreadable(&error, &answer.request_id))?;
            Ok((answer.request_id, (response, held)))
        }
    };
    let answer = async {
        let answered = call.first_answer(routes(ready), &log, attempt).await?;
        Ok(Answered {
            units: Units::Guardrail(answered.answer.0.usage.as_ref().map(units)),
            metadata: Some(Box::default()),
            ..answered
        })
    };
    let (answered, attempts) = call.report(answer, &log, report).await?;
    let Answered {
        route,
        request_id: bedrock_request_id,
        answer: (answer, held),
        metadata,
        units: _,
    } = answered;
    let response = ApplyGuardrailResponse {
        guardrail_identifier: identifier.clone(),
        guardrail_version: version.clone(),
        target: Some(answer_origin::target(&ready.target, &route)),
        request_id: call.request_id.to_owned(),
        bedrock_request_id,
        attempts,
        estimated_cost: metadata.and_then(|metadata| metadata.estimated_cost),
        ..answer
    };
    Ok((response, held))
}

/// Returns the units that Bedrock bills.
fn units(usage: &GuardrailUsage) -> GuardrailUnits {
    let count = |units: Option<i32>| u64::try_from(units.unwrap_or_default()).unwrap_or(0);
    let policies = count(usage.automated_reasoning_policies).max(1);
    GuardrailUnits {
        topic: count(usage.topic_policy_units),
        content: count(usage.content_policy_units),
        content_image: count(usage.content_policy_image_units),
        word: count(usage.word_policy_units),
        sensitive_information: count(usage.sensitive_information_policy_units),
        contextual_grounding: count(usage.contextual_grounding_policy_units),
        automated_reasoning: count(usage.automated_reasoning_policy_units).saturating_mul(policies),
    }
}

/// Returns one route for each account and source Region. The model of the route does not matter,
/// because it is not called.
fn routes(ready: &Ready) -> Vec<&Arc<Route>> {
    let mut seen = BTreeSet::new();
    let routes = ready.candidates.iter().map(|candidate| &candidate.route);
    routes
        .filter(|route| seen.insert(route.account_region()))
        .collect()
}

fn unreadable(error: &translate::Error, request_id: &str) -> Failure {
    Failure::new(
        Reason::UpstreamCorrupt,
        format!("the gateway cannot decode the answer from Bedrock's endpoint: {error}"),
    )
    .in_phase(Phase::BeforeFirstEvent)
    .with_upstream(Upstream {
        request_id: request_id.to_owned(),
        ..Upstream::default()
    })
}
