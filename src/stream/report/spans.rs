//! Creates the spans of a call: one for the call, and one for each attempt.

use tokio::time::Instant;

use crate::{
    bedrock::Bedrock,
    error::Reason,
    pb,
    routing::attempts::{self, AttemptLog},
    telemetry::trace::{AttemptSpan, CallSpan, Operation, Recorder, Request, TraceContext, Usage},
};

/// The data about a call that only spans need. Most calls are not sampled.
#[derive(Default)]
pub(super) struct Followed {
    request: Request,
    made: Option<(Bedrock, AttemptLog)>,
}

/// The facts about a call that has ended.
pub(super) struct Ended<'a> {
    pub(super) trace: &'a TraceContext,
    pub(super) method: &'static str,
    /// The label of the target.
    pub(super) target: &'a str,
    pub(super) request_id: &'a str,
    /// The name of the caller. Empty if it is not identified.
    pub(super) caller: &'a str,
    /// The gRPC code, and the reason if the call failed.
    pub(super) code: &'static str,
    pub(super) reason: Option<Reason>,
    pub(super) stop_reason: &'a str,
    /// The token usage of the answer, if Bedrock reported it.
    pub(super) usage: Option<Usage>,
}

impl Followed {
    /// Records the parameters of the request, after the operator's defaults are applied.
    pub(super) fn asked(
        &mut self,
        inference: Option<pb::InferenceConfiguration>,
        guardrail: Option<pb::GuardrailStreamConfiguration>,
    ) {
        let inference = inference.unwrap_or_default();
        self.request = Request {
            max_tokens: inference.max_tokens,
            temperature: inference.temperature,
            top_p: inference.top_p,
            stop_sequences: inference.stop_sequences,
            guardrail: guardrail.and_then(|guardrail| guardrail.guardrail_identifier),
        };
    }

    /// Records the attempts of the call, and the client that can return the addresses of their
    /// endpoints.
    pub(super) fn follow(&mut self, bedrock: &Bedrock, log: &AttemptLog) {
        self.made = Some((bedrock.clone(), log.clone()));
    }

    /// Records the spans of a call that has ended.
    pub(super) fn record(&self, recorder: &Recorder, ended: &Ended<'_>) {
        let attempts = match &self.made {
            Some((_, log)) => log.attempts(),
            None => Vec::new(),
        };
        if let (Some((bedrock, _)), Some((last, failed))) = (&self.made, attempts.split_last()) {
            for attempt in failed {
                ended.record_attempt(recorder, bedrock, &self.request, attempt, false);
            }
            ended.record_attempt(recorder, bedrock, &self.request, last, true);
        }
        let call = CallSpan {
            method: ended.method,
            target: ended.target,
            request_id: ended.request_id,
            caller: ended.caller,
            code: ended.code,
            reason: ended.reason.map_or("", Reason::as_str),
            attempts: attempts.len(),
            ended: Instant::now(),
        };
        recorder.call(ended.trace, &call);
    }
}

impl Ended<'_> {
    /// Records an attempt. Only the last attempt can have been answered. If it was, it ended in the
    /// same way as the call.
    fn record_attempt(
        &self,
        recorder: &Recorder,
        bedrock: &Bedrock,
        request: &Request,
        attempt: &attempts::Attempt,
        is_last: bool,
    ) {
        let endpoint = bedrock.endpoint(&attempt.route.account, &attempt.route.source_region);
        let failure = attempt
            .failure
            .or_else(|| self.failure_of_answer().filter(|_| is_last));
        let ended = if attempt.failure.is_some() {
            attempt.began + attempt.duration
        } else {
            Instant::now()
        };
        let told = AttemptSpan {
            operation: Operation::of(self.method),
            target: self.target,
            request_id: self.request_id,
            model_id: &attempt.route.model_id,
            source_region: &attempt.route.source_region,
            account: &attempt.route.account,
            server: endpoint
                .as_ref()
                .map(|endpoint| (endpoint.address.as_str(), endpoint.port)),
            request,
            bedrock_request_id: &attempt.request_id,
            began: attempt.began,
            ended,
            first_event: attempt.answered.then_some(attempt.duration),
            stop_reason: self.stop_reason,
            usage: self.usage.filter(|_| attempt.answered),
            failure: failure.map(Reason::as_str),
        };
        let context = self.trace.child(attempt.span_id);
        recorder.attempt(&context, &told);
    }

    /// Returns why an answer ended early, or did not begin in time. `None` if the client
    /// disconnected or stopped reading, because that is not a failure of Bedrock.
    fn failure_of_answer(&self) -> Option<Reason> {
        match self.reason {
            Some(Reason::Cancelled | Reason::ClientStalled) => None,
            reason => reason,
        }
    }
}
