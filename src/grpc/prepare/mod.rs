//! Converts a message that has arrived to a request for Bedrock: decodes, validates and translates
//! it.
//!
//! All work of a call that grows with the size of its message is done here, in one step and without
//! waiting. So it can run on another thread if the message is large. `native` prepares calls with
//! bodies in the models' own formats.

mod native;

use std::{borrow::Cow, sync::Arc, time::Duration};

use prost::Message;
use tonic::metadata::MetadataMap;

use super::{
    count_tokens_input, defaults,
    enforce::{Attribution, Enforced, NamedProject, applied_guardrail},
    estimate::{self, Estimate, estimate},
    generation::Generation,
    native_bodies, permission,
    receive::{Footprint, Received, decode, held, held_twice},
};
use crate::{
    access::{
        Identity,
        limits::{Amounts, Billing, Scopes},
    },
    aws::{ModelIdKind, Sampling, model_id},
    bedrock::{ModelOptions, RequestBody},
    bounds::{Share, Stop},
    config::{Defaults, RequestPolicy},
    error::{Failure, Reason, Violation},
    pb::{
        ApplyGuardrailRequest, ConverseInput, CountTokensRequest, GuardrailStreamConfiguration,
        InferenceConfiguration, InvokeModelRequest, InvokeRequest, StreamInvokeModelRequest,
        StreamInvokeRequest,
    },
    routing::{RouteCandidate, RouteProjects, Target},
    stream::{Ceiling, NativeAnswers},
    translate,
    validate::{self, Violations},
};

/// The amounts that a call without tokens reserves.
const ONE_REQUEST: Amounts = Amounts {
    requests: 1,
    input: 0,
    output: 0,
    nano_usd: 0,
};

/// The method that was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Invoke,
    StreamInvoke,
    CountTokens,
    ApplyGuardrail,
    InvokeModel,
    StreamInvokeModel,
}

impl Method {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Invoke => "Invoke",
            Self::StreamInvoke => "StreamInvoke",
            Self::CountTokens => "CountTokens",
            Self::ApplyGuardrail => "ApplyGuardrail",
            Self::InvokeModel => "InvokeModel",
            Self::StreamInvokeModel => "StreamInvokeModel",
        }
    }
}

/// The inputs for preparing a call, except for its message.
pub(super) struct Preparation {
    pub(super) method: Method,
    /// The configuration of the call.
    pub(super) generation: Arc<Generation>,
    pub(super) metadata: MetadataMap,
    /// The caller's timeout, or the error if it is invalid.
    pub(super) timeout: Result<Option<Duration>, Failure>,
    pub(super) caller: Option<Identity>,
}

/// The result of preparing a call.
pub(super) struct Prepared {
    /// The target as the caller named it.
    pub(super) name: String,
    /// The target, if the name could be resolved.
    pub(super) target: Option<Arc<Target>>,
    pub(super) ready: Result<Ready, Failure>,
}

/// A call that is ready to begin.
pub(super) struct Ready {
    pub(super) target: Arc<Target>,
    pub(super) candidates: Vec<RouteCandidate>,
    /// The projects with which the routes are called.
    pub(super) projects: RouteProjects,
    /// The body of the request to Bedrock. Its memory is counted until its last clone is dropped.
    pub(super) body: RequestBody,
    /// The interval of heartbeats, if the caller set one.
    pub(super) heartbeat: Option<Duration>,
    /// The time within which deltas are joined, if the caller set one.
    pub(super) coalesce: Option<Duration>,
    /// The scopes whose limits apply to the call.
    pub(super) scopes: Scopes,
    /// The maximum usage of the call.
    pub(super) amounts: Amounts,
    /// The usage that is assumed if Bedrock reports none. `None` if Bedrock bills nothing.
    pub(super) ceiling: Option<Ceiling>,
    pub(super) billing: Billing,
    pub(super) inference: Option<InferenceConfiguration>,
    /// The guardrail of the call.
    pub(super) guardrail: Option<GuardrailStreamConfiguration>,
    /// The settings of an `InvokeModel` call, which Bedrock expects in headers.
    pub(super) options: ModelOptions,
    /// The format of answers in the models' own formats.
    pub(super) native: NativeAnswers,
}

