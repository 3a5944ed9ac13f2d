//! The state machine of a call.
//!
//! ```text
//! Waiting ──first event──> Streaming ──messageStop──> complete ──anything──> Ended (OK)
//!    └──────────────────────────┴──failure, alarm, cut──> Ended (one error status)
//! ```
//!
//! An answer is complete at `messageStop`. From then on, the call only waits for `metadata` and
//! cannot fail any more: neither further events nor silence, the deadline or a drain change its
//! outcome. The outcome thus depends on Bedrock's bytes, not on how the network groups them.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    answer::UpstreamAnswer,
    call::{Call, Failed},
    client_end::{Check, ClientEnd, Watch},
    drain_expiry::DrainExpiry,
    failure::{deadline_exceeded, draining, revoked, silent_for, truncated, unreadable},
    grammar::{self, Grammar},
    on_cancel::{self, CancelledCall},
    origin,
    outbox::{Outbox, Outgoing},
    report::{self, CallReport},
    timers::{Alarm, METADATA_WAIT, Timers, Times},
};
use crate::{
    bedrock::{self, BedrockEvent},
    error::{Failure, Phase, Reason},
    pb::{self, StreamInvokeResponse, stream_invoke_response::Event},
    routing::{
        OpenCall, Route, Target,
        attempts::{self, AttemptLog, Opened},
        health::RoutePermit,
    },
    translate,
};

/// An answer whose first event has arrived.
type Begun = attempts::Begun<(BedrockEvent, UpstreamAnswer)>;
type Waiting = Pin<Box<dyn Future<Output = Result<Begun, Failure>> + Send>>;

#[expect(
    clippy::large_enum_variant,
    reason = "a call spends its life in the large one"
)]
enum Stage {
    /// Waits for the first event.
    Waiting(Waiting),
    /// Events are arriving.
    Streaming(UpstreamAnswer),
    /// The outcome is known. Messages that were not sent yet are in the queue, and a failure is in
    /// the verdict.
    Ended,
}

/// A call in progress.
pub(super) struct StateMachine {
    stage: Stage,
    timers: Timers,
    cut: DrainExpiry,
    events: translate::event::Reader,
    grammar: Grammar,
    outbox: Outbox,
    /// A failure that follows the deltas that the outbox held back.
    failure: Option<Failure>,
    /// The failure of the call, if the client's end was not polling when it ended.
    verdict: Option<Box<Failed>>,
    client: ClientEnd,
    /// Whether any event was forwarded to the client.
    forwarded: bool,
    times: Times,
    log: AttemptLog,
    target: Arc<Target>,
    /// The route that answers, and the permit that reports the outcome to the route's health.
    route: Option<Arc<Route>>,
    permit: Option<RoutePermit>,
    request_id: Arc<str>,
    bedrock_request_id: String,
    report: Option<CallReport>,
}

impl StateMachine {
    pub(super) fn start(call: Call) -> Self {
        let Call {
            bedrock,
            owner,
            target,
            candidates,
            body,
            times,
            coalesce,
            request_id,
            mut report,
            cut,
            policy,
            ..
        } = call;
        let log = AttemptLog::default();
        report.follow(&bedrock, &log);
        let (trace, made) = (report.trace().clone(), log.clone());
        let id = Arc::clone(&request_id);
        let waiting = attempts::begin(candidates, policy, log.clone(), move |route| {
            let span_id = made.last_span_id();
            let mut bedrock = bedrock.in_trace(trace.child(span_id));
            if owner.is_some() || !route.account.is_empty() {
                bedrock = bedrock.in_account(&route.account, owner.as_ref());
            }
            let (body, request_id) = (body.clone(), Arc::clone(&id));
            async move {
                let open = OpenCall::on(Arc::clone(&route));
                let opened = bedrock
                    .open(&route.source_region, &route.model_id, body)
                    .await
                    .inspect_err(|failure| report::log_detail(failure, &request_id, &route))?;
                let bedrock::Opened {
                    request_id,
                    first,
                    rest,
                } = opened;
                Ok(Opened {
                    request_id,
                    answer: (first, UpstreamAnswer::new(rest, open)),
                })
            }
        });
        Self {
            stage: Stage::Waiting(Box::pin(waiting)),
            timers: Timers::start(times),
            cut: DrainExpiry::new(cut),
            events: translate::event::Reader::default(),
            grammar: Grammar::default(),
            outbox: Outbox::new(coalesce),
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
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<StreamInvokeResponse, Box<Failed>>>> {
        self.client.polls();
        loop {
            if let Some(outgoing) = self.outbox.next() {
                return self.hand(outgoing);
            }
            if self.is_over()
                && let Some(last) = self.outbox.flush()
            {
                return self.hand(last);
            }
            if let Some(failed) = self.verdict.take() {
                return Poll::Ready(Some(Err(failed)));
            }
            if matches!(self.stage, Stage::Ended) {
                return Poll::Ready(None);
            }
            if self.grammar.is_finished() {
                self.finish(cx);
                continue;
            }
            let failure = match self.next_step(cx) {
                Poll::Ready(Ok(())) => continue,
                Poll::Ready(Err(failure)) => failure,
                Poll::Pending if self.cut.poll(cx).is_ready() => draining(),
                Poll::Pending => match self.timers.poll(cx, self.outbox.flush_at()) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Alarm::Flush) => {
                        if let Some(joined) = self.outbox.flush() {
                            return self.hand(joined);
                        }
                        continue;
                    }
                    Poll::Ready(Alarm::Heartbeat { silent }) => {
                        return self.hand(heartbeat(silent).into());
                    }
                    Poll::Ready(Alarm::NoMetadata) => silent_for(METADATA_WAIT),
                    Poll::Ready(Alarm::Silence { limit }) => silent_for(limit),
                    Poll::Ready(Alarm::Deadline) => deadline_exceeded(),
                },
            };
            if self.grammar.is_complete() {
                self.finish_without_usage(Some(&failure));
                continue;
            }
            if let Some(joined) = self.outbox.flush() {
                self.failure = Some(failure);
                return self.hand(joined);
            }
            return Poll::Ready(Some(Err(self.fail(failure))));
        }
    }

