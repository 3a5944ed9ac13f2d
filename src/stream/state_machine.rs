//! The state machine of a call.
//!
//! ```text
//! Waiting ──first event──> Streaming ──messageStop──> complete ──anything──> Ended (OK)
//!    └──────────────────────────┴──failure, alarm, cut──> Ended (one error status)
//! ```
//!
//! An answer is complete at `messageStop`. From then on, the call only waits for `metadata` and
//! cannot fail any more. Further events, silence, the deadline or a drain do not change its
//! outcome. So the outcome depends on Bedrock's bytes, not on how the network splits them into
//! packets.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    answer::UpstreamAnswer,
    answer_origin,
    call::{Call, Failed},
    client_end::{Check, ClientEnd, Watch},
    decoding::Decoding,
    drain_expiry::DrainExpiry,
    failure::{deadline_exceeded, draining, name_profile, no_memory, revoked, silent_for},
    on_cancel::{self, CancelledCall},
    operation::{AnswerOrigin, Operation, Outgoing},
    report::{self, CallReport},
    timers::{Alarm, METADATA_WAIT, Timers, Times},
};
use crate::{
    bedrock::{self, BedrockEvent, FrameRoom, MemoryWait},
    error::{Failure, Phase, Reason},
    pb,
    routing::{
        OpenCall, Route, Target,
        attempts::{self, AttemptLog, Opened},
        health::RoutePermit,
    },
};

/// An answer whose first event has arrived: that event, the stream of the remaining events, and the
/// contents of the response headers.
type Begun<H> = attempts::Begun<(BedrockEvent, UpstreamAnswer, H)>;
type Waiting<H> = Pin<Box<dyn Future<Output = Result<Begun<H>, Failure>> + Send>>;
/// The next message of a stream, or its failure.
type Next<M> = Option<Result<M, Box<Failed>>>;

#[expect(
    clippy::large_enum_variant,
    reason = "a call spends its life in the large one"
)]
enum Stage<H> {
    /// Waits for the first event.
    Waiting(Waiting<H>, MemoryWait),
    /// Events are arriving.
    Streaming(UpstreamAnswer),
    /// The outcome is known. `queue` contains the messages that were not sent yet, and `verdict`
    /// the failure, if there is one.
    Ended,
}

/// A call in progress.
pub(super) struct StateMachine<O: Operation> {
    stage: Stage<O::Head>,
    timers: Timers,
    cut: DrainExpiry,
    operation: O,
    decoding: Decoding<O>,
    /// A failure that is reported after the deltas that are held back.
    failure: Option<Failure>,
    /// The failure of the call, if the client's end was not polling when the call failed.
    verdict: Option<Box<Failed>>,
    client: ClientEnd,
    /// Whether any event was forwarded to the client.
    forwarded: bool,
    times: Times,
    log: AttemptLog,
    target: Arc<Target>,
    /// The route that answers, and the permit with which the outcome is reported to the route's
    /// health.
    route: Option<Arc<Route>>,
    permit: Option<RoutePermit>,
    request_id: Arc<str>,
    bedrock_request_id: String,
    report: Option<CallReport>,
}

