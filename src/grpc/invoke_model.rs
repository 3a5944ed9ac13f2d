//! Implements `InvokeModel`: calls a model with a body in its own format. Attempts are made as for
//! `Invoke`. When the response headers have arrived, no other route is called.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use tonic::Status;

use super::{
    prepare::Ready,
    receive::saturated,
    unary::{Answered, UnaryCall, Units},
};
use crate::{
    bedrock::{AnswerBody, ModelAnswer},
    bounds::{Share, ShareOwner, Shares},
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
        silent_for,
    },
};

/// The maximum size of an answer, in bytes. Source: Bedrock's service model; see docs/limits.md.
const MAX_ANSWER: usize = 25_000_000;
/// The size of the steps in which an answer takes memory, in bytes.
const STEP: usize = 64 << 10;

/// The limits on the size and the time of an answer.
pub(super) struct AnswerRoom<'a> {
    /// The memory budget, which requests and answers share.
    pub(super) memory: &'a Shares,
    /// The budget when the call began, in bytes.
    pub(super) begun_with: usize,
    pub(super) peer: ShareOwner,
    /// The maximum time for which Bedrock may send nothing.
    pub(super) idle: Duration,
}

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
    let (body, held) = match read(body, room).await {
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

/// Reads the whole body, within the memory budget.
async fn read(mut body: AnswerBody, room: &AnswerRoom<'_>) -> Result<(BytesMut, Share), Failure> {
    let held = room.memory.take_as_begun(room.peer, STEP, room.begun_with);
    let held = held.map_err(saturated)?;
    // Bedrock has billed the answer, so its memory must not be given to another client.
    held.keep().map_err(saturated)?;
    let mut taken = STEP;
    let mut read = BytesMut::new();
    loop {
        let next = tokio::time::timeout(room.idle, body.next()).await;
        let Some(piece) = next.map_err(|_| silent_for(room.idle))?? else {
            return Ok((read, held));
        };
        let length = read.len() + piece.len();
        if length > MAX_ANSWER {
            return Err(body.too_long(MAX_ANSWER));
        }
        // The answer needs memory for the body, and for its copy in the encoded message.
        let needed = length.saturating_mul(2);
        if needed > taken {
            let more = (needed - taken).max(taken).min(4 * MAX_ANSWER);
            held.grow(more).map_err(saturated)?;
            taken += more;
        }
        read.extend_from_slice(&piece);
    }
}
