//! `InferenceService`: both calls run the same pump; `Invoke` puts its messages together.

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, metadata::MetadataMap};

use super::{
    context::CallContext,
    defaults,
    enforce::{Attribution, Enforced},
    status,
};
use crate::{
    aws::{Kind, Sampling},
    bedrock::Bedrock,
    config::{Limits, RequestMetadata},
    error::{Failure, Violation},
    pb::{
        self, ConverseInput, InvokeRequest, InvokeResponse, StreamInvokeRequest,
        StreamInvokeResponse, inference_service_server::InferenceService,
    },
    routing::{RouteCandidate, Router, Target, attempts::AttemptPolicy, budget::RetryBudget},
    stream::{Arrival, Call, CallReport, Pump, Times, Watchdog},
    telemetry::{Metrics, Traces},
    translate::{self, fold::Fold},
    validate,
};

/// What the service needs. One for each worker; cheap to clone.
#[derive(Clone)]
pub struct Inference {
    /// The worker's way to Bedrock.
    pub bedrock: Bedrock,
    /// Knows the targets.
    pub router: Router,
    /// How long things may take.
    pub limits: Arc<Limits>,
    /// What all calls together may spend on further attempts.
    pub budget: RetryBudget,
    /// What requests carry for cost reports.
    pub request_metadata: Arc<RequestMetadata>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Decides which calls have spans.
    pub traces: Traces,
    /// Cancelled when the gateway can't wait for its streams any longer.
    pub cut: CancellationToken,
}

impl Inference {
    /// Begins a call, if all that is known of it by now allows that.
    fn begin(&self, asked: Asked<'_>) -> Result<Pump, Status> {
        let context = asked.context;
        let metrics = Arc::clone(&self.metrics);
        let mut report = CallReport::start(
            metrics,
            &self.traces,
            asked.method,
            Arrival {
                request_id: Arc::clone(&context.request_id),
                arrived: context.arrived,
                trace: context.trace.clone(),
            },
            status::code_name,
        );
        let name = asked.name;
        let heartbeat = asked.heartbeat;
        if let Ok(target) = &asked.target {
            report.target(target);
        }
        let ready = match self.prepare(asked) {
            Ok(ready) => ready,
            Err(failure) => {
                report.failed(&failure);
                let named = pb::Attempt {
                    model_id: name.to_owned(),
                    ..pb::Attempt::default()
                };
                return Err(status::status(&failure, &[named], &context.request_id));
            }
        };
        report.asked(ready.inference, ready.guardrail);
        let limits = &ready.target.limits;
        let deadline = context.deadline(&self.limits, limits.max_deadline);
        Ok(Pump::start(Call {
            bedrock: self.bedrock.clone(),
            candidates: ready.candidates,
            body: ready.body,
            times: Times {
                deadline,
                idle: limits.idle.unwrap_or(self.limits.idle),
                heartbeat,
            },
            policy: AttemptPolicy {
                attempt_allowance: limits.max_attempts.unwrap_or(self.limits.max_attempts),
                first_event: limits.first_event.unwrap_or(self.limits.first_event),
                deadline,
                budget: self.budget.clone(),
            },
            target: ready.target,
            write_stall: self.limits.write_stall,
            on_cancel: self.limits.on_cancel,
            request_id: Arc::clone(&context.request_id),
            report,
            cut: self.cut.clone(),
        }))
    }

    fn prepare(&self, asked: Asked<'_>) -> Result<Ready, Failure> {
        let target = asked.target?;
        // Not to be read: a caller that asks for one second must not get ten minutes.
        asked.context.timeout.clone()?;
        let candidates = target.inside()?;
        let mut input = asked.input.unwrap_or_default();
        translate::history::leave_out_empty_answers(&mut input);
        let kind = Kind::of(target.model_id());
        // The same body is sent to whichever route answers.
        let sampling = candidates.iter().map(|known| known.route.sampling()).max();
        let sampling = sampling.unwrap_or(Sampling::Neither);
        let policy = &target.policy;
        defaults::apply(&target.defaults, policy, kind, sampling, &mut input);
        let attribution = Attribution::of(
            &target.request_metadata,
            &self.request_metadata,
            asked.metadata,
        );
        let enforced = Enforced {
            policy,
            attribution,
            kind,
        };
        enforced
            .apply(&mut input)
            .map_err(Failure::invalid_request)?;
        let body = translate::request::to_converse(&input).map_err(Failure::invalid_request)?;
        Ok(Ready {
            target,
            candidates,
            body,
            inference: input.inference_config,
            guardrail: input.guardrail_config,
        })
    }
}

