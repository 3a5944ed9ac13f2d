//! Implements `InferenceService`, `GuardrailService` and `ModelService`. `Invoke` runs the same
//! stream as `StreamInvoke`, and combines its messages into one.

use std::{sync::Arc, time::Duration};

use futures_core::Stream;
use futures_util::StreamExt;
use http::Request;
use prost::Message as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{
    Status,
    body::Body,
    metadata::{MetadataMap, MetadataValue},
};

use super::{
    answer_memory::{AnswerMemory, CollectedAnswer, LatestRoom},
    answer_room::AnswerRoom,
    apply_guardrail,
    context::CallContext,
    count_tokens,
    generation::Generations,
    invoke_model, permission,
    prepare::{Method, Preparation, Prepared, Ready},
    receive::{Effort, Received, Receiver},
    reservation::reserve,
    status,
    unary::UnaryCall,
};
use crate::{
    bedrock::{Bedrock, MemoryWait, SessionOwner},
    bounds::{Share, ShareOwner, Shares, Stop, WorkQueue},
    error::{Failure, Reason},
    pb::{
        self, ApplyGuardrailResponse, CountTokensResponse, InvokeModelResponse, InvokeResponse,
        StreamInvokeModelResponse, StreamInvokeResponse,
    },
    routing::{attempts::AttemptPolicy, retry_budget::RetryBudget},
    stream::{
        AnswerThreads, Arrival, Call, CallReport, CallStream, Converse, Native, Operation,
        RateLimits, Times, Watchdog,
    },
    telemetry::Metrics,
    translate::fold::Fold,
};

const ACCEPT_ENCODING: &str = "grpc-accept-encoding";

/// The dependencies of the services. Each worker has its own. Cheap to clone.
#[derive(Clone)]
pub struct Inference {
    /// The worker's client of Bedrock.
    pub bedrock: Bedrock,
    /// The configurations. A call uses the one that is current when it arrives.
    pub generations: Generations,
    /// The retry budget that all calls share.
    pub budget: RetryBudget,
    /// The metrics of the process.
    pub metrics: Arc<Metrics>,
    /// The memory budget of all requests that are being received, decoded or held.
    pub memory: Shares,
    /// Threads for messages that are too large for the worker's thread, but take only a few
    /// milliseconds. Such messages do not wait for large ones.
    pub medium_messages: WorkQueue,
    /// Threads for large messages, which may take seconds.
    pub large_messages: WorkQueue,
    /// Cancelled when the drain expires.
    pub cut: CancellationToken,
}

impl Inference {
    /// Handles `Invoke`: returns the whole answer, and the memory that it holds until the client
    /// has read it.
    pub(super) async fn invoke(
        &self,
        request: Request<Body>,
    ) -> Result<(InvokeResponse, Watchdog, Option<RateLimits>, Option<Share>), Status> {
        let context = self.context(&request);
        let peer = ShareOwner::of(request.extensions());
        let (report, ready) = self.prepared(Method::Invoke, &context, request).await?;
        // A unary response cannot contain heartbeats, and joining deltas is not useful.
        let call = (Converse::new(), Duration::ZERO);
        let memory = self.answer_memory(peer, &context, false);
        let mut collected = CollectedAnswer::new(&memory);
        let (mut call_stream, rate_limits) = self.begin(call, memory, &context, report, ready);
        let mut fold = Fold::default();
        while let Some(message) = call_stream.next().await {
            let message = message.map_err(|failed| status::of_failed(&failed))?;
            let taken = collected.add(message.encoded_len());
            taken.map_err(|failure| status::status(&failure, &[], &context.request_id))?;
            fold.push(message);
        }
        let limit = context
            .deadline(None)
            .max(Instant::now() + context.generation.limits.write_stall);
        let answer = fold.finish();
        Ok((
            answer,
            Watchdog::until(limit),
            rate_limits,
            collected.held(),
        ))
    }