/// A decoded request of any method.
struct Question {
    target: String,
    input: Input,
    heartbeat: Option<Duration>,
    coalesce: Option<Duration>,
    resolved: Result<Arc<Target>, Failure>,
    valid: Result<(), Vec<Violation>>,
    footprint: Footprint,
}

impl Question {
    /// Creates a question without intervals.
    fn new(
        target: String,
        resolved: Result<Arc<Target>, Failure>,
        input: Input,
        valid: Result<(), Vec<Violation>>,
        footprint: Footprint,
    ) -> Self {
        Self {
            target,
            input,
            heartbeat: None,
            coalesce: None,
            resolved,
            valid,
            footprint,
        }
    }
}

/// The content of a request, by the operation of Bedrock.
#[expect(
    clippy::large_enum_variant,
    reason = "it exists once per call, and nearly all calls have the larger variant"
)]
enum Input {
    Converse(Option<ConverseInput>),
    Guardrail(ApplyGuardrailRequest),
    Native(InvokeModelRequest),
}

impl Preparation {
    /// Prepares a call. If `stop` is set during this, the result must not be used.
    pub(super) fn run(self, received: Received, stop: &Stop) -> Prepared {
        match self.read(received, stop) {
            Ok(question) => Prepared {
                name: question.target.clone(),
                target: question.resolved.as_ref().ok().cloned(),
                ready: self.ready(question, stop),
            },
            Err(failure) => Prepared {
                name: String::new(),
                target: None,
                ready: Err(failure),
            },
        }
    }

    fn read(&self, received: Received, stop: &Stop) -> Result<Question, Failure> {
        Ok(match self.method {
            Method::Invoke => {
                let (message, footprint) =
                    self.decode("bedrock.inference.v1.InvokeRequest", received, stop)?;
                self.converse(message, footprint, stop)
            }
            Method::CountTokens => {
                let (CountTokensRequest { target, input }, footprint) =
                    self.decode("bedrock.inference.v1.CountTokensRequest", received, stop)?;
                // The fields are the same as in InvokeRequest, so the same rules apply.
                self.converse(InvokeRequest { target, input }, footprint, stop)
            }
            Method::StreamInvoke => {
                let (message, footprint): (StreamInvokeRequest, _) =
                    self.decode("bedrock.inference.v1.StreamInvokeRequest", received, stop)?;
                let resolved = self.resolve(&message.target);
                let model_id = resolved_model_id(&resolved, &message.target);
                let valid = validate::stream_invoke_until(stop, &message, model_id);
                let (heartbeat, coalesce) = (message.heartbeat_interval, message.coalesce);
                let input = Input::Converse(message.input);
                Question {
                    heartbeat: duration(heartbeat),
                    coalesce: duration(coalesce),
                    ..Question::new(message.target, resolved, input, valid, footprint)
                }
            }
            Method::ApplyGuardrail => {
                let (message, footprint): (ApplyGuardrailRequest, _) =
                    self.decode("bedrock.inference.v1.ApplyGuardrailRequest", received, stop)?;
                let (target, resolved) = (message.target.clone(), self.resolve(&message.target));
                let valid = validate::apply_guardrail_until(stop, &message);
                Question::new(
                    target,
                    resolved,
                    Input::Guardrail(message),
                    valid,
                    footprint,
                )
            }
            Method::InvokeModel => {
                let (message, footprint): (InvokeModelRequest, _) =
                    self.decode("bedrock.inference.v1.InvokeModelRequest", received, stop)?;
                let (target, resolved) = (message.target.clone(), self.resolve(&message.target));
                let valid = validate::invoke_model_until(stop, &message);
                Question::new(target, resolved, Input::Native(message), valid, footprint)
            }
            Method::StreamInvokeModel => {
                let (message, footprint): (StreamInvokeModelRequest, _) = self.decode(
                    "bedrock.inference.v1.StreamInvokeModelRequest",
                    received,
                    stop,
                )?;
                let heartbeat = message.heartbeat_interval;
                let message = native_bodies::unary(message);
                let (target, resolved) = (message.target.clone(), self.resolve(&message.target));
                let valid = validate::stream_invoke_model_until(stop, &message, heartbeat);
                Question {
                    heartbeat: duration(heartbeat),
                    ..Question::new(target, resolved, Input::Native(message), valid, footprint)
                }
            }
        })
    }