/// What a call asks for.
struct Asked<'a> {
    context: &'a CallContext,
    metadata: &'a MetadataMap,
    method: &'static str,
    /// The target as the caller named it.
    name: &'a str,
    /// What it stands for, if the request is valid.
    target: Result<Arc<Target>, Failure>,
    input: Option<ConverseInput>,
    heartbeat: Duration,
}

/// A call that can begin.
struct Ready {
    target: Arc<Target>,
    candidates: Vec<RouteCandidate>,
    body: Bytes,
    inference: Option<pb::InferenceConfiguration>,
    guardrail: Option<pb::GuardrailStreamConfiguration>,
}

#[tonic::async_trait]
impl InferenceService for Inference {
    type StreamInvokeStream =
        Pin<Box<dyn Stream<Item = Result<StreamInvokeResponse, Status>> + Send>>;

    async fn invoke(
        &self,
        request: Request<InvokeRequest>,
    ) -> Result<Response<InvokeResponse>, Status> {
        let context = context(&request);
        let (metadata, _, request) = request.into_parts();
        let target = self.router.resolve(&request.target);
        let valid = validate::invoke(&request, model_id(&target, &request.target));
        let mut pump = self.begin(Asked {
            context: &context,
            metadata: &metadata,
            method: "Invoke",
            name: &request.target,
            target: checked(target, valid),
            input: request.input,
            // A unary response has no place for signs of life.
            heartbeat: Duration::ZERO,
        })?;
        let mut fold = Fold::default();
        while let Some(message) = pump.next().await {
            fold.push(message.map_err(|failed| status::of_failed(&failed))?);
        }
        let mut response = Response::new(fold.finish());
        let limits = &self.limits;
        let limit = context
            .deadline(limits, None)
            .max(Instant::now() + limits.write_stall);
        response.extensions_mut().insert(Watchdog::until(limit));
        Ok(response)
    }

    async fn stream_invoke(
        &self,
        request: Request<StreamInvokeRequest>,
    ) -> Result<Response<Self::StreamInvokeStream>, Status> {
        let context = context(&request);
        let (metadata, _, request) = request.into_parts();
        let target = self.router.resolve(&request.target);
        let valid = validate::stream_invoke(&request, model_id(&target, &request.target));
        let heartbeat = request
            .heartbeat_interval
            .and_then(|interval| Duration::try_from(interval).ok())
            .unwrap_or(self.limits.heartbeat);
        let pump = self.begin(Asked {
            context: &context,
            metadata: &metadata,
            method: "StreamInvoke",
            name: &request.target,
            target: checked(target, valid),
            input: request.input,
            heartbeat,
        })?;
        let watchdog = pump.watchdog();
        let pump = pump
            .commit(self.limits.headers_after)
            .await
            .map_err(|failed| status::of_failed(&failed))?;
        let stream: Self::StreamInvokeStream =
            Box::pin(pump.map(|message| message.map_err(|failed| status::of_failed(&failed))));
        let mut response = Response::new(stream);
        response.extensions_mut().insert(watchdog);
        Ok(response)
    }
}

/// What the layer found out of the call; calls that did not pass it (as in tests of the service
/// alone) have nothing but their arrival.
fn context<T>(request: &Request<T>) -> CallContext {
    request
        .extensions()
        .get::<CallContext>()
        .cloned()
        .unwrap_or_else(|| CallContext::read(&http::HeaderMap::new()))
}

/// What a target stands for: an alias can stand for a prompt, which has rules of its own. The
/// target itself, if it is not known.
fn model_id<'a>(target: &'a Result<Arc<Target>, Failure>, name: &'a str) -> &'a str {
    target.as_ref().map_or(name, |target| target.model_id())
}

/// The target of a valid request. What is wrong with the request is told first: the target may be a
/// part of it.
fn checked(
    target: Result<Arc<Target>, Failure>,
    valid: Result<(), Vec<Violation>>,
) -> Result<Arc<Target>, Failure> {
    valid.map_err(Failure::invalid_request)?;
    target
}
