//! `InferenceService`: both calls run the same pump; `Invoke` puts its messages together.

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_core::Stream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{
    context::CallContext,
    pump::{Call, Pump, Times},
    report::CallReport,
    status,
    stream::Watchdog,
    validate,
};
use crate::{
    bedrock::Bedrock,
    config::Limits,
    error::{Failure, Reason, Violation},
    pb::{
        self, ConverseInput, InvokeRequest, InvokeResponse, StreamInvokeRequest,
        StreamInvokeResponse, inference_service_server::InferenceService,
    },
    routing::{Route, Router, attempts::Policy, model_id::Kind},
    telemetry::Metrics,
    translate::{self, fold::Fold},
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
    /// How often to try until an answer begins.
    pub policy: Policy,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Cancelled when the gateway can't wait for its streams any longer.
    pub cut: CancellationToken,
}

impl Inference {
    /// Begins a call, if all that is known of it by now allows that.
    fn begin(
        &self,
        context: &CallContext,
        method: &'static str,
        target: &str,
        route: Result<Route, Failure>,
        input: Option<ConverseInput>,
        heartbeat: Duration,
    ) -> Result<Pump, Status> {
        let mut report = CallReport::start(Arc::clone(&self.metrics), method, context);
        let prepared = route.and_then(|route| {
            report.route(&route);
            self.prepare(context, route, input)
        });
        let (route, body, times) = match prepared {
            Ok(prepared) => prepared,
            Err(failure) => {
                report.failed(&failure);
                let named = pb::Attempt {
                    model_id: target.to_owned(),
                    ..pb::Attempt::default()
                };
                return Err(status::status(&failure, &[named], &context.request_id));
            }
        };
        Ok(Pump::start(Call {
            bedrock: self.bedrock.clone(),
            route,
            body,
            times: Times { heartbeat, ..times },
            policy: self.policy.clone(),
            write_stall: self.limits.write_stall,
            on_cancel: self.limits.on_cancel,
            request_id: Arc::clone(&context.request_id),
            report,
            cut: self.cut.clone(),
        }))
    }

    fn prepare(
        &self,
        context: &CallContext,
        route: Route,
        input: Option<ConverseInput>,
    ) -> Result<(Route, Bytes, Times), Failure> {
        let times = self.times(context)?;
        let mut input = input.unwrap_or_default();
        apply_defaults(&route, &mut input);
        let body = translate::request::to_converse(&input).map_err(invalid)?;
        Ok((route, body, times))
    }

    fn times(&self, context: &CallContext) -> Result<Times, Failure> {
        // Not to be read: a caller that asks for one second must not get ten minutes.
        context.timeout.clone()?;
        let limits = &self.limits;
        Ok(Times {
            deadline: context.deadline(limits),
            first_event: limits.first_event,
            idle: limits.idle,
            heartbeat: Duration::ZERO,
        })
    }
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
        let request = request.into_inner();
        let route = self.router.resolve(&request.target);
        let valid = validate::invoke(&request, model_id(&route, &request.target));
        let mut pump = self.begin(
            &context,
            "Invoke",
            &request.target,
            checked(route, valid),
            request.input,
            // A unary response has no place for signs of life.
            Duration::ZERO,
        )?;
        let mut fold = Fold::default();
        while let Some(message) = std::future::poll_fn(|cx| Pin::new(&mut pump).poll_next(cx)).await
        {
            fold.push(message?);
        }
        let mut response = Response::new(fold.finish());
        let limits = &self.limits;
        let limit = context
            .deadline(limits)
            .max(Instant::now() + limits.write_stall);
        response.extensions_mut().insert(Watchdog::until(limit));
        Ok(response)
    }

    async fn stream_invoke(
        &self,
        request: Request<StreamInvokeRequest>,
    ) -> Result<Response<Self::StreamInvokeStream>, Status> {
        let context = context(&request);
        let request = request.into_inner();
        let route = self.router.resolve(&request.target);
        let valid = validate::stream_invoke(&request, model_id(&route, &request.target));
        let heartbeat = request
            .heartbeat_interval
            .and_then(|interval| Duration::try_from(interval).ok())
            .unwrap_or(self.limits.heartbeat);
        let pump = self.begin(
            &context,
            "StreamInvoke",
            &request.target,
            checked(route, valid),
            request.input,
            heartbeat,
        )?;
        let watchdog = pump.watchdog();
        let stream: Self::StreamInvokeStream =
            Box::pin(pump.commit(self.limits.headers_after).await?);
        let mut response = Response::new(stream);
        response.extensions_mut().insert(watchdog);
        Ok(response)
    }
}

/// What the layer found out of the call; calls that did not pass it (as in tests of the service alone) have nothing but their arrival.
fn context<T>(request: &Request<T>) -> CallContext {
    request
        .extensions()
        .get::<CallContext>()
        .cloned()
        .unwrap_or_else(|| CallContext::read(&http::HeaderMap::new()))
}

/// What a target stands for: an alias can stand for a prompt, which has rules of its own. The target itself, if it is not known.
fn model_id<'a>(route: &'a Result<Route, Failure>, target: &'a str) -> &'a str {
    route
        .as_ref()
        .map_or(target, |route| route.model_id.as_str())
}

/// A route for a valid request. What is wrong with the request is told first: the target may be a part of it.
fn checked(
    route: Result<Route, Failure>,
    valid: Result<(), Vec<Violation>>,
) -> Result<Route, Failure> {
    valid.map_err(invalid)?;
    route
}

/// All violations as one failure; its message holds the first, and says how many more there are.
pub(super) fn invalid(violations: Vec<Violation>) -> Failure {
    let message = match violations.as_slice() {
        [] => "the request is not valid".to_owned(),
        [only] => format!("{}: {}", only.field, only.description),
        [first, rest @ ..] => format!(
            "{}: {} (and {} more, see the details)",
            first.field,
            first.description,
            rest.len()
        ),
    };
    Failure {
        violations,
        ..Failure::new(Reason::InvalidRequest, message)
    }
}

/// The operator's defaults, where the caller said nothing.
fn apply_defaults(route: &Route, input: &mut ConverseInput) {
    // Prompts of Prompt management bring their own.
    if route.kind == Kind::Prompt {
        return;
    }
    if let Some(default) = route.default_max_tokens {
        let config = input.inference_config.get_or_insert_default();
        config.max_tokens.get_or_insert(default);
    }
}
