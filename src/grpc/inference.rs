//! Implements `InferenceService`. Both methods run the same stream; `Invoke` combines its messages
//! into one.

use std::{sync::Arc, time::Duration};

use futures_core::Stream;
use futures_util::StreamExt;
use http::Request;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{
    Status,
    body::Body,
    metadata::{MetadataMap, MetadataValue},
};

use super::{
    context::CallContext,
    count::Count,
    permission,
    prepare::{Method, Preparation, Prepared, Ready},
    receive::{Received, Receiver},
    status,
};
use crate::{
    access::limits::Accounts,
    bedrock::{Bedrock, SessionOwner},
    bounds::{Share, ShareOwner, Shares, Stop, WorkQueue},
    config::{Limits, RequestMetadata},
    error::{Failure, Reason},
    pb::{self, CountTokensResponse, InvokeResponse, StreamInvokeResponse},
    routing::{Router, attempts::AttemptPolicy, retry_budget::RetryBudget},
    stream::{Arrival, Bill, Call, CallReport, CallStream, RateLimits, Times, Watchdog},
    telemetry::{Metrics, Traces},
    translate::fold::Fold,
};

const ACCEPT_ENCODING: &str = "grpc-accept-encoding";

/// The dependencies of the service. Each worker has one; cheap to clone.
#[derive(Clone)]
pub struct Inference {
    /// The worker's client of Bedrock.
    pub bedrock: Bedrock,
    /// Resolves targets.
    pub router: Router,
    /// The limits on time and size.
    pub limits: Arc<Limits>,
    /// The retry budget that all calls share.
    pub budget: RetryBudget,
    /// The metadata that the gateway adds to requests, for cost reports.
    pub request_metadata: Arc<RequestMetadata>,
    /// The accounts that count tokens and money.
    pub accounts: Accounts,
    /// The metrics of the process.
    pub metrics: Arc<Metrics>,
    /// Decides which calls have spans.
    pub traces: Traces,
    /// The memory budget of all requests that are being received, decoded and held.
    pub memory: Shares,
    /// Threads for large messages.
    pub work: WorkQueue,
    /// Cancelled when the drain expires.
    pub cut: CancellationToken,
}

impl Inference {
    /// Handles `Invoke`: returns the whole answer.
    pub(super) async fn invoke(
        &self,
        request: Request<Body>,
    ) -> Result<(InvokeResponse, Watchdog, Option<RateLimits>), Status> {
        let context = context(&request);
        // A unary response cannot contain heartbeats.
        let (mut call_stream, rate_limits) = self.begin(Method::Invoke, &context, request).await?;
        let mut fold = Fold::default();
        while let Some(message) = call_stream.next().await {
            fold.push(message.map_err(|failed| status::of_failed(&failed))?);
        }
        let limits = &self.limits;
        let limit = context
            .deadline(limits, None)
            .max(Instant::now() + limits.write_stall);
        Ok((fold.finish(), Watchdog::until(limit), rate_limits))
    }

    /// Handles `StreamInvoke`: returns the answer as a stream.
    pub(super) async fn stream_invoke(
        &self,
        request: Request<Body>,
    ) -> Result<
        (
            impl Stream<Item = Result<StreamInvokeResponse, Status>> + use<>,
            Watchdog,
            Option<RateLimits>,
        ),
        Status,
    > {
        let context = context(&request);
        let (call_stream, rate_limits) =
            self.begin(Method::StreamInvoke, &context, request).await?;
        let watchdog = call_stream.watchdog();
        let call_stream = call_stream
            .commit(self.limits.headers_after)
            .await
            .map_err(|failed| status::of_failed(&failed))?;
        let messages =
            call_stream.map(|message| message.map_err(|failed| status::of_failed(&failed)));
        Ok((messages, watchdog, rate_limits))
    }

    /// Handles `CountTokens`.
    pub(super) async fn count_tokens(
        &self,
        request: Request<Body>,
    ) -> Result<(CountTokensResponse, Watchdog, Option<RateLimits>), Status> {
        let context = context(&request);
        let (report, ready) = self
            .prepared(Method::CountTokens, &context, request)
            .await?;
        let rate_limits = report.rate_limits();
        let deadline = context.deadline(&self.limits, ready.target.limits.max_deadline);
        let count = Count {
            bedrock: &self.bedrock,
            owner: self.session_owner(&context),
            first_event: ready.target.limits.first_event,
            limits: &self.limits,
            deadline,
            cut: &self.cut,
        };
        let response = count.run(&ready, &context.request_id, report).await?;
        let limit = deadline.max(Instant::now() + self.limits.write_stall);
        Ok((response, Watchdog::until(limit), rate_limits))
    }

    /// Returns the caller as an owner of AWS sessions, if it has separate ones.
    fn session_owner(&self, context: &CallContext) -> Option<SessionOwner> {
        let caller = context.caller.as_ref()?;
        let options = &caller.caller().session;
        self.bedrock.session_owner(caller.name(), options)
    }