    fn hand(
        &mut self,
        Outgoing { message, deltas }: Outgoing,
    ) -> Poll<Option<Result<StreamInvokeResponse, Box<Failed>>>> {
        if !self.forwarded && !matches!(message.event, Some(Event::Heartbeat(_))) {
            self.forwarded = true;
            if let Some(report) = &mut self.report {
                report.first_event();
            }
        }
        if let Some(report) = &mut self.report {
            report.sent(deltas);
        }
        self.client.takes(self.timers.last_told());
        Poll::Ready(Some(Ok(message)))
    }

    /// Returns whether no further message will be added to the outbox.
    fn is_over(&self) -> bool {
        self.verdict.is_some() || matches!(self.stage, Stage::Ended)
    }

    /// Makes one step, unless a failure is left over from an earlier one.
    fn next_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        match self.failure.take() {
            Some(failure) => Poll::Ready(Err(failure)),
            None => self.step(cx),
        }
    }

    /// Makes one step: adds messages to the queue, changes the stage, or fails.
    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        match &mut self.stage {
            Stage::Waiting(answer) => match answer.as_mut().poll(cx) {
                Poll::Ready(Ok(begun)) => {
                    let Begun {
                        route,
                        permit,
                        request_id,
                        answer: (first, rest),
                    } = begun;
                    self.bedrock_request_id = request_id;
                    if let Some(report) = &mut self.report {
                        report.route(&route);
                        report.bedrock_request_id(&self.bedrock_request_id);
                    }
                    (self.route, self.permit) = (Some(route), Some(permit));
                    self.stage = Stage::Streaming(rest);
                    Poll::Ready(self.take(&first))
                }
                Poll::Ready(Err(failure)) => Poll::Ready(Err(failure)),
                Poll::Pending => Poll::Pending,
            },
            Stage::Streaming(answer) => match answer.poll_next(cx) {
                Poll::Ready(Some(Ok(frame))) => Poll::Ready(self.take(&frame)),
                Poll::Ready(Some(Err(failure))) => Poll::Ready(Err(failure)),
                Poll::Ready(None) => Poll::Ready(self.end()),
                Poll::Pending => Poll::Pending,
            },
            Stage::Ended => Poll::Pending,
        }
    }

    /// Handles an event from Bedrock. An event that cannot be forwarded any more is not decoded.
    fn take(&mut self, frame: &BedrockEvent) -> Result<(), Failure> {
        self.timers.heard();
        if self.grammar.expects(&frame.event_type) {
            let translated = self.events.read(&frame.event_type, &frame.payload);
            let translated = translated.map_err(|error| unreadable(frame, &error))?;
            for unpaired in translated.unpaired {
                self.accept(unpaired);
            }
            self.accept(translated.response);
        }
        Ok(())
    }

    fn accept(&mut self, mut response: StreamInvokeResponse) {
        let is_stop = matches!(response.event, Some(Event::MessageStop(_)));
        if let Some(report) = &mut self.report {
            report.event(&mut response);
            if matches!(response.event, Some(Event::ContentBlockDelta(_))) {
                report.token(self.timers.last_heard());
            }
        }
        self.grammar.accept(response, &mut self.outbox.queue);
        if is_stop {
            self.timers.complete();
            // What Bedrock sends after a complete answer does not affect the health of the route.
            if let Some(permit) = self.permit.take() {
                permit.succeeded();
            }
        }
        if self.forwarded {
            return;
        }
        let attempts = self.log.attempts().iter().map(origin::attempt).collect();
        if let Some(first) = self.outbox.queue.front_mut()
            && let Some(Event::MessageStart(start)) = &mut first.event
        {
            start.target = self
                .route
                .as_ref()
                .map(|route| origin::target(&self.target, route));
            self.request_id.as_ref().clone_into(&mut start.request_id);
            start
                .bedrock_request_id
                .clone_from(&self.bedrock_request_id);
            start.attempts = attempts;
        }
    }

    /// Handles the end of Bedrock's stream. The answer may or may not be complete.
    fn end(&mut self) -> Result<(), Failure> {
        if !self.grammar.is_complete() {
            return Err(truncated());
        }
        self.finish_without_usage(None);
        Ok(())
    }

    /// Ends the call after `metadata`. The client does not wait for the end of Bedrock's HTTP
    /// response, which has usually arrived already.
    fn finish(&mut self, cx: &mut Context<'_>) {
        if let Some(mut answer) = self.succeed()
            && !matches!(answer.poll_next(cx), Poll::Ready(None | Some(Err(_))))
        {
            on_cancel::spawn(on_cancel::read_tail(answer));
        }
    }

    /// Ends a complete answer whose `metadata` will not arrive, because of this failure or because
    /// Bedrock's stream has ended.
    fn finish_without_usage(&mut self, failure: Option<&Failure>) {
        self.grammar.finish(&mut self.outbox.queue);
        if let Some(report) = &mut self.report {
            report.usage_missing(failure.map(|failure| failure.reason));
        }
        self.succeed();
    }

    fn succeed(&mut self) -> Option<UpstreamAnswer> {
        if let Some(mut report) = self.report.take() {
            report.attempts(&self.log.attempts(), None);
            report.ok();
        }
        match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Streaming(answer) => Some(answer),
            Stage::Waiting(_) | Stage::Ended => None,
        }
    }

    fn fail(&mut self, mut failure: Failure) -> Box<Failed> {
        self.stage = Stage::Ended;
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
        if failure.reason == Reason::InferenceProfileRequired
            && let Some(profile) = made.last().and_then(|last| last.route.inference_profile())
        {
            failure.message = format!(
                "{}; call it as `{profile}`",
                failure.message.trim_end_matches('.')
            );
        }
        let mut attempts: Vec<_> = made.iter().map(origin::attempt).collect();
        // Two kinds of failures are not recorded yet: those after the first event, and those of
        // calls that ended while they waited.
        if let Some(last) = attempts.last_mut()
            && last.failure_reason.is_empty()
        {
            failure.reason.as_str().clone_into(&mut last.failure_reason);
        }
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

    /// Returns why the last attempt failed, if no answer began and the call ends for this reason.
    fn unanswered(&self, reason: Reason) -> Option<Reason> {
        self.route.is_none().then_some(reason)
    }

    /// Checks a client that does not read messages: in that case, neither the call nor its timers
    /// are polled.
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

    /// Ends the call while it is not polled. A complete answer does not fail. The client may still
    /// read the messages in the queue, and then the status.
    fn end_unpolled(&mut self, failure: Failure) {
        if self.grammar.is_finished() {
            self.succeed();
        } else if self.grammar.is_complete() {
            self.finish_without_usage(Some(&failure));
        } else {
            self.verdict = Some(self.fail(failure));
        }
    }

    /// Returns whether the client's end has polled since the last check. For a call that has ended.
    pub(super) fn asked(&mut self) -> bool {
        self.client.has_polled()
    }

    /// Handles a client that has disconnected. Returns the rest of the call if the call is still
    /// open.
    ///
    /// The report is written before the call to Bedrock is closed, so that tests and operators can
    /// rely on the order.
    pub(super) fn abandon(&mut self) -> Option<CancelledCall> {
        // A failure that follows deltas that were held back is the outcome of the call.
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
                metadata_by: self.timers.metadata_by(),
            }),
            Stage::Waiting(_) | Stage::Ended => {
                drop(report);
                None
            }
        }
    }
}

fn heartbeat(silent: Duration) -> StreamInvokeResponse {
    grammar::message(Event::Heartbeat(pb::HeartbeatEvent {
        silent: prost_types::Duration::try_from(silent).ok(),
    }))
}