impl<O: Operation> StateMachine<O> {
    pub(super) fn start(call: Call<O>) -> Self {
        let Call {
            operation,
            bedrock,
            owner,
            target,
            candidates,
            projects,
            body,
            times,
            threads,
            request_id,
            mut report,
            cut,
            policy,
            ..
        } = call;
        let log = AttemptLog::default();
        report.follow(&bedrock, &log);
        let (trace, made, id) = (report.trace().clone(), log.clone(), Arc::clone(&request_id));
        let settings = operation.settings();
        let memory_wait = policy.memory_wait.clone();
        let bedrock = bedrock.recording(memory_wait.clone());
        let waiting = attempts::begin(candidates, policy, log.clone(), move |route| {
            let span_id = made.last_span_id();
            let mut bedrock = bedrock.in_trace(trace.child(span_id));
            if owner.is_some() || !route.account.is_empty() {
                bedrock = bedrock.in_account(&route.account, owner.as_ref());
            }
            let bedrock = bedrock.in_project(projects.to_add(&route));
            let (settings, body) = (settings.clone(), body.clone());
            // The future has several kilobytes, so it is boxed: it is not moved with other futures.
            let opened = Box::pin(O::open(bedrock, Arc::clone(&route), settings, body));
            let request_id = Arc::clone(&id);
            async move {
                let open = OpenCall::on(Arc::clone(&route));
                let (opened, head) = opened
                    .await
                    .inspect_err(|failure| report::log_detail(failure, &request_id, &route))?;
                let bedrock::Opened {
                    request_id,
                    first,
                    rest,
                } = opened;
                Ok(Opened {
                    request_id,
                    answer: (first, UpstreamAnswer::new(rest, open), head),
                })
            }
        });
        Self {
            stage: Stage::Waiting(Box::pin(waiting), memory_wait),
            timers: Timers::start(times),
            cut: DrainExpiry::new(cut),
            operation,
            decoding: Decoding::new(threads),
            failure: None,
            verdict: None,
            client: ClientEnd::new(),
            forwarded: false,
            times,
            log,
            target,
            route: None,
            permit: None,
            request_id,
            bedrock_request_id: String::new(),
            report: Some(report),
        }
    }