    /// Handles `StreamInvoke`: returns the answer as a stream. Also returns the memory of its large
    /// events.
    pub(super) async fn stream_invoke(
        &self,
        request: Request<Body>,
    ) -> Result<
        (
            impl Stream<Item = Result<StreamInvokeResponse, Status>> + use<>,
            Watchdog,
            Option<RateLimits>,
            LatestRoom,
        ),
        Status,
    > {
        let context = self.context(&request);
        let peer = ShareOwner::of(request.extensions());
        let (report, ready) = self
            .prepared(Method::StreamInvoke, &context, request)
            .await?;
        let coalesce = ready.coalesce.or(ready.target.limits.coalesce);
        let deadline = context.deadline(ready.target.limits.max_deadline);
        let operation = Converse::coalescing(coalesce.unwrap_or_default(), deadline);
        self.stream(operation, peer, &context, report, ready).await
    }

    /// Handles `StreamInvokeModel`: returns the chunks of the answer as a stream.
    pub(super) async fn stream_invoke_model(
        &self,
        request: Request<Body>,
    ) -> Result<
        (
            impl Stream<Item = Result<StreamInvokeModelResponse, Status>> + use<>,
            Watchdog,
            Option<RateLimits>,
            LatestRoom,
        ),
        Status,
    > {
        let context = self.context(&request);
        let peer = ShareOwner::of(request.extensions());
        let (report, mut ready) = self
            .prepared(Method::StreamInvokeModel, &context, request)
            .await?;
        let operation = Native::new(std::mem::take(&mut ready.options), ready.native);
        self.stream(operation, peer, &context, report, ready).await
    }

    /// Begins a call whose answer is streamed to the client, and waits until there is something to
    /// send.
    async fn stream<O: Operation>(
        &self,
        operation: O,
        peer: ShareOwner,
        context: &CallContext,
        report: CallReport,
        ready: Ready,
    ) -> Result<
        (
            impl Stream<Item = Result<O::Message, Status>> + use<O>,
            Watchdog,
            Option<RateLimits>,
            LatestRoom,
        ),
        Status,
    > {
        let limits = &context.generation.limits;
        let heartbeat = ready.heartbeat.unwrap_or(limits.heartbeat);
        let memory = self.answer_memory(peer, context, true);
        let rooms = memory.latest.clone();
        let call = (operation, heartbeat);
        let (call_stream, rate_limits) = self.begin(call, memory, context, report, ready);
        let watchdog = call_stream.watchdog();
        let call_stream = call_stream
            .commit(limits.headers_after)
            .await
            .map_err(|failed| status::of_failed(&failed))?;
        let messages =
            call_stream.map(|message| message.map_err(|failed| status::of_failed(&failed)));
        Ok((messages, watchdog, rate_limits, rooms))
    }

    /// Handles `CountTokens`.
    pub(super) async fn count_tokens(
        &self,
        request: Request<Body>,
    ) -> Result<(CountTokensResponse, Watchdog, Option<RateLimits>), Status> {
        let context = self.context(&request);
        let peer = ShareOwner::of(request.extensions());
        let (report, ready) = self
            .prepared(Method::CountTokens, &context, request)
            .await?;
        let rate_limits = report.rate_limits();
        let bedrock = self.bedrock.of(&context.generation.sdk);
        let call = self.unary_call(&context, &bedrock, &ready, &report);
        let room = AnswerRoom::new(&self.memory, peer, &context, &ready);
        let response = count_tokens::run(&call, &room, &ready, report).await?;
        Ok((response, watchdog_of(&call, &context), rate_limits))
    }

    /// Handles `ApplyGuardrail`. Also returns the memory of the answer, as [`Self::invoke_model`].
    pub(super) async fn apply_guardrail(
        &self,
        request: Request<Body>,
    ) -> Result<
        (
            ApplyGuardrailResponse,
            Watchdog,
            Option<RateLimits>,
            Arc<Share>,
        ),
        Status,
    > {
        let context = self.context(&request);
        let threads = self.threads(&request);
        let (mut report, ready) = self
            .prepared(Method::ApplyGuardrail, &context, request)
            .await?;
        report.asked(None, ready.guardrail.clone());
        let rate_limits = report.rate_limits();
        let bedrock = self.bedrock.of(&context.generation.sdk);
        let call = self.unary_call(&context, &bedrock, &ready, &report);
        let room = AnswerRoom::new(&self.memory, threads.peer, &context, &ready);
        let (response, held) = apply_guardrail::run(&call, &room, &ready, report, &threads).await?;
        Ok((response, watchdog_of(&call, &context), rate_limits, held))
    }

