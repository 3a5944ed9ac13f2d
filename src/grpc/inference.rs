//! `InferenceService`: both calls run the same pump; `Invoke` puts its messages together.

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_core::Stream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{
    context::CallContext,
    pump::{Call, Pump, Times},
    report::CallReport,
    status, validate,
};
use crate::{
    bedrock::Bedrock,
    config::Limits,
    error::{Failure, Reason, Violation},
    pb::{
        self, ConverseInput, InvokeRequest, InvokeResponse, StreamInvokeRequest,
        StreamInvokeResponse, inference_service_server::InferenceService,
    },
    routing::{Route, Router},
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
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Cancelled when the gateway can't wait for its streams any longer.
    pub cut: CancellationToken,
}

impl Inference {
    /// Begins a valid call.
    fn begin(
        &self,
        context: &CallContext,
        mut report: CallReport,
        target: &str,
        input: Option<ConverseInput>,
        heartbeat: Duration,
    ) -> Result<Pump, Status> {
        let prepared = self.prepare(context, target, input, &mut report);
        let (route, body, times) = match prepared {
            Ok(prepared) => prepared,
            Err(failure) => return Err(refuse(&failure, target, &mut report, context)),
        };
        Ok(Pump::start(Call {
            bedrock: self.bedrock.clone(),
            route,
            body,
            times: Times { heartbeat, ..times },
            request_id: Arc::clone(&context.request_id),
            report,
            cut: self.cut.clone(),
        }))
    }

    fn prepare(
        &self,
        context: &CallContext,
        target: &str,
        input: Option<ConverseInput>,
        report: &mut CallReport,
    ) -> Result<(Route, Bytes, Times), Failure> {
        let times = self.times(context)?;
        let route = self.router.resolve(target)?;
        report.route(&route);
        let mut input = input.unwrap_or_default();
        apply_defaults(&route, &mut input);
        let body = translate::request::to_converse(&input).map_err(invalid)?;
        Ok((route, body, times))
    }

    fn times(&self, context: &CallContext) -> Result<Times, Failure> {
        let limits = &self.limits;
        let timeout = context
            .timeout
            .clone()?
            .unwrap_or(limits.default_deadline)
            .min(limits.max_deadline);
        Ok(Times {
            deadline: context.arrived + timeout,
            first_event: limits.first_event,
            idle: limits.idle,
            heartbeat: Duration::ZERO,
        })
    }

    fn report(&self, method: &'static str, context: &CallContext) -> CallReport {
        CallReport::start(Arc::clone(&self.metrics), method, context)
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
        let mut report = self.report("Invoke", &context);
        let request = request.into_inner();
        if let Err(violations) = validate::invoke(&request) {
            return Err(refuse(
                &invalid(violations),
                &request.target,
                &mut report,
                &context,
            ));
        }
        // A unary response has no place for signs of life.
        let mut pump = self.begin(
            &context,
            report,
            &request.target,
            request.input,
            Duration::ZERO,
        )?;
        let mut fold = Fold::default();
        while let Some(message) = std::future::poll_fn(|cx| Pin::new(&mut pump).poll_next(cx)).await
        {
            fold.push(message?);
        }
        Ok(Response::new(fold.finish()))
    }

    async fn stream_invoke(
        &self,
        request: Request<StreamInvokeRequest>,
    ) -> Result<Response<Self::StreamInvokeStream>, Status> {
        let context = context(&request);
        let mut report = self.report("StreamInvoke", &context);
        let request = request.into_inner();
        if let Err(violations) = validate::stream_invoke(&request) {
            return Err(refuse(
                &invalid(violations),
                &request.target,
                &mut report,
                &context,
            ));
        }
        let heartbeat = request
            .heartbeat_interval
            .and_then(|interval| Duration::try_from(interval).ok())
            .unwrap_or(self.limits.heartbeat);
        let pump = self.begin(&context, report, &request.target, request.input, heartbeat)?;
        let stream = pump.commit(self.limits.headers_after).await?;
        Ok(Response::new(Box::pin(stream)))
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

fn refuse(
    failure: &Failure,
    target: &str,
    report: &mut CallReport,
    context: &CallContext,
) -> Status {
    report.failed(failure);
    let named = pb::Attempt {
        model_id: target.to_owned(),
        ..pb::Attempt::default()
    };
    status::status(failure, &[named], &context.request_id)
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
    if let Some(default) = route.default_max_tokens {
        let config = input.inference_config.get_or_insert_default();
        config.max_tokens.get_or_insert(default);
    }
}
