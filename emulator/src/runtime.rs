//! Answers Converse, ConverseStream, InvokeModel and InvokeModelWithResponseStream: decides which
//! fault applies, how the answer is created, and how it is sent.

use std::{borrow::Cow, num::NonZeroUsize, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header::CONTENT_TYPE};
use http_body_util::{Either, Full};
use serde_json::Value;

use super::{
    answer::{CacheSeen, Style, answer_with as think},
    calls::{End, Record},
    catalogue::{Geography, Output},
    error::{WireError, raw_json},
    exchange::{Answer, Asked, complete, refuse, stall},
    fault::{Effect, Fault},
    fold, length, native,
    pace::{Cut, Pace},
    plan,
    playback::{Broken, Plan, Playback, ResetSwitch},
    quotas::{Admission, Lease, Refused, Scope, Tokens},
    regions::{Condition, Outage},
    replay::{self, Recorded},
    script::{ApiError, Script},
    state::State,
    target::{self, Target, Way},
    uri::Operation,
};

/// The header that requests a fault.
const FAULT_HEADER: &str = "x-emulator-fault";
/// The headers of InvokeModel's answers that contain token counts.
const INPUT_TOKENS: &str = "x-amzn-bedrock-input-token-count";
const OUTPUT_TOKENS: &str = "x-amzn-bedrock-output-token-count";
/// The header of InvokeModel that names a project.
const PROJECT_HEADER: &str = "x-amzn-bedrock-projectidentifier";
/// The header that contains the media type of chunks.
const CHUNK_CONTENT_TYPE: &str = "x-amzn-bedrock-content-type";
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("application/vnd.amazon.eventstream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Answers a body in the model's own format.
type Native = fn(&State, &str, Asked, Pace, Option<Fault>, Record) -> Answer;

/// Answers an authenticated call of an operation that runs a model.
pub(super) async fn answer(
    state: &State,
    condition: Option<Condition>,
    asked: Asked,
    mut record: Record,
) -> Result<Answer, Broken> {
    let options = &state.options;
    let streams = matches!(
        asked.operation,
        Operation::ConverseStream(_) | Operation::InvokeModelStream(_)
    );
    let (model_id, named) = match fault(asked.operation.identifier(), &asked.parts.headers) {
        Ok(found) => found,
        Err(text) => return Ok(refuse(&ApiError::validation(text).into(), record)),
    };
    let mut pace = options.pace;
    let of_region = match condition {
        Some(Condition::Fault(fault)) => Some(fault),
        Some(Condition::Latency(latency)) => {
            pace.time_to_first_token = pace.time_to_first_token.saturating_add(latency);
            None
        }
        Some(Condition::Down { .. }) | None => None,
    };
    let fault = named.or(of_region).or_else(|| state.fault());
    match fault.map(Fault::effect) {
        Some(Effect::StallBeforeHeaders) => return Err(stall(asked, record).await),
        Some(Effect::Refuse(_)) => return Ok(fail(fault, model_id, record)),
        Some(
            Effect::Exception { .. }
            | Effect::StreamError { .. }
            | Effect::BadCrc
            | Effect::EndBefore(_),
        ) if !streams => {
            return Ok(fail(fault, model_id, record));
        }
        Some(Effect::Stall) if !streams => return Err(stall(asked, record).await),
        _ => {}
    }
    let native = match asked.operation {
        Operation::InvokeModel(_) => Some(invoke_model as Native),
        Operation::InvokeModelStream(_) => Some(stream_model as Native),
        _ => None,
    };
    if let Some(native) = native {
        let model_id = model_id.to_owned();
        return Ok(native(state, &model_id, asked, pace, fault, record));
    }
    let (recorded, lease) = match recorded_or_made(state, model_id, &asked, streams, &record) {
        Ok(prepared) => prepared,
        Err(error) => return Ok(refuse(&error, record)),
    };
    let served_in = lease.as_ref().map_or(asked.region.as_str(), Lease::region);
    record.served_in(served_in);
    record.hold(lease);
    let player = Player {
        cut: options.cut,
        record,
        outage: asked.outage,
        reset: asked.reset,
    };
    Ok(match recorded {
        Recorded::Stream(bytes) => player.play(EVENT_STREAM, replay::plan(bytes, pace, fault)),
        Recorded::Script(script) if streams => {
            player.play(EVENT_STREAM, plan::stream(script, pace, fault))
        }
        Recorded::Script(script) => {
            let tokens = script
                .events
                .iter()
                .filter(|event| event.name == "contentBlockDelta")
                .count();
            let body = Bytes::from(fold::fold(script).to_string());
            player.play(JSON, plan::unary(body, pace, tokens, fault))
        }
        Recorded::Json(body) => player.play(JSON, plan::unary(body, pace, 0, fault)),
        Recorded::Error {
            status,
            error_type,
            body,
        } => {
            record = player.record;
            let mut response = raw_json(status, body);
            if let Some(error_type) = error_type {
                let code = error_type.to_str().unwrap_or_default();
                record.refused(code.split(':').next().unwrap_or_default());
                response
                    .headers_mut()
                    .insert("x-amzn-errortype", error_type);
            }
            complete(response, record)
        }
    })
}

/// Answers InvokeModel: returns a body in the model's own format, with token counts in headers.
fn invoke_model(
    state: &State,
    model_id: &str,
    asked: Asked,
    pace: Pace,
    fault: Option<Fault>,
    mut record: Record,
) -> Answer {
    let made = || -> Result<_, WireError> {
        let project = project_in_header(&asked);
        let target = resolve(state, model_id, &asked, project.as_deref(), &record)?;
        let request: Value =
            serde_json::from_slice(&asked.body).map_err(|error| WireError::no_json(&error))?;
        let answer = native::answer(target.model, &asked.parts.headers, &request)?;
        let lease = take_place(state, &target, &asked, &answer.used.into())?;
        Ok((answer, lease))
    };
    let (answer, lease) = match made() {
        Ok(made) => made,
        Err(error) => return refuse(&error, record),
    };
    record.served_in(lease.as_ref().map_or(asked.region.as_str(), Lease::region));
    record.hold(lease);
    let player = Player {
        cut: state.options.cut,
        record,
        outage: asked.outage,
        reset: asked.reset,
    };
    let body = Bytes::from(answer.body.to_string());
    let events = usize::try_from(answer.used.output).unwrap_or(usize::MAX);
    let mut response = player.play(JSON, plan::unary(body, pace, events, fault));
    let counts = [
        (INPUT_TOKENS, answer.used.input),
        (OUTPUT_TOKENS, answer.used.output),
    ];
    for (name, count) in counts.into_iter().filter(|_| answer.reports_tokens) {
        response.headers_mut().insert(name, count.into());
    }
    response
}

/// Answers InvokeModelWithResponseStream: returns chunks in the model's own format.
fn stream_model(
    state: &State,
    model_id: &str,
    asked: Asked,
    pace: Pace,
    fault: Option<Fault>,
    mut record: Record,
) -> Answer {
    let made = || -> Result<_, WireError> {
        let project = project_in_header(&asked);
        let target = resolve(state, model_id, &asked, project.as_deref(), &record)?;
        let request: Value =
            serde_json::from_slice(&asked.body).map_err(|error| WireError::no_json(&error))?;
        let tokens = pace.tokens.map(NonZeroUsize::get);
        let headers = &asked.parts.headers;
        let (chunks, need) = native::stream(target.model, headers, &request, tokens)?;
        let lease = take_place(state, &target, &asked, &need.into())?;
        Ok((chunks, lease))
    };
    let (chunks, lease) = match made() {
        Ok(made) => made,
        Err(error) => return refuse(&error, record),
    };
    record.served_in(lease.as_ref().map_or(asked.region.as_str(), Lease::region));
    record.hold(lease);
    let player = Player {
        cut: state.options.cut,
        record,
        outage: asked.outage,
        reset: asked.reset,
    };
    let mut response = player.play(EVENT_STREAM, plan::chunks(chunks, pace, fault));
    response.headers_mut().insert(CHUNK_CONTENT_TYPE, JSON);
    response
}

/// Returns whether a call names a fault, even an unknown one. If it does, the Region's condition
/// does not apply.
pub(super) fn names_a_fault(asked: &Asked) -> bool {
    asked.operation.runs_model()
        && !matches!(
            fault(asked.operation.identifier(), &asked.parts.headers),
            Ok((_, None))
        )
}

/// Splits a model ID from its fault. Returns the model ID, and the fault that the ID or a header
/// names.
fn fault<'a>(model_id: &'a str, headers: &HeaderMap) -> Result<(&'a str, Option<Fault>), String> {
    let (model_id, in_id) = Fault::split(model_id)?;
    let in_header = match headers.get(FAULT_HEADER) {
        None => None,
        Some(value) => Some(String::from_utf8_lossy(value.as_bytes()).parse()?),
    };
    Ok((model_id, in_id.or(in_header)))
}