    /// Returns the next message of the stream.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Next<O::Message>> {
        self.client.polls();
        loop {
            if let Some(outgoing) = self.operation.next() {
                return self.hand(outgoing);
            }
            if self.is_over()
                && let Some(last) = self.operation.flush()
            {
                return self.hand(last);
            }
            if let Some(failed) = self.verdict.take() {
                return Poll::Ready(Some(Err(failed)));
            }
            if matches!(self.stage, Stage::Ended) {
                return Poll::Ready(None);
            }
            if self.operation.is_finished() {
                self.finish(cx);
                continue;
            }
            let failure = match self.next_step(cx) {
                Poll::Ready(Ok(())) => continue,
                Poll::Ready(Err(failure)) => failure,
                Poll::Pending if self.cut.poll(cx).is_ready() => draining(),
                Poll::Pending => match self.timers.poll(cx, self.operation.flush_at()) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Alarm::Flush) => {
                        if let Some(joined) = self.operation.flush() {
                            return self.hand(joined);
                        }
                        continue;
                    }
                    Poll::Ready(Alarm::Heartbeat { silent }) => {
                        return self.heartbeat(silent);
                    }
                    Poll::Ready(Alarm::NoMetadata) => silent_for(METADATA_WAIT),
                    Poll::Ready(Alarm::NoMemory) => no_memory(),
                    Poll::Ready(Alarm::Silence { limit }) => silent_for(limit),
                    Poll::Ready(Alarm::Deadline) => deadline_exceeded(),
                },
            };
            if self.operation.is_complete() {
                self.finish_reading(Some(&failure));
                continue;
            }
            if let Some(joined) = self.operation.flush() {
                self.failure = Some(failure);
                return self.hand(joined);
            }
            return Poll::Ready(Some(Err(self.fail(failure))));
        }
    }

    fn hand(
        &mut self,
        Outgoing { message, deltas }: Outgoing<O::Message>,
    ) -> Poll<Next<O::Message>> {
        let is_first = !std::mem::replace(&mut self.forwarded, true);
        if let Some(report) = &mut self.report {
            if is_first {
                report.first_event();
            }
            report.sent(deltas);
        }
        self.timers.pause();
        self.client.takes(self.timers.last_told());
        Poll::Ready(Some(Ok(message)))
    }

    fn heartbeat(&mut self, silent: Duration) -> Poll<Next<O::Message>> {
        self.timers.pause();
        self.client.takes(self.timers.last_told());
        Poll::Ready(Some(Ok(O::heartbeat(pb::HeartbeatEvent {
            silent: prost_types::Duration::try_from(silent).ok(),
        }))))
    }

    /// Returns whether no further message will be added.
    fn is_over(&self) -> bool {
        self.verdict.is_some() || matches!(self.stage, Stage::Ended)
    }

    /// Makes one step. If an earlier step left a failure, returns that failure instead.
    fn next_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        match self.failure.take() {
            Some(failure) => Poll::Ready(Err(failure)),
            None => self.step(cx),
        }
    }

    /// Makes one step: adds messages to the queue, changes the stage, or fails.
    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        match &mut self.stage {
            Stage::Waiting(answer, memory_wait) => {
                let answer = answer.as_mut().poll(cx);
                self.timers.wait_for_first_event(memory_wait);
                let Begun {
                    route,
                    permit,
                    request_id,
                    answer: (first, rest, head),
                } = ready!(answer)?;
                self.bedrock_request_id = request_id;
                if let Some(report) = &mut self.report {
                    report.route(&route);
                    report.bedrock_request_id(&self.bedrock_request_id);
                }
                let origin = AnswerOrigin {
                    target: answer_origin::target(&self.target, &route),
                    request_id: Arc::clone(&self.request_id),
                    bedrock_request_id: self.bedrock_request_id.clone(),
                    attempts: answer_origin::attempts(&self.log.attempts()),
                };
                self.operation.begin(head, origin);
                (self.route, self.permit) = (Some(route), Some(permit));
                let room = rest.room();
                self.stage = Stage::Streaming(rest);
                Poll::Ready(self.take(first, room))
            }
            Stage::Streaming(answer) => {
                let decoded = self.decoding.poll(cx);
                if decoded.is_pending() {
                    self.timers.pause();
                }
                if let Some(decoded) = ready!(decoded) {
                    return Poll::Ready(self.accept(decoded));
                }
                Poll::Ready(match ready!(answer.poll_timed(cx, &mut self.timers)) {
                    Some(Ok(event)) => {
                        let room = answer.room();
                        self.take(event, room)
                    }
                    Some(Err(failure)) => Err(failure),
                    None => self.end(),
                })
            }
            Stage::Ended => Poll::Pending,
        }
    }

    /// Handles an event from Bedrock. `room` is the memory of a large event.
    fn take(&mut self, event: BedrockEvent, room: Option<FrameRoom>) -> Result<(), Failure> {
        self.timers.heard();
        if !self.operation.expects(&event) {
            return Ok(());
        }
        let decoded = self.decoding.begin(event, room);
        decoded.map_or(Ok(()), |decoded| self.accept(decoded))
    }

    /// Handles a decoded event.
    fn accept(&mut self, decoded: Result<O::Decoded, Failure>) -> Result<(), Failure> {
        let was_complete = self.operation.is_complete();
        self.operation
            .take(decoded?, self.timers.last_heard(), self.report.as_mut());
        if !was_complete && self.operation.is_complete() {
            self.timers.complete();
            // The answer is complete. What Bedrock sends later does not affect the health of the
            // route.
            self.answered();
        }
        Ok(())
    }

    /// Reports to the route's health that the answer is complete. Does so only once.
    fn answered(&mut self) {
        if let Some(permit) = self.permit.take() {
            permit.succeeded();
        }
    }

    /// Handles the end of Bedrock's stream. The answer may or may not be complete.
    fn end(&mut self) -> Result<(), Failure> {
        self.operation.end()?;
        self.answered();
        self.finish_reading(None);
        Ok(())
    }

    /// Ends the call after `metadata`. The client does not have to wait for the end of Bedrock's
    /// HTTP response, which has usually arrived by then.
    fn finish(&mut self, cx: &mut Context<'_>) {
        if let Some(mut answer) = self.succeed()
            && !matches!(answer.poll_next(cx), Poll::Ready(None | Some(Err(_))))
        {
            on_cancel::spawn(on_cancel::read_tail(answer));
        }
    }

    /// Ends a complete answer of which no more events will be read, because of this failure or
    /// because Bedrock's stream has ended.
    fn finish_reading(&mut self, failure: Option<&Failure>) {
        self.operation.finish(self.report.as_mut());
        if let Some(report) = &mut self.report
            && !report.is_usage_known()
        {
            report.usage_missing(failure.map(|failure| failure.reason));
        }
        self.succeed();
    }

    fn succeed(&mut self) -> Option<UpstreamAnswer> {
        if let Some(mut report) = self.report.take() {
            report.attempts(&self.log.attempts(), None);
            report.ok();
        }
        self.decoding.stop();
        match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Streaming(answer) => Some(answer),
            Stage::Waiting(..) | Stage::Ended => None,
        }
    }

    fn fail(&mut self, mut failure: Failure) -> Box<Failed> {
        self.stage = Stage::Ended;
        self.decoding.stop();
        if self.forwarded {
            failure.phase = Phase::MidStream;
        }
        if let Some(upstream) = &mut failure.upstream {
            // Errors within the stream carry no request ID.
            if upstream.request_id.is_empty() {
                upstream.request_id.clone_from(&self.bedrock_request_id);
            }
        }
        if let Some(permit) = self.permit.take() {
            permit.failed(&failure, Instant::now());
        }
        // An attempt that failed before the first event has been logged already.
        if let Some(route) = &self.route {
            report::log_detail(&failure, &self.request_id, route);
        }
        let made = self.log.attempts();
        name_profile(&mut failure, made.last().map(|last| &*last.route));
        let attempts = answer_origin::attempts_until(&made, &failure);
        if let Some(mut report) = self.report.take() {
            if let Some(last) = made.last() {
                report.route(&last.route);
            }
            if let Some(upstream) = &failure.upstream {
                report.bedrock_request_id(&upstream.request_id);
            }
            report.attempts(&made, self.unanswered(failure.reason));
            report.failed(&failure);
        }
        Box::new(Failed {
            failure,
            attempts,
            request_id: Arc::clone(&self.request_id),
        })
    }

    /// Returns the reason if the call ends before an answer has begun. It then is also the reason
    /// of the last attempt.
    fn unanswered(&self, reason: Reason) -> Option<Reason> {
        self.route.is_none().then_some(reason)
    }

    /// Checks whether the client still reads messages. While it does not, neither the call nor its
    /// timers are polled.
    pub(super) fn watch(&mut self, now: Instant, write_stall: Duration) -> Watch {
        if matches!(self.stage, Stage::Ended) {
            return Watch::Over;
        }
        let (told, deadline) = (self.timers.last_told(), self.times.deadline);
        let failure = match self.client.check(now, told, deadline, write_stall) {
            Check::At(next) => return Watch::At(next),
            Check::WakeThenAt(next) => {
                self.cut.wake();
                return Watch::At(next);
            }
            Check::Fail(failure) => failure,
        };
        self.end_unpolled(failure);
        Watch::Over
    }

    /// Ends the call because its credential was revoked.
    pub(super) fn revoke(&mut self) {
        if !matches!(self.stage, Stage::Ended) {
            self.end_unpolled(revoked());
            self.cut.wake();
        }
    }

    /// Ends the call while it is not polled. A complete answer does not fail. The client can still
    /// read the messages in the queue, and then the status.
    fn end_unpolled(&mut self, failure: Failure) {
        if self.operation.is_finished() {
            self.succeed();
        } else if self.operation.is_complete() {
            self.finish_reading(Some(&failure));
        } else {
            self.verdict = Some(self.fail(failure));
        }
    }

    /// Returns whether the client's end has polled since the last check. Used after the call has
    /// ended.
    pub(super) fn asked(&mut self) -> bool {
        self.client.has_polled()
    }

    /// Handles a client that has disconnected. Returns the rest of the call if Bedrock is still
    /// answering.
    ///
    /// The report is written before the call to Bedrock is closed, so that tests and operators can
    /// rely on the order.
    pub(super) fn abandon(&mut self) -> Option<CancelledCall<O>> {
        // A failure that is reported after held-back deltas is the outcome of the call.
        let _failed = self.failure.take().map(|failure| self.fail(failure));
        let mut report = self.report.take();
        if let Some(report) = &mut report {
            let made = self.log.attempts();
            if let Some(last) = made.last() {
                report.route(&last.route);
            }
            report.attempts(&made, self.unanswered(Reason::Cancelled));
        }
        match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Streaming(answer) => Some(CancelledCall {
                report: report?,
                answer,
                decoding: self.decoding.take(),
                operation: std::mem::take(&mut self.operation),
                metadata_by: self.timers.metadata_by(),
            }),
            Stage::Waiting(..) | Stage::Ended => {
                drop(report);
                None
            }
        }
    }
}