    /// Returns the question of a Converse request that is answered by one message.
    fn converse(&self, message: InvokeRequest, footprint: Footprint, stop: &Stop) -> Question {
        let resolved = self.resolve(&message.target);
        let model_id = resolved_model_id(&resolved, &message.target);
        let valid = validate::invoke_until(stop, &message, model_id);
        let input = Input::Converse(message.input);
        Question::new(message.target, resolved, input, valid, footprint)
    }

    fn decode<T: Message + Default>(
        &self,
        type_name: &str,
        received: Received,
        stop: &Stop,
    ) -> Result<(T, Footprint), Failure> {
        decode(type_name, received, &self.generation.limits, stop)
    }

    /// Resolves a target. A name that is longer than any valid name is not looked up.
    fn resolve(&self, name: &str) -> Result<Arc<Target>, Failure> {
        let mut violations = Violations::new();
        validate::target(name, &mut violations);
        violations.finish().map_err(Failure::invalid_request)?;
        permission::resolve(&self.generation.router, self.caller.as_ref(), name)
    }

    fn ready(self, question: Question, stop: &Stop) -> Result<Ready, Failure> {
        // Errors of the request are reported first, because one of them may be about the target.
        question.valid.map_err(Failure::invalid_request)?;
        let target = question.resolved?;
        // An invalid timeout is an error: a caller that asks for one second must not get the
        // default of ten minutes.
        self.timeout.clone()?;
        let mut candidates = target.inside()?;
        let mut input = match question.input {
            Input::Converse(input) => input.unwrap_or_default(),
            Input::Guardrail(request) => {
                return self.ready_to_apply(
                    &request,
                    target,
                    candidates,
                    question.footprint.memory,
                    stop,
                );
            }
            Input::Native(request) => {
                let heartbeat = question.heartbeat;
                let ready = self.ready_to_invoke_model(
                    request,
                    target,
                    candidates,
                    question.footprint.memory,
                    stop,
                );
                return ready.map(|ready| Ready { heartbeat, ..ready });
            }
        };
        translate::history::repair(&mut input);
        let kind = ModelIdKind::of(target.model_id());
        let accounts = &self.generation.accounts;
        let scopes = accounts.scopes(self.caller.as_ref(), &target.name);
        let policy = estimate::policy(accounts, &scopes, self.policy(&target));
        let policy = policy.as_ref();
        let named = NamedProject {
            field: "input.project_identifier",
            identifier: input.project_identifier.take(),
        };
        let mut projects = match self.method {
            // Bedrock counts tokens without a project.
            Method::CountTokens => named.check(policy)?,
            _ => named.select(policy, &target, &mut candidates)?,
        };
        // The same body is sent to all routes, so the least permissive model decides.
        let sampling = candidates.iter().map(|known| known.route.sampling()).max();
        let sampling = sampling.unwrap_or(Sampling::Neither);
        defaults::apply(&self.defaults(&target), policy, kind, sampling, &mut input);
        let enforced = Enforced {
            policy,
            attribution: self.attribution(&target),
            kind,
        };
        enforced
            .apply(&mut input)
            .map_err(Failure::invalid_request)?;
        if self.method == Method::CountTokens {
            count_tokens_input::keep_accepted(&mut input);
        }
        if let Some(common) = projects.common(candidates.iter().map(|known| &known.route)) {
            input.project_identifier = Some(common.as_ref().to_owned());
            projects = projects.in_body();
        }
        let body =
            translate::request::to_converse_of_valid(&input, question.footprint.json_bytes, stop)
                .map_err(Failure::invalid_request)?;
        if stop.is_set() {
            return Err(cancelled());
        }
        let (amounts, ceiling) = match self.method {
            Method::Invoke | Method::StreamInvoke => {
                let Estimate { amounts, ceiling } =
                    estimate(accounts, &scopes, kind, &candidates, &input, body.len())?;
                (amounts, Some(ceiling))
            }
            // Counting tokens uses no tokens and costs nothing.
            Method::CountTokens
            | Method::ApplyGuardrail
            | Method::InvokeModel
            | Method::StreamInvokeModel => (ONE_REQUEST, None),
        };
        Ok(Ready {
            candidates,
            scopes,
            amounts,
            ceiling,
            billing: estimate::billing(&input),
            body: match self.method {
                // This body will become a part of another one, so it is not hashed.
                Method::CountTokens => held(body, question.footprint.memory)?.into(),
                // Each attempt copies the body.
                _ if projects.is_added_to_body() => {
                    let body = held_twice(body, question.footprint.memory)?;
                    RequestBody::hashed(body, || stop.is_set())
                }
                _ => RequestBody::hashed(held(body, question.footprint.memory)?, || stop.is_set()),
            },
            projects,
            heartbeat: question.heartbeat,
            coalesce: question.coalesce,
            inference: input.inference_config,
            guardrail: input.guardrail_config,
            options: ModelOptions::default(),
            native: NativeAnswers::default(),
            target,
        })
    }

