//! Implements `InvokeModel`: calls a model with a body in its own format. Attempts are made as for
//! `Invoke`. When the response headers have arrived, no other route is called.

use std::sync::Arc;

use tonic::Status;

use super::{
    answer_room::AnswerRoom,
    prepare::Ready,
    unary::{Answered, UnaryCall, Units},
};
use crate::{
    bedrock::ModelAnswer,
    bounds::Share,
    error::Failure,
    pb::{InvokeModelResponse, MetadataEvent},
    routing::{
        OpenCall, Route,
        attempts::{self, AttemptLog, AttemptPolicy, Begun, Opened},
    },
    stream::{
        CallReport, answer_origin, log_detail,
        native_units::AnsweredUnits,
        native_usage::{self, Counts},
    },
};

/// The maximum size of an answer, in bytes. Source: Bedrock's service model; see docs/limits.md.
const MAX_ANSWER: usize = 25_000_000;

/// Makes the call, and reports it. Also returns the memory that the answer holds.
pub(super) async fn run(
    call: &UnaryCall<'_>,
    policy: AttemptPolicy,
    room: &AnswerRoom<'_>,
    ready: &Ready,
    report: CallReport,
) -> Result<(InvokeModelResponse, Share), Status> {
    let log = AttemptLog::default();
    let answer = answer(call, policy, room, ready, &log);
    let (answered, attempts) = call.report(answer, &log, report).await?;
    let Answered {
        route,
        request_id: bedrock_request_id,
        answer: (answer, held),
        metadata,
        units: _,
    } = answered;
    let metadata = metadata.unwrap_or_default();
    let of_call = metadata.metadata.unwrap_or_default();
    let response = InvokeModelResponse {
        usage: of_call.usage,
        performance_config: of_call.performance_config,
        service_tier: of_call.service_tier,
        estimated_cost: metadata.estimated_cost,
        billed_units: metadata.billed_units,
        target: Some(answer_origin::target(&ready.target, &route)),
        request_id: call.request_id.to_owned(),
        bedrock_request_id,
        attempts,
        ..answer
    };
    Ok((response, held))
}

/// Calls the routes until one answers, and reads its answer.
async fn answer(
    call: &UnaryCall<'_>,
    policy: AttemptPolicy,
    room: &AnswerRoom<'_>,
    ready: &Ready,
    log: &AttemptLog,
) -> Result<Answered<(InvokeModelResponse, Share)>, Failure> {
    let attempt = |route: Arc<Route>| {
        let bedrock = call.client(&route, log);
        let bedrock = bedrock.in_project(ready.projects.to_add(&route));
        let body = ready.body.clone();
        async move {
            let open = OpenCall::on(Arc::clone(&route));
            let answer = bedrock
                .invoke_model(&route.source_region, &route.model_id, &ready.options, body)
                .await
                .inspect_err(|failure| log_detail(failure, call.request_id, &route))?;
            Ok(Opened {
                request_id: answer.request_id.clone(),
                answer: (answer, open),
            })
        }
    };
    let begun = attempts::begin(ready.candidates.clone(), policy, log.clone(), attempt).await?;
    let Begun {
        route,
        permit,
        request_id,
        answer: (answer, _open),
    } = begun;
    let ModelAnswer {
        head, tokens, body, ..
    } = answer;
    let (body, held) = match room.read(body, MAX_ANSWER).await {
        Ok(read) => read,
        Err(failure) => {
            permit.failed(&failure, tokio::time::Instant::now());
            log_detail(&failure, call.request_id, &route);
            return Err(failure);
        }
    };
    permit.succeeded();
    let units = AnsweredUnits::read(ready.native.format, &head.content_type, &body);
    let counts = Counts::from(tokens).or(Counts::of_json(&body));
    let metadata = MetadataEvent {
        metadata: Some(native_usage::metadata(counts, &head)),
        ..MetadataEvent::default()
    };
    let response = InvokeModelResponse {
        body: body.freeze(),
        content_type: head.content_type,
        ..InvokeModelResponse::default()
    };
    Ok(Answered {
        route,
        request_id,
        answer: (response, held),
        metadata: Some(Box::new(metadata)),
        units: Units::Model(units),
    })
}