    /// Handles `InvokeModel`. Also returns the memory of the answer, which must be held until the
    /// client has read the answer.
    pub(super) async fn invoke_model(
        &self,
        request: Request<Body>,
    ) -> Result<(InvokeModelResponse, Watchdog, Option<RateLimits>, Share), Status> {
        let context = self.context(&request);
        let peer = ShareOwner::of(request.extensions());
        let (mut report, ready) = self
            .prepared(Method::InvokeModel, &context, request)
            .await?;
        report.asked(None, ready.guardrail.clone());
        let rate_limits = report.rate_limits();
        let bedrock = self.bedrock.of(&context.generation.sdk);
        let call = self.unary_call(&context, &bedrock, &ready, &report);
        let limits = &ready.target.limits;
        let of_all = &context.generation.limits;
        let policy = AttemptPolicy {
            attempt_allowance: limits.max_attempts.unwrap_or(of_all.max_attempts),
            first_event: call.first_event,
            memory_wait: MemoryWait::default(),
            deadline: call.deadline,
            budget: self.budget.clone(),
            session_owner: call.owner.as_ref().map(|owner| Arc::clone(&owner.name)),
        };
        let room = AnswerRoom::new(&self.memory, peer, &context, &ready);
        let (response, held) = invoke_model::run(&call, policy, &room, &ready, report).await?;
        Ok((response, watchdog_of(&call, &context), rate_limits, held))
    }

