//! Implements `CountTokens`: requests the number of input tokens from Bedrock.
//!
//! Each model counts differently. So only routes with the same foundation model as the first route
//! are called.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::time::Instant;
use tonic::Status;

use super::{
    answer_room::AnswerRoom,
    prepare::Ready,
    unary::{Answered, UnaryCall},
};
use crate::{
    bedrock::Bedrock,
    error::{Failure, Reason},
    pb::CountTokensResponse,
    routing::{Route, attempts::AttemptLog},
    stream::{CallReport, answer_origin},
};

/// The maximum size of an answer, in bytes. An answer contains only a number.
const MAX_ANSWER: usize = 64 << 10;
/// The text of a CountTokens body before and after the Converse request.
const BEFORE: &[u8] = br#"{"input":{"converse":"#;
const AFTER: &[u8] = b"}}";
/// Phrases in Bedrock's messages which mean that Bedrock does not count tokens for a model.
const REFUSALS: [&str; 3] = [
    "support counting tokens",
    "supported for counting tokens",
    "counttokens",
];

/// Counts the tokens, and reports the call. An answer takes memory while it is read.
pub(super) async fn run(
    call: &UnaryCall<'_>,
    room: &AnswerRoom<'_>,
    ready: &Ready,
    report: CallReport,
) -> Result<CountTokensResponse, Status> {
    let log = AttemptLog::default();
    let answer = first_that_counts(call, room, ready, &log);
    let (answered, attempts) = call.report(answer, &log, report).await?;
    let (counted_by, input_tokens) = answered.answer;
    Ok(CountTokensResponse {
        input_tokens,
        counted_by,
        target: Some(answer_origin::target(&ready.target, &answered.route)),
        request_id: call.request_id.to_owned(),
        bedrock_request_id: answered.request_id,
        attempts,
    })
}

/// Returns the model that counted the tokens, and their number.
async fn first_that_counts(
    call: &UnaryCall<'_>,
    room: &AnswerRoom<'_>,
    ready: &Ready,
    log: &AttemptLog,
) -> Result<Answered<(String, i32)>, Failure> {
    let mut routes = ready.candidates.iter().map(|known| &known.route);
    let Some(first) = routes.next() else {
        return Err(unsupported(&ready.target.name));
    };
    let model = model_of(call.bedrock, first).await?;
    let same: Vec<_> = std::iter::once(first)
        .chain(routes.filter(|route| route.foundation_model().as_ref() == Some(&model)))
        .collect();
    let now = Instant::now();
    if same.iter().any(|route| route.refuses_to_count(now)) {
        return Err(unsupported(&model));
    }
    let body = body(ready.body.bytes());
    let attempt = |bedrock: Bedrock, route: &Arc<Route>| {
        let (region, model) = (route.source_region.clone(), model.clone());
        let body = body.clone();
        async move {
            let (counted, body) = bedrock.count_tokens(&region, &model, body).await?;
            let (json, _held) = room.read(body, MAX_ANSWER).await?;
            let input_tokens = counted.input_tokens(&json)?;
            Ok((counted.request_id, (model, input_tokens)))
        }
    };
    let answer = call.first_answer(same, log, attempt).await;
    answer.map_err(|failure| {
        if !is_refusal(&failure) {
            return failure;
        }
        if let Some(last) = log.attempts().last() {
            last.route.refused_to_count(Instant::now());
        }
        Failure {
            upstream: failure.upstream,
            ..unsupported(&model)
        }
    })
}

/// Returns the foundation model of a route. Looks it up for an application inference profile that
/// discovery has not yet looked up.
async fn model_of(bedrock: &Bedrock, route: &Arc<Route>) -> Result<String, Failure> {
    if let Some(model) = route.foundation_model() {
        return Ok(model);
    }
    if route.kind != crate::aws::ModelIdKind::ApplicationInferenceProfile {
        return Err(unsupported(&route.model_id));
    }
    let control = bedrock.control();
    let profile = control
        .get_inference_profile(&route.account, &route.source_region, &route.model_id, None)
        .await?;
    route.learn(Arc::new(profile));
    route
        .foundation_model()
        .ok_or_else(|| unsupported(&route.model_id))
}

/// Returns the body of CountTokens that contains a Converse request.
fn body(converse: &[u8]) -> Bytes {
    let mut body = BytesMut::with_capacity(BEFORE.len() + converse.len() + AFTER.len());
    body.put_slice(BEFORE);
    body.put_slice(converse);
    body.put_slice(AFTER);
    body.freeze()
}

/// Returns whether Bedrock does not support token counting for the model.
fn is_refusal(failure: &Failure) -> bool {
    let message = failure
        .upstream
        .as_deref()
        .map(|upstream| upstream.message.to_lowercase())
        .unwrap_or_default();
    match failure.reason {
        // The model can be called only through an inference profile, but CountTokens rejects
        // profiles.
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