/// Returns the answer. If the model has quotas, also returns the lease of the quota and capacity
/// that the call uses while it is running.
fn recorded_or_made(
    state: &State,
    model_id: &str,
    asked: &Asked,
    streams: bool,
    record: &Record,
) -> Result<(Recorded, Option<Lease>), WireError> {
    let read = || -> Result<Value, WireError> {
        serde_json::from_slice(&asked.body).map_err(|error| WireError::no_json(&error))
    };
    if let Some(replay) = &state.options.replay {
        return Ok((replay.find(model_id, &read()?, streams)?, None));
    }
    let request = read()?;
    let project = request["projectIdentifier"].as_str();
    let target = resolve(state, model_id, asked, project, record)?;
    if target
        .model
        .is_some_and(|model| model.output != Output::Text)
    {
        let message = "This action doesn't support the model that you provided. Try again with a supported text or chat model.";
        return Err(ApiError::validation(message).into());
    }
    // The ARN of a resource in the account does not name the model, but the model's rules still
    // apply.
    let brain = target.opaque_model(model_id).unwrap_or(model_id);
    let now = (state.options.clock)();
    let prompts = state
        .prompts
        .view(asked.principal.account(), &asked.region, now);
    let prompts = Arc::new(prompts);
    let style = Style {
        cache: Some(Arc::clone(&prompts) as Arc<dyn CacheSeen>),
        ..Style::default()
    };
    let mut script: Script = think(brain, &request, &style)?;
    if let Some(tokens) = state.options.pace.tokens {
        length::set(&mut script, tokens.get(), &request);
    }
    let lease = take_place(state, &target, asked, &Need::of(&request, &script))?;
    prompts.commit();
    Ok((Recorded::Script(script), lease))
}