    /// Creates a call that Bedrock answers with one message.
    fn unary_call<'a>(
        &'a self,
        context: &'a CallContext,
        bedrock: &'a Bedrock,
        ready: &Ready,
        report: &CallReport,
    ) -> UnaryCall<'a> {
        let limits = &ready.target.limits;
        let of_all = &context.generation.limits;
        UnaryCall {
            owner: session_owner(bedrock, context),
            bedrock,
            first_event: limits.first_event.unwrap_or(of_all.first_event),
            deadline: context.deadline(limits.max_deadline),
            cut: &self.cut,
            revocation: context.revocation.as_deref(),
            request_id: &context.request_id,
            trace: report.trace().clone(),
        }
    }

    /// Returns the context that the layer added to the request. If the call did not pass the layer,
    /// as in tests of the service alone, the context contains only the time of arrival and the
    /// configuration.
    fn context<T>(&self, request: &Request<T>) -> CallContext {
        let context = request.extensions().get::<CallContext>();
        context.cloned().unwrap_or_else(|| {
            CallContext::read(&http::HeaderMap::new(), self.generations.current())
        })
    }

    /// Receives the message of a call and checks it.
    async fn prepared(
        &self,
        method: Method,
        context: &CallContext,
        request: Request<Body>,
    ) -> Result<(CallReport, Ready), Status> {
        let (parts, body) = request.into_parts();
        let peer = ShareOwner::of(&parts.extensions);
        let place = parts.extensions.get::<Arc<Share>>();
        let generation = &context.generation;
        let receiver = Receiver {
            limits: &generation.limits,
            memory: &self.memory,
            place: place.map(AsRef::as_ref),
            peer,
        };
        // If the call is not allowed, its message is not read.
        let caller = context.caller.as_ref();
        let received = match permission::check_path(&generation.rules, caller, parts.uri.path()) {
            Ok(()) => receiver.receive(&parts.headers, body).await,
            Err(failure) => Err(failure),
        };
        let metrics = Arc::clone(&self.metrics);
        let mut report = CallReport::start(
            metrics,
            &generation.traces,
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
            generation: Arc::clone(generation),
            metadata: MetadataMap::from_headers(parts.headers),
            timeout: context.timeout.clone(),
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
            Ok(ready) => reserve(&mut report, &ready, context).await.map(|()| ready),
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
                    let accepted = if generation.limits.max_compression_ratio > 0 {
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
        report.in_projects(ready.projects.clone());
        Ok((report, ready))
    }

    /// Returns the threads for the large events and messages of a call's answer.
    pub(super) fn threads<T>(&self, request: &Request<T>) -> AnswerThreads {
        self.threads_of(ShareOwner::of(request.extensions()))
    }

    fn threads_of(&self, peer: ShareOwner) -> AnswerThreads {
        let queue = self.large_messages.clone();
        AnswerThreads { queue, peer }
    }

    /// Returns the access of a call to the memory budget. `waits`: whether it waits for memory.
    fn answer_memory(&self, peer: ShareOwner, context: &CallContext, waits: bool) -> AnswerMemory {
        AnswerMemory {
            memory: self.memory.clone(),
            peer,
            begun_with: context.generation.memory,
            waits,
            latest: LatestRoom::default(),
        }
    }

    /// Begins a call. The pair is the operation of Bedrock, and the interval of heartbeats.
    fn begin<O: Operation>(
        &self,
        (operation, heartbeat): (O, Duration),
        memory: AnswerMemory,
        context: &CallContext,
        mut report: CallReport,
        ready: Ready,
    ) -> (CallStream<O>, Option<RateLimits>) {
        report.asked(ready.inference, ready.guardrail);
        let limits = &ready.target.limits;
        let of_all = &context.generation.limits;
        let deadline = context.deadline(limits.max_deadline);
        let rate_limits = report.rate_limits();
        let bedrock = self.bedrock.of(&context.generation.sdk);
        let owner = session_owner(&bedrock, context);
        let call_stream = CallStream::start(Call {
            operation,
            threads: self.threads_of(memory.peer),
            bedrock: bedrock.within(Arc::new(memory)),
            candidates: ready.candidates,
            projects: ready.projects,
            body: ready.body,
            times: Times {
                deadline,
                idle: limits.idle.unwrap_or(of_all.idle),
                heartbeat,
            },
            policy: AttemptPolicy {
                attempt_allowance: limits.max_attempts.unwrap_or(of_all.max_attempts),
                first_event: limits.first_event.unwrap_or(of_all.first_event),
                memory_wait: MemoryWait::default(),
                deadline,
                budget: self.budget.clone(),
                session_owner: owner.as_ref().map(|owner| Arc::clone(&owner.name)),
            },
            owner,
            target: ready.target,
            write_stall: of_all.write_stall,
            on_cancel: of_all.on_cancel,
            request_id: Arc::clone(&context.request_id),
            report,
            cut: self.cut.clone(),
            revocation: context.revocation.clone(),
        });
        (call_stream, rate_limits)
    }

    /// Decodes, validates and translates a message. Small messages are handled on this thread,
    /// larger ones on a thread that forwards no tokens.
    async fn prepare(
        &self,
        peer: ShareOwner,
        preparation: Preparation,
        received: Received,
    ) -> Result<Prepared, Failure> {
        let queue = match received.effort() {
            Effort::Small => return Ok(preparation.run(received, &Stop::never())),
            Effort::Medium => &self.medium_messages,
            Effort::Large => &self.large_messages,
        };
        let work = queue.run(peer, move |stop| preparation.run(received, stop));
        work.await.map_err(|_| {
            Failure::new(
                Reason::ReplicaSaturated,
                "this replica is already decoding the maximum number of large requests; retry on another replica",
            )
        })
    }
}

/// Returns the watchdog for the response to a call that has been answered.
fn watchdog_of(call: &UnaryCall<'_>, context: &CallContext) -> Watchdog {
    let limit = Instant::now() + context.generation.limits.write_stall;
    Watchdog::until(call.deadline.max(limit))
}

/// Returns the caller as an owner of AWS sessions, if the caller has separate ones.
fn session_owner(bedrock: &Bedrock, context: &CallContext) -> Option<SessionOwner> {
    let caller = context.caller.as_ref()?;
    bedrock.session_owner(caller.name(), &caller.caller().session)
}