    /// Receives a call's message and checks it.
    async fn prepared(
        &self,
        method: Method,
        context: &CallContext,
        request: Request<Body>,
    ) -> Result<(CallReport, Ready), Status> {
        let (parts, body) = request.into_parts();
        let peer = ShareOwner::of(&parts.extensions);
        let place = parts.extensions.get::<Arc<Share>>();
        let receiver = Receiver {
            limits: &self.limits,
            memory: &self.memory,
            place: place.map(AsRef::as_ref),
            peer,
        };
        // The message of a call that is not allowed is not read.
        let received = match permission::check_path(context.caller.as_ref(), parts.uri.path()) {
            Ok(()) => receiver.receive(&parts.headers, body).await,
            Err(failure) => Err(failure),
        };
        let metrics = Arc::clone(&self.metrics);
        let mut report = CallReport::start(
            metrics,
            &self.traces,
            method.name(),
            Arrival {
                request_id: Arc::clone(&context.request_id),
                arrived: context.arrived,
                trace: context.trace.clone(),
                caller: context.caller.clone(),
                record: context.record.clone(),
            },
            status::code_name,
        );
        let preparation = Preparation {
            method,
            router: self.router.clone(),
            limits: Arc::clone(&self.limits),
            request_metadata: Arc::clone(&self.request_metadata),
            metadata: MetadataMap::from_headers(parts.headers),
            timeout: context.timeout.clone(),
            accounts: self.accounts.clone(),
            caller: context.caller.clone(),
        };
        let prepared = match received {
            Ok(received) => self.prepare(peer, preparation, received).await,
            Err(failure) => Err(failure),
        };
        let Prepared {
            name,
            target,
            ready,
        } = prepared.unwrap_or_else(|failure| Prepared {
            name: String::new(),
            target: None,
            ready: Err(failure),
        });
        if let Some(target) = &target {
            report.target(target);
        }
        let ready = match ready {
            Ok(ready) => {
                let reserved = self.reserve(&mut report, &ready, context).await;
                reserved.map(|()| ready)
            }
            Err(failure) => Err(failure),
        };
        let ready = match ready {
            Ok(ready) => ready,
            Err(failure) => {
                report.failed(&failure);
                let named = pb::Attempt {
                    model_id: name,
                    ..pb::Attempt::default()
                };
                let mut status = status::status(&failure, &[named], &context.request_id);
                if failure.reason == Reason::Unimplemented {
                    let accepted = if self.limits.max_compression_ratio > 0 {
                        "identity,gzip,zstd"
                    } else {
                        "identity"
                    };
                    let accepted = MetadataValue::from_static(accepted);
                    status.metadata_mut().insert(ACCEPT_ENCODING, accepted);
                }
                return Err(status);
            }
        };
        Ok((report, ready))
    }

    /// Receives a call's message and begins the call, unless a check before that fails.
    async fn begin(
        &self,
        method: Method,
        context: &CallContext,
        request: Request<Body>,
    ) -> Result<(CallStream, Option<RateLimits>), Status> {
        let (mut report, ready) = self.prepared(method, context, request).await?;
        report.asked(ready.inference, ready.guardrail);
        let limits = &ready.target.limits;
        let deadline = context.deadline(&self.limits, limits.max_deadline);
        let rate_limits = report.rate_limits();
        let owner = self.session_owner(context);
        let call_stream = CallStream::start(Call {
            bedrock: self.bedrock.clone(),
            candidates: ready.candidates,
            body: ready.body,
            times: Times {
                deadline,
                idle: limits.idle.unwrap_or(self.limits.idle),
                heartbeat: match method {
                    Method::Invoke | Method::CountTokens => Duration::ZERO,
                    Method::StreamInvoke => ready.heartbeat.unwrap_or(self.limits.heartbeat),
                },
            },
            policy: AttemptPolicy {
                attempt_allowance: limits.max_attempts.unwrap_or(self.limits.max_attempts),
                first_event: limits.first_event.unwrap_or(self.limits.first_event),
                deadline,
                budget: self.budget.clone(),
                session_owner: owner.as_ref().map(|owner| Arc::clone(&owner.name)),
            },
            owner,
            target: ready.target,
            write_stall: self.limits.write_stall,
            on_cancel: self.limits.on_cancel,
            request_id: Arc::clone(&context.request_id),
            report,
            cut: self.cut.clone(),
        });
        Ok((call_stream, rate_limits))
    }

    /// Reserves the maximum usage of the call.
    async fn reserve(
        &self,
        report: &mut CallReport,
        ready: &Ready,
        context: &CallContext,
    ) -> Result<(), Failure> {
        let accounts = &self.accounts;
        let is_counted = !ready.scopes.is_empty() || !accounts.prices().is_empty();
        if !is_counted && context.record.is_none() {
            return Ok(());
        }
        let charge = accounts
            .reserve(ready.scopes.clone(), ready.amounts)
            .await
            .map_err(|refusal| refusal.failure())?;
        report.bill(Bill::new(
            accounts.clone(),
            charge,
            ready.billing,
            ready.ceiling,
        ));
        Ok(())
    }

    /// Decodes, validates and translates the message. Small messages are handled on this thread,
    /// others on a thread that forwards no tokens.
    async fn prepare(
        &self,
        peer: ShareOwner,
        preparation: Preparation,
        received: Received,
    ) -> Result<Prepared, Failure> {
        if !received.is_large() {
            return Ok(preparation.run(received, &Stop::never()));
        }
        let work = self
            .work
            .run(peer, move |stop| preparation.run(received, stop));
        work.await.map_err(|_| {
            Failure::new(
                Reason::ReplicaSaturated,
                "this replica is already decoding the maximum number of large requests; retry on another replica",
            )
        })
    }
}

/// Returns the context that the layer added to the request. For calls that did not pass the layer,
/// as in tests of the service alone, the context has only the time of arrival.
fn context<T>(request: &Request<T>) -> CallContext {
    request
        .extensions()
        .get::<CallContext>()
        .cloned()
        .unwrap_or_else(|| CallContext::read(&http::HeaderMap::new()))
}