    /// Prepares a call of ApplyGuardrail. Such a call uses no tokens, but units of the guardrail.
    fn ready_to_apply(
        &self,
        request: &ApplyGuardrailRequest,
        target: Arc<Target>,
        mut candidates: Vec<RouteCandidate>,
        memory: Arc<Share>,
        stop: &Stop,
    ) -> Result<Ready, Failure> {
        let guardrail =
            applied_guardrail(&self.policy(&target), request).map_err(Failure::invalid_request)?;
        let identifier = guardrail.guardrail_identifier.as_deref();
        // A guardrail can be applied only in its Region.
        if let Some(region) = identifier.and_then(model_id::region_of_arn) {
            candidates.retain(|known| known.route.source_region == region);
            if candidates.is_empty() {
                let mut out = Violations::new();
                let problem = format!("is in {region}, where the target has no route");
                out.add_at("guardrail_identifier", problem);
                out.finish().map_err(Failure::invalid_request)?;
            }
        }
        let body = translate::guardrail::to_apply_guardrail(request, stop)
            .map_err(Failure::invalid_request)?;
        if stop.is_set() {
            return Err(cancelled());
        }
        let accounts = &self.generation.accounts;
        let scopes = accounts.scopes(self.caller.as_ref(), &target.name);
        let Estimate { amounts, ceiling } =
            estimate::estimate_guardrail(accounts, &scopes, request)?;
        Ok(Ready {
            candidates,
            projects: RouteProjects::default(),
            scopes,
            amounts,
            ceiling: Some(ceiling),
            billing: Billing::default(),
            body: RequestBody::hashed(held(body, memory)?, || stop.is_set()),
            heartbeat: None,
            coalesce: None,
            inference: None,
            guardrail: Some(guardrail),
            options: ModelOptions::default(),
            native: NativeAnswers::default(),
            target,
        })
    }

    /// Returns the values for fields that a request of this caller does not set.
    fn defaults<'t>(&self, target: &'t Target) -> Cow<'t, Defaults> {
        match self.caller.as_ref().and_then(Identity::permission) {
            Some(permission) => Cow::Owned(permission.defaults.over(&target.defaults)),
            None => Cow::Borrowed(&target.defaults),
        }
    }

    /// Returns the operator's request metadata for a call of this caller.
    fn attribution(&self, target: &Target) -> Attribution {
        let permission = self.caller.as_ref().and_then(Identity::permission);
        Attribution::of(
            permission.map(|permission| &permission.request_metadata),
            &target.request_metadata,
            &self.generation.request_metadata,
            &self.metadata,
        )
    }

    /// Returns the policy that the operator enforces for a target and this caller.
    fn policy<'t>(&self, target: &'t Target) -> Cow<'t, RequestPolicy> {
        match self.caller.as_ref().and_then(Identity::permission) {
            Some(permission) => Cow::Owned(target.policy.and(&permission.policy)),
            None => Cow::Borrowed(&target.policy),
        }
    }
}

/// Converts an interval of a request. Validation reports invalid ones.
fn duration(interval: Option<prost_types::Duration>) -> Option<Duration> {
    interval.and_then(|interval| Duration::try_from(interval).ok())
}

fn cancelled() -> Failure {
    Failure::new(Reason::Cancelled, "the client cancelled the call")
}

/// Returns the model ID that a target resolves to. An alias may resolve to a prompt, to which other
/// rules apply. Returns the target's name if the target is unknown.
fn resolved_model_id<'a>(target: &'a Result<Arc<Target>, Failure>, name: &'a str) -> &'a str {
    target.as_ref().map_or(name, |target| target.model_id())
}