/// Resolves the model ID of a call that names this project. Refuses models whose life has ended.
fn resolve(
    state: &State,
    model_id: &str,
    asked: &Asked,
    project: Option<&str>,
    record: &Record,
) -> Result<Target, WireError> {
    record.names(project);
    let region = &asked.region;
    let account = asked.principal.account();
    let visible = state.projects.of_call(project, region, account)?;
    let target = target::resolve(model_id, region, &state.account, &visible)?;
    if let Some(model) = target.model {
        state.lives.check(model.id, (state.options.clock)())?;
    }
    Ok(target)
}

/// Returns the project in the headers of a call.
fn project_in_header(asked: &Asked) -> Option<Cow<'_, str>> {
    let value = asked.parts.headers.get(PROJECT_HEADER)?;
    Some(String::from_utf8_lossy(value.as_bytes()))
}

/// The token counts that decide what a call reserves.
#[derive(Default)]
struct Need {
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: u64,
    /// The value of `maxTokens`, if the request sets it.
    max_tokens: Option<u64>,
}

impl From<native::Used> for Need {
    fn from(used: native::Used) -> Self {
        Self {
            input: used.input,
            output: used.output,
            max_tokens: Some(used.max_tokens),
            ..Self::default()
        }
    }
}

impl Need {
    fn of(request: &Value, script: &Script) -> Self {
        let metadata = script.events.iter().rfind(|event| event.name == "metadata");
        let used = |name: &str| {
            let usage = metadata.map(|event| &event.payload["usage"][name]);
            usage.and_then(Value::as_u64).unwrap_or(0)
        };
        Self {
            input: used("inputTokens"),
            output: used("outputTokens"),
            cache_read: used("cacheReadInputTokens"),
            cache_write: used("cacheWriteInputTokens"),
            max_tokens: request["inferenceConfig"]["maxTokens"].as_u64(),
        }
    }
}

/// Reserves quota and capacity for a call.
fn take_place(
    state: &State,
    target: &Target,
    asked: &Asked,
    need: &Need,
) -> Result<Option<Lease>, WireError> {
    let Some(model) = target.model else {
        return Ok(None);
    };
    let source = &asked.region;
    let at_home = [source.clone()];
    let (scope, destinations) = match &target.way {
        Way::Unmetered => return Ok(None),
        Way::OnDemand => (Scope::OnDemand, &at_home[..]),
        Way::Profile {
            geography: Geography::Global,
            destinations,
        } => (Scope::Global, &destinations[..]),
        Way::Profile { destinations, .. } => (Scope::CrossRegion, &destinations[..]),
    };
    let written = need.input + need.cache_write;
    let max_tokens = need.max_tokens.unwrap_or(model.max_output);
    let admitted = state.ledger.admit(Admission {
        account: asked.principal.account(),
        model: model.id,
        source,
        scope,
        destinations,
        reserve: written + need.cache_read + max_tokens,
        charge: written + need.output * model.burn_down,
        usage: Tokens {
            input: need.input,
            output: need.output,
        },
    });
    admitted.map(Some).map_err(|refused| match refused {
        Refused::Requests => throttled("requests"),
        Refused::Tokens => throttled("tokens"),
        Refused::Capacity => {
            let message = "Bedrock is unable to process your request.";
            WireError::bedrock(503, "ServiceUnavailableException", message)
        }
    })
}

fn throttled(what: &str) -> WireError {
    let message = format!("Too many {what}, please wait before trying again.");
    WireError::bedrock(429, "ThrottlingException", message)
}

/// Returns the error of a fault.
fn fail(fault: Option<Fault>, model_id: &str, mut record: Record) -> Answer {
    let Some(fault) = fault else {
        return complete(raw_json(500, Bytes::new()), record);
    };
    let error = fault.error(model_id);
    record.end(End::Faulted);
    refuse(&error, record)
}

/// What is needed to play a plan, except for the plan itself.
struct Player {
    cut: Cut,
    record: Record,
    outage: Outage,
    reset: ResetSwitch,
}

impl Player {
    fn play(self, content_type: HeaderValue, plan: Plan) -> Answer {
        self.record.answered(200);
        let separate = self.cut != Cut::Frames;
        let playback = Playback::new(
            plan.cut(self.cut),
            separate,
            self.record,
            self.outage,
            self.reset,
        );
        let mut response = Response::new(Either::<Full<Bytes>, _>::Right(playback));
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        response
    }
}
